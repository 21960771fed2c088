//! Limits on the compute of a Domain: the ResourceQuota, and the LimitRange that lets pods without requests pass it.

use serde_json::{Value, json};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
    parse::domain::Quota,
};

/// The ResourceQuota; only requests are limited, because they are what a node's room is given away by.
pub fn quota(namespace: &str, labels: &Value, quota: &Quota) -> Object {
    let mut hard = json!({});
    if let Some(cpu) = &quota.cpu {
        hard["requests.cpu"] = json!(cpu);
    }
    if let Some(memory) = &quota.memory {
        hard["requests.memory"] = json!(memory);
    }
    Object::new(
        ObjectKey::namespaced(Kind::ResourceQuota, namespace, names::QUOTA),
        json!({ "metadata": { "labels": labels }, "spec": { "hard": hard } }),
    )
}

/// The LimitRange: requests for containers that name none. Limits are not defaulted, they would kill agents by surprise.
pub fn limit_range(namespace: &str, labels: &Value) -> Object {
    Object::new(
        ObjectKey::namespaced(Kind::LimitRange, namespace, names::LIMIT_RANGE),
        json!({
            "metadata": { "labels": labels },
            "spec": { "limits": [{ "type": "Container", "defaultRequest": { "cpu": "50m", "memory": "64Mi" } }] },
        }),
    )
}
