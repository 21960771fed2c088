//! The HorizontalPodAutoscaler of a pool.

use serde_json::{Value, json};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
    parse::agent_pool::Autoscaling,
};

/// The autoscaler of the Deployment of the same name. It looks at the agent's container only: the sidecar's share would
/// shift the percentages that a user writes for the agent.
pub fn autoscaler(namespace: &str, name: &str, metadata: &Value, scaling: &Autoscaling) -> Object {
    let metric = |resource: &str, percent: i32| {
        json!({
            "type": "ContainerResource",
            "containerResource": {
                "name": resource,
                "container": names::CONTAINER_AGENT,
                "target": { "type": "Utilization", "averageUtilization": percent },
            },
        })
    };
    Object::new(
        ObjectKey::namespaced(Kind::HorizontalPodAutoscaler, namespace, name),
        json!({
            "metadata": metadata,
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
                "minReplicas": scaling.min,
                "maxReplicas": scaling.max,
                "metrics": [metric("cpu", scaling.cpu_percent), metric("memory", scaling.memory_percent)],
                "behavior": {
                    "scaleUp": { "stabilizationWindowSeconds": scaling.up.as_secs() },
                    "scaleDown": { "stabilizationWindowSeconds": scaling.down.as_secs() },
                },
            },
        }),
    )
}
