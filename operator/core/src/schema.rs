//! JSON Schemas of outputs: compiled once, asked often, without network and in time that follows from schema and value.
//!
//! A schema refers to itself only (`#/$defs/…`); nothing is ever fetched. Patterns are those of the `regex` crate, whose time
//! grows with the text and not with what it could be. What is found is the same on every replica, and holds no part of the value.

use std::{collections::BTreeSet, fmt};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Largest schema, as JSON text in bytes.
pub const MAX_SIZE: usize = 64 * 1024;
/// Violations that are told; the others are counted.
pub const MAX_TOLD: usize = 5;
/// Longest text of one violation, in characters.
const MAX_TEXT: usize = 200;

/// Most places of a schema when its references are written out: what a value costs at most for each of its parts.
pub const MAX_PLACES: usize = 2_000;
/// Longest chain of references.
const MAX_CHAIN: usize = 32;
/// The drafts that are understood; without `$schema` it is the first.
const DRAFTS: [&str; 3] = [
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
];

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is too large.
    #[error("the schema has {0} bytes as JSON")]
    Size(usize),
    /// It asks too much.
    #[error("the schema has more than {MAX_PLACES} places when its references are written out")]
    Places,
    /// It refers to itself, or to nothing, or to something outside.
    #[error("the reference {0:?} {1}")]
    Reference(String, &'static str),
    /// It is of a draft that is not understood.
    #[error("the draft {0:?} is not understood")]
    Draft(String),
    /// It is no schema.
    #[error("this is no JSON Schema that can be used (at {pointer:?}): {message}")]
    Invalid {
        /// JSON pointer to the place in the schema.
        pointer: String,
        /// What the compiler says.
        message: String,
    },
}

impl Error {
    /// What to write instead.
    pub fn remedy(&self) -> String {
        match self {
            Self::Size(_) => format!("write at most {MAX_SIZE} bytes"),
            Self::Places => "ask for less, or write the common part of allOf and the like once".to_owned(),
            Self::Reference(..) => "write #/$defs/<name> with a name of the schema's own $defs".to_owned(),
            Self::Draft(_) => "leave $schema out, which is the draft 2020-12, or write that of draft-07".to_owned(),
            Self::Invalid { .. } => "write it as the draft 2020-12 has it".to_owned(),
        }
    }
}

/// A compiled schema.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    /// Compiles a schema of the draft 2020-12, which is the one without `$schema`, or of draft-07.
    ///
    /// # Errors
    ///
    /// It is no schema, is too large, or refers to itself or to something outside.
    pub fn compile(schema: &Value) -> Result<Self, Error> {
        let size = serde_json::to_vec(schema).map_or(usize::MAX, |text| text.len());
        if size > MAX_SIZE {
            return Err(Error::Size(size));
        }
        if let Some(draft) = schema.get("$schema")
            && !draft.as_str().is_some_and(|draft| DRAFTS.contains(&draft))
        {
            return Err(Error::Draft(draft.as_str().map_or_else(|| draft.to_string(), str::to_owned)));
        }
        let mut places = 0;
        count_places(schema, schema, &mut vec![""], &mut places)?;
        let options = jsonschema::options().offline().with_pattern_options(PatternOptions::regex());
        options.build(schema).map(Self).map_err(|error| Error::Invalid {
            pointer: error.instance_path().to_string(),
            message: bounded(&error.masked().to_string()),
        })
    }

    /// What a value violates, each with the JSON pointer to its place; none when it is as it should be.
    pub fn violations(&self, value: &Value) -> Option<String> {
        let mut told = BTreeSet::new();
        let mut found = 0_usize;
        for error in self.0.iter_errors(value) {
            found += 1;
            told.insert((error.instance_path().to_string(), bounded(&error.masked().to_string())));
            if told.len() > MAX_TOLD {
                told.pop_last();
            }
        }
        if found == 0 {
            return None;
        }
        let texts: Vec<String> = told.iter().map(|(pointer, message)| format!("at {pointer:?}: {message}")).collect();
        let more = found.saturating_sub(texts.len());
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Some(format!("{}{more}", texts.join("; ")))
    }
}

