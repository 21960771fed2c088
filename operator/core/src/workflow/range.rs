//! Ranges of numbers as the items of a map: from, from + step, and so on, up to `to` and with it.

use serde_json::{Map, Value};

use super::run::MAX_ITEMS;

/// Why a range is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field that a range does not have.
    #[error("a range has no field {0:?}")]
    Unknown(String),
    /// A field that it needs.
    #[error("a range needs {0:?}")]
    Missing(&'static str),
    /// A bound or a step that is no whole number.
    #[error("{field:?} of a range is {found}, no whole number")]
    NoNumber {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: Value,
    },
    /// It would never end.
    #[error("a range with the step 0 never ends")]
    NoStep,
    /// It has too many numbers.
    #[error("the range has more than {MAX_ITEMS} numbers")]
    TooLong,
}

/// The numbers of `{from, to, step}`; the step is 1 when it is left out, and a range that leads away from its end has none.
///
/// # Errors
///
/// It is no range, or too long.
pub fn numbers(written: &Map<String, Value>) -> Result<Vec<Value>, Error> {
    if let Some(unknown) = written.keys().find(|name| !["from", "to", "step"].contains(&name.as_str())) {
        return Err(Error::Unknown(unknown.clone()));
    }
    let number = |field: &'static str| match written.get(field) {
        None => Ok(None),
        Some(found) => found.as_i64().map(Some).ok_or_else(|| Error::NoNumber { field, found: found.clone() }),
    };
    let from = number("from")?.ok_or(Error::Missing("from"))?;
    let to = number("to")?.ok_or(Error::Missing("to"))?;
    let step = number("step")?.unwrap_or(1);
    if step == 0 {
        return Err(Error::NoStep);
    }
    let mut found = Vec::new();
    let mut next = Some(from);
    while let Some(number) = next.filter(|number| if step > 0 { *number <= to } else { *number >= to }) {
        if found.len() == MAX_ITEMS {
            return Err(Error::TooLong);
        }
        found.push(Value::from(number));
        next = number.checked_add(step);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    //! Tests of ranges: one row for each rule.

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn of(written: Value) -> Result<Value, Error> {
        let Value::Object(written) = written else { panic!("{written}") };
        numbers(&written).map(Value::Array)
    }

    #[rstest]
    #[case::both_ends(json!({"from": 1, "to": 3}), json!([1, 2, 3]))]
    #[case::one(json!({"from": 3, "to": 3}), json!([3]))]
    #[case::none(json!({"from": 4, "to": 3}), json!([]))]
    #[case::steps(json!({"from": 0, "to": 10, "step": 4}), json!([0, 4, 8]))]
    #[case::down(json!({"from": 3, "to": 0, "step": -2}), json!([3, 1]))]
    #[case::at_the_end_of_all(json!({"from": i64::MAX - 1, "to": i64::MAX}), json!([i64::MAX - 1, i64::MAX]))]
    fn ranges_hold_both_ends(#[case] written: Value, #[case] expected: Value) {
        assert_eq!(of(written), Ok(expected));
    }

    #[rstest]
    #[case(json!({"from": 1}), Error::Missing("to"))]
    #[case(json!({"to": 1}), Error::Missing("from"))]
    #[case(json!({"from": 1, "to": 2, "by": 1}), Error::Unknown("by".to_owned()))]
    #[case(json!({"from": 1, "to": 2.5}), Error::NoNumber { field: "to", found: json!(2.5) })]
    #[case(json!({"from": 1, "to": 2, "step": 0}), Error::NoStep)]
    #[case(json!({"from": 1, "to": 1_000_000}), Error::TooLong)]
    fn what_is_no_range_is_told(#[case] written: Value, #[case] expected: Error) {
        assert_eq!(of(written), Err(expected));
    }
}
