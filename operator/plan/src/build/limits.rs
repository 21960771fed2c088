//! Limits on the compute of a Domain: the ResourceQuota, and the LimitRange that lets pods without requests pass it.

use serde_json::{Value, json};
use tetrarch_core::capacity::{Amounts, Resource};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
    parse::domain::Quota,
    quantity,
};

/// Extended resources that count as GPUs and that a ResourceQuota can bound, which must be named one by one.
const GPUS: [&str; 2] = ["nvidia.com/gpu", "amd.com/gpu"];

/// The ResourceQuota; only requests are limited, because they are what a node's room is given away by. Where more is booked
/// than the quota gives, because a level above has granted it, there is room for what is booked.
pub fn quota(namespace: &str, labels: &Value, quota: &Quota, booked: Amounts) -> Object {
    let mut hard = json!({});
    let larger = |written: &str, of: Option<u64>, resource: Resource| {
        let booked = booked.get(resource);
        if of.is_some_and(|of| booked > of) { json!(resource.quantity(booked).to_string()) } else { json!(written) }
    };
    if let Some(cpu) = &quota.cpu {
        hard["requests.cpu"] = larger(cpu, quantity::millis(cpu).ok(), Resource::Cpu);
    }
    if let Some(memory) = &quota.memory {
        hard["requests.memory"] = larger(memory, quantity::units(memory).ok(), Resource::Memory);
    }
    if let Some(gpus) = quota.gpus {
        for name in GPUS {
            hard[format!("requests.{name}")] = larger(&gpus.to_string(), u64::try_from(gpus).ok(), Resource::Gpus);
        }
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