/// Counts what is asked when every reference is written out, so that neither a circle nor a reference that doubles at each
/// level makes a check that does not end.
fn count_places<'s>(
    root: &'s Value,
    place: &'s Value,
    chain: &mut Vec<&'s str>,
    places: &mut usize,
) -> Result<(), Error> {
    let children: Vec<(&str, &'s Value)> = match place {
        Value::Object(members) => members.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        Value::Array(elements) => elements.iter().map(|value| ("", value)).collect(),
        _ => return Ok(()),
    };
    *places += 1;
    if *places > MAX_PLACES {
        return Err(Error::Places);
    }
    let is_root = std::ptr::eq(root, place);
    for (name, child) in children {
        let told = |reference: &str, why| Err(Error::Reference(reference.to_owned(), why));
        match (name, child) {
            ("$id", Value::String(id)) if !is_root => return told(id, "names a place of its own"),
            ("$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                return told(reference, "depends on who asks");
            }
            ("$ref", Value::String(reference)) => {
                let Some(pointer) = reference.strip_prefix('#') else { return told(reference, "leaves the schema") };
                let Some(meant) = root.pointer(pointer) else { return told(reference, "leads to nothing") };
                if chain.contains(&pointer) || chain.len() > MAX_CHAIN {
                    return told(reference, "leads in a circle, or through too many others");
                }
                chain.push(pointer);
                count_places(root, meant, chain, places)?;
                chain.pop();
            }
            _ => count_places(root, child, chain, places)?,
        }
    }
    Ok(())
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    //! Tests of schemas: what is found, and what is refused.

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn told(schema: &Value, value: &Value) -> Option<String> {
        Schema::compile(schema).unwrap().violations(value)
    }

    #[test]
    fn violations_name_the_place_and_no_value() {
        let schema = json!({
            "type": "object", "required": ["total"],
            "properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}},
        });
        let found = told(&schema, &json!({"items": [{"price": "secret"}]})).unwrap();
        assert_eq!(
            found,
            r#"at "": "total" is a required property; at "/items/0/price": value is not of type "number""#
        );
        assert_eq!(told(&schema, &json!({"total": 1, "items": [{"price": 2}]})), None);
    }

    #[test]
    fn many_violations_are_told_in_one_order_and_counted() {
        let wrong: serde_json::Map<String, Value> = (0..40).map(|index| (format!("k{index:02}"), json!(1))).collect();
        let found = told(&json!({"additionalProperties": {"type": "string"}}), &Value::Object(wrong)).unwrap();
        assert!(found.starts_with("at \"/k00\": ") && found.ends_with("; and 35 more"), "{found}");
    }

    #[rstest]
    #[case::no_schema(json!({"type": "number?"}), "this is no JSON Schema that can be used (at \"/type\")")]
    #[case::outside(json!({"$ref": "https://example.com/x.json"}), "\"https://example.com/x.json\" leaves the schema")]
    #[case::a_file(json!({"$ref": "file:///etc/passwd"}), "leaves the schema")]
    #[case::missing(json!({"$ref": "#/$defs/x"}), "leads to nothing")]
    #[case::moved(json!({"properties": {"a": {"$id": "https://example.com/x.json"}}}), "names a place of its own")]
    #[case::itself(json!({"$ref": "#"}), "leads in a circle")]
    #[case::a_tree(json!({"properties": {"children": {"items": {"$ref": "#"}}}}), "leads in a circle")]
    #[case::in_a_circle(
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
        "leads in a circle"
    )]
    #[case::of_whom(json!({"$dynamicRef": "#x"}), "depends on who asks")]
    #[case::look_behind(json!({"pattern": "(?<=a)b"}), "(at \"/pattern\")")]
    #[case::old(json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "the draft")]
    fn what_cannot_be_used_is_refused(#[case] schema: Value, #[case] expected: &str) {
        let refused = Schema::compile(&schema).unwrap_err();
        assert!(refused.to_string().contains(expected) && !refused.remedy().is_empty(), "{refused}");
    }

    #[test]
    fn a_huge_schema_is_refused() {
        let schema = json!({"description": "x".repeat(MAX_SIZE)});
        assert!(matches!(Schema::compile(&schema), Err(Error::Size(_))));
    }

    /// Thirty levels would be a thousand million checks.
    #[test]
    fn a_schema_that_doubles_at_each_level_is_refused() {
        let mut schema = json!({"$ref": "#/$defs/l0", "$defs": {"l30": {"type": "string"}}});
        for level in 0..30 {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            schema["$defs"][format!("l{level}")] = json!({"allOf": [next, next]});
        }
        assert_eq!(Schema::compile(&schema).unwrap_err(), Error::Places);
    }

    #[test]
    fn a_schema_refers_to_its_own_definitions() {
        let schema = json!({"$ref": "#/$defs/pair", "$defs": {"pair": {"items": {"$ref": "#/$defs/text"}}, "text": {"type": "string"}}});
        assert_eq!(told(&schema, &json!(["a", "b"])), None);
        assert_eq!(told(&schema, &json!(["a", 1])).as_deref(), Some("at \"/1\": value is not of type \"string\""));
    }
}
