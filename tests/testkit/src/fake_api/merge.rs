//! JSON merge: objects are merged, `null` removes, everything else replaces.

use serde_json::Value;

/// `patch` over `base`, as [RFC 7396](https://www.rfc-editor.org/rfc/rfc7396#section-2) has it.
pub fn merge(base: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = base.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            merged.remove(key);
        } else {
            let old = merged.get(key).unwrap_or(&Value::Null);
            let new = merge(old, value);
            merged.insert(key.clone(), new);
        }
    }
    Value::Object(merged)
}
