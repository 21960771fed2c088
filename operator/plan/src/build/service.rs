//! Services and disruption budgets: how the pods of a Supervisor or a pool are found for metrics, and kept while nodes are drained.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
};

/// A headless Service over the metrics port. Pods that are not ready are listed too: their metrics say why.
pub fn metrics_service(
    namespace: &str,
    name: &str,
    metadata: &Value,
    selector: &BTreeMap<String, String>,
    port: u16,
) -> Object {
    Object::new(
        ObjectKey::namespaced(Kind::Service, namespace, names::service(name)),
        json!({
            "metadata": metadata,
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": true,
                "selector": selector,
                "ports": [{ "name": "metrics", "port": port, "targetPort": port, "protocol": "TCP" }],
            },
        }),
    )
}

/// A budget that lets at most `max_unavailable` pods (a number or a percentage) go at once.
pub fn disruption_budget(
    namespace: &str,
    name: &str,
    metadata: &Value,
    selector: &BTreeMap<String, String>,
    max_unavailable: &Value,
) -> Object {
    Object::new(
        ObjectKey::namespaced(Kind::PodDisruptionBudget, namespace, name),
        json!({
            "metadata": metadata,
            "spec": {
                "maxUnavailable": max_unavailable,
                "selector": { "matchLabels": selector },
                // A pod that is broken must not keep a node from being drained.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        }),
    )
}

/// A ServiceAccount whose token is mounted nowhere: its pods do not talk to the Kubernetes API.
pub fn service_account(namespace: &str, name: &str, metadata: &Value) -> Object {
    Object::new(
        ObjectKey::namespaced(Kind::ServiceAccount, namespace, name),
        json!({ "metadata": metadata, "automountServiceAccountToken": false }),
    )
}
