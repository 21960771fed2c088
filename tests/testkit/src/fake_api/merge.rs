//! JSON merge: objects are merged, `null` removes, everything else replaces.

use serde_json::Value;

/// `patch` over `base`.
pub fn merge(base: &Value, patch: &Value) -> Value {
    let (Value::Object(base), Value::Object(patch)) = (base, patch) else { return patch.clone() };
    let mut merged = base.clone();
    for (key, value) in patch {
        if value.is_null() {
            merged.remove(key);
        } else {
            let old = merged.get(key).cloned().unwrap_or(Value::Null);
            merged.insert(key.clone(), if old.is_object() { merge(&old, value) } else { value.clone() });
        }
    }
    Value::Object(merged)
}
