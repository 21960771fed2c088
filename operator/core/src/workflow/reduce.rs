//! The reducers that need no agent. Total: what cannot be reduced is an error that says why.

use std::collections::HashMap;

use serde_json::{Map, Number, Value, json};

/// Why outputs cannot be reduced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `Sum` over something else than numbers, or objects.
    #[error(
        "Sum needs numbers, or objects with numeric fields, but output {index} is {found}: let the agents answer numbers, or reduce with Collect"
    )]
    NotSummable {
        /// Place among the outputs that were reduced, from 0.
        index: usize,
        /// Type of that output.
        found: &'static str,
    },
    /// The sum is no number that JSON can hold.
    #[error("the sum is too large a number: let the agents answer smaller ones")]
    Overflow,
    /// `Merge` over something else than objects.
    #[error(
        "Merge needs objects, but output {index} is {found}: let the agents answer objects, or reduce with Collect"
    )]
    NotMergeable {
        /// Place among the outputs that were reduced, from 0.
        index: usize,
        /// Type of that output.
        found: &'static str,
    },
}

/// The sum of numbers; of objects, an object with the sum of each field that is a number in every one of them. Integers
/// stay integers as long as all addends are. The sum of nothing is 0.
pub fn sum(outputs: &[Value]) -> Result<Value, Error> {
    if let Some(Value::Object(first)) = outputs.first() {
        let objects: Vec<&Map<String, Value>> = outputs
            .iter()
            .enumerate()
            .map(|(index, output)| output.as_object().ok_or(Error::NotSummable { index, found: type_of(output) }))
            .collect::<Result<_, _>>()?;
        let mut sums = Map::new();
        for field in first.keys() {
            let numbers: Option<Vec<&Number>> = objects
                .iter()
                .map(|object| match object.get(field) {
                    Some(Value::Number(number)) => Some(number),
                    _ => None,
                })
                .collect();
            if let Some(numbers) = numbers {
                sums.insert(field.clone(), sum_numbers(&numbers)?);
            }
        }
        return Ok(Value::Object(sums));
    }
    let numbers: Vec<&Number> = outputs
        .iter()
        .enumerate()
        .map(|(index, output)| match output {
            Value::Number(number) => Ok(number),
            other => Err(Error::NotSummable { index, found: type_of(other) }),
        })
        .collect::<Result<_, _>>()?;
    sum_numbers(&numbers)
}

fn sum_numbers(numbers: &[&Number]) -> Result<Value, Error> {
    let whole = |number: &&Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let number = match numbers.iter().map(whole).collect::<Option<Vec<i128>>>() {
        // A list that fits into memory cannot overflow 128 bits with addends of 64.
        Some(integers) => {
            let sum: i128 = integers.iter().sum();
            i64::try_from(sum).map(Number::from).or_else(|_| u64::try_from(sum).map(Number::from)).ok()
        }
        None => Number::from_f64(numbers.iter().filter_map(|number| number.as_f64()).sum()),
    };
    number.map(Value::Number).ok_or(Error::Overflow)
}

/// One object with the fields of all: of equal fields the later wins, but lists are joined. Of nothing, an empty object.
pub fn merge(outputs: Vec<Value>) -> Result<Value, Error> {
    let mut merged = Map::new();
    for (index, output) in outputs.into_iter().enumerate() {
        let Value::Object(fields) = output else {
            return Err(Error::NotMergeable { index, found: type_of(&output) });
        };
        for (field, value) in fields {
            match (merged.get_mut(&field), value) {
                (Some(Value::Array(joined)), Value::Array(more)) => joined.extend(more),
                (_, value) => {
                    merged.insert(field, value);
                }
            }
        }
    }
    Ok(Value::Object(merged))
}

