//! The NetworkPolicies of a Domain: everything is closed but what supervisors and sidecars need.
//!
//! Nothing opens the way to model endpoints, because nobody but the cluster's owner can say which they are: add a
//! NetworkPolicy of your own that selects `app.kubernetes.io/component: agent` and allows egress to them; policies add up.
//! Probes come from the node, which NetworkPolicies never stop, and a sidecar reaches its agent over loopback.

use serde_json::{Value, json};

use tetrarch_protocol::snapshot::TelemetrySnapshot;

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
    parse::orchestrator::collector_port,
    settings::Settings,
};

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// All NetworkPolicies, the closing one first.
pub fn policies(
    namespace: &str,
    labels: &Value,
    settings: &Settings,
    telemetry: Option<&TelemetrySnapshot>,
) -> Vec<Object> {
    let policy = |name: &str, spec: Value| {
        Object::new(
            ObjectKey::namespaced(Kind::NetworkPolicy, namespace, name),
            json!({ "metadata": { "labels": labels }, "spec": spec }),
        )
    };
    let mut policies = vec![
        policy(names::POLICY_DEFAULT_DENY, json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })),
        // To any address, because a node-local cache answers on an address of the node and not of a pod.
        policy(
            names::POLICY_DNS,
            json!({
                "podSelector": {},
                "policyTypes": ["Egress"],
                "egress": [{ "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }] }],
            }),
        ),
        policy(names::POLICY_BUS, bus_egress(settings)),
        policy(names::POLICY_METRICS, metrics_ingress(settings)),
        policy(names::POLICY_HOOKS, hooks_ingress()),
    ];
    let collector = telemetry.and_then(|telemetry| collector_port(&telemetry.otlp_endpoint));
    policies.extend(collector.map(|port| policy(names::POLICY_TELEMETRY, telemetry_egress(port))));
    policies
}

/// To any address, because a name says nothing of the pods or nodes behind it. Agents never send traces this way.
fn telemetry_egress(port: u16) -> Value {
    json!({
        "podSelector": { "matchLabels": { names::LABEL_COMPONENT: names::Component::Supervisor.as_str() } },
        "policyTypes": ["Egress"],
        "egress": [{ "ports": [{ "port": port, "protocol": "TCP" }] }],
    })
}

/// Pods that the operator makes: runtimes of Supervisors and agents.
fn our_pods() -> Value {
    json!({ "matchExpressions": [{
        "key": names::LABEL_COMPONENT,
        "operator": "In",
        "values": [names::Component::Agent.as_str(), names::Component::Supervisor.as_str()],
    }] })
}

fn bus_egress(settings: &Settings) -> Value {
    let mut rule = json!({ "ports": [{ "port": settings.bus.port, "protocol": "TCP" }] });
    if let Some(namespace) = &settings.bus.namespace {
        rule["to"] = json!([{ "namespaceSelector": { "matchLabels": { NAMESPACE_NAME: namespace } } }]);
    }
    json!({ "podSelector": our_pods(), "policyTypes": ["Egress"], "egress": [rule] })
}

/// Not from everywhere, because the port of a sidecar also takes the request to drain.
fn metrics_ingress(settings: &Settings) -> Value {
    json!({
        "podSelector": our_pods(),
        "policyTypes": ["Ingress"],
        "ingress": [{
            "from": [
                { "namespaceSelector": { "matchLabels": { NAMESPACE_NAME: settings.operator_namespace } } },
                { "namespaceSelector": { "matchLabels": { names::LABEL_METRICS_ACCESS: "allowed" } } },
            ],
            "ports": [
                { "port": names::SUPERVISOR_HTTP_PORT, "protocol": "TCP" },
                { "port": names::SIDECAR_HTTP_PORT, "protocol": "TCP" },
            ],
        }],
    })
}

/// From namespaces that somebody has labelled, such as that of the Ingress controller.
fn hooks_ingress() -> Value {
    json!({
        "podSelector": { "matchLabels": { names::LABEL_COMPONENT: names::Component::Supervisor.as_str() } },
        "policyTypes": ["Ingress"],
        "ingress": [{
            "from": [{ "namespaceSelector": { "matchLabels": { names::LABEL_HOOKS_ACCESS: "allowed" } } }],
            "ports": [{ "port": names::SUPERVISOR_HOOKS_PORT, "protocol": "TCP" }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_supervisors_reach_the_collector_of_traces() {
        let policy = telemetry_egress(4318);
        assert_eq!(policy["podSelector"]["matchLabels"][names::LABEL_COMPONENT], "supervisor");
        assert_eq!(policy["egress"], json!([{ "ports": [{ "port": 4318, "protocol": "TCP" }] }]));
    }
}
