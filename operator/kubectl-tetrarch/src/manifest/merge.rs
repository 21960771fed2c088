//! Merging manifests as server-side apply does it.

use serde_json::Value;

/// Merges what one more manager applies: objects are merged, lists of named elements by their names, the rest replaces.
pub fn apply(target: &mut Value, applied: &Value) {
    match (target, applied) {
        (Value::Object(target), Value::Object(applied)) => {
            for (key, value) in applied {
                apply(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(applied)) if is_named(target) && is_named(applied) => {
            for element in applied {
                match target.iter_mut().find(|known| known["name"] == element["name"]) {
                    Some(known) => apply(known, element),
                    None => target.push(element.clone()),
                }
            }
        }
        (target, applied) => *target = applied.clone(),
    }
}

fn is_named(list: &[Value]) -> bool {
    list.iter().all(|element| element["name"].is_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_elements_are_merged_by_name() {
        let mut root = json!({"policies": [{"name": "a", "limits": {"agents": 5}}], "hours": [1]});
        apply(&mut root, &json!({"policies": [{"name": "a", "limits": {"agents": 3}}, {"name": "b"}], "hours": [2]}));
        assert_eq!(root, json!({"policies": [{"name": "a", "limits": {"agents": 3}}, {"name": "b"}], "hours": [2]}));
    }
}