/// The most frequent output as `{value, count, total, percent}`: how often, of how many, and the share in whole percent.
/// Ties go to the one that came first. Of nothing, `null` with zeros.
pub fn vote(outputs: &[Value]) -> Value {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for (index, output) in outputs.iter().enumerate() {
        counts.entry(canonical(output)).or_insert((index, 0)).1 += 1;
    }
    let winner = counts.into_values().max_by_key(|(first, count)| (*count, std::cmp::Reverse(*first)));
    let Some((first, count)) = winner else {
        return json!({"value": null, "count": 0, "total": 0, "percent": 0});
    };
    json!({"value": outputs[first], "count": count, "total": outputs.len(), "percent": count * 100 / outputs.len()})
}

/// The text of a value with its fields in order, so that equal values have equal texts.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    //! Tests of the reducers: one row for each rule.

    use rstest::rstest;

    use super::*;

    fn list(value: Value) -> Vec<Value> {
        match value {
            Value::Array(list) => list,
            other => panic!("{other} is no list"),
        }
    }

    #[rstest]
    #[case::nothing(json!([]), json!(0))]
    #[case::integers(json!([1, 2, -4]), json!(-1))]
    #[case::one_double_makes_a_double(json!([1, 2.5]), json!(3.5))]
    #[case::beyond_i64(json!([i64::MAX, 1]), json!(9_223_372_036_854_775_808_u64))]
    #[case::common_numeric_fields(json!([{"a": 1, "b": 2, "n": "x"}, {"a": 3, "n": "y", "c": 1}]), json!({"a": 4}))]
    fn sums(#[case] outputs: Value, #[case] expected: Value) {
        assert_eq!(sum(&list(outputs)), Ok(expected));
    }

    #[rstest]
    #[case::text(json!([1, "2"]), Error::NotSummable { index: 1, found: "a string" })]
    #[case::number_after_object(json!([{"a": 1}, 2]), Error::NotSummable { index: 1, found: "a number" })]
    #[case::object_after_number(json!([1, {"a": 1}]), Error::NotSummable { index: 1, found: "an object" })]
    #[case::too_large(json!([u64::MAX, 1]), Error::Overflow)]
    #[case::not_finite(json!([f64::MAX, f64::MAX]), Error::Overflow)]
    fn refuses_to_sum(#[case] outputs: Value, #[case] expected: Error) {
        assert_eq!(sum(&list(outputs)), Err(expected));
    }

    #[rstest]
    #[case::nothing(json!([]), json!({}))]
    #[case::later_wins(json!([{"a": 1, "b": 1}, {"a": 2}]), json!({"a": 2, "b": 1}))]
    #[case::lists_are_joined(json!([{"l": [1]}, {"l": [2, 3]}]), json!({"l": [1, 2, 3]}))]
    #[case::a_list_replaces_a_scalar(json!([{"l": 1}, {"l": [2]}]), json!({"l": [2]}))]
    fn merges(#[case] outputs: Value, #[case] expected: Value) {
        assert_eq!(merge(list(outputs)), Ok(expected));
    }

    #[test]
    fn refuses_to_merge_what_is_no_object() {
        assert_eq!(merge(list(json!([{}, [1]]))), Err(Error::NotMergeable { index: 1, found: "a list" }));
    }

    #[rstest]
    #[case::nothing(json!([]), json!({"value": null, "count": 0, "total": 0, "percent": 0}))]
    #[case::majority(json!(["a", "b", "b"]), json!({"value": "b", "count": 2, "total": 3, "percent": 66}))]
    #[case::tie_goes_to_the_first(json!(["b", "a", "a", "b"]), json!({"value": "b", "count": 2, "total": 4, "percent": 50}))]
    #[case::structures(json!([{"x": 1, "y": 2}, {"y": 2, "x": 1}, 1]), json!({"value": {"x": 1, "y": 2}, "count": 2, "total": 3, "percent": 66}))]
    fn votes(#[case] outputs: Value, #[case] expected: Value) {
        assert_eq!(vote(&list(outputs)), expected);
    }
}
