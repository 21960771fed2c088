//! Parts of pods that supervisors and agents share: security, the bus, probes, environment.

use serde_json::{Value, json};
use tetrarch_crds::agent_pool::ImagePullPolicy;

use crate::{names, settings::Settings};

/// The user that everything runs as when nothing else is said: the one that distroless images call `nonroot`.
pub const NONROOT: i64 = 65532;

/// The pull policy as in a container.
pub const fn pull_policy(policy: ImagePullPolicy) -> &'static str {
    match policy {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    }
}

/// A pod's security context that Pod Security `restricted` asks for.
pub fn pod_security() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": NONROOT,
        "runAsGroup": NONROOT,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// A container's security context: `restricted`, and a root file system that nothing can be written to.
pub fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
    })
}

/// The volume with the credentials for the bus. Readable by any user of the pod, since the containers that mount it decide.
pub fn bus_volume(secret: &str) -> Value {
    json!({ "name": names::VOLUME_BUS, "secret": { "secretName": secret, "defaultMode": 0o444 } })
}

/// Where a container sees that volume.
pub fn bus_mount() -> Value {
    json!({ "name": names::VOLUME_BUS, "mountPath": names::BUS_MOUNT_PATH, "readOnly": true })
}

/// The environment that supervisors and sidecars share.
pub fn environment(settings: &Settings, domain: &str, supervisor: &str, http_port: u16) -> Vec<Value> {
    vec![
        variable("TETRARCH_BUS_URL", &settings.bus.url),
        variable("TETRARCH_BUS_CREDENTIALS", &format!("{}/{}", names::BUS_MOUNT_PATH, names::BUS_SECRET_CREDENTIALS)),
        variable("TETRARCH_BUS_CA", &format!("{}/{}", names::BUS_MOUNT_PATH, names::BUS_SECRET_CA)),
        variable("TETRARCH_DOMAIN", domain),
        variable("TETRARCH_SUPERVISOR", supervisor),
        variable("TETRARCH_HTTP_ADDR", &format!("0.0.0.0:{http_port}")),
        variable("TETRARCH_LOG", &settings.log_filter),
        json!({ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }),
    ]
}

/// One variable of an environment.
pub fn variable(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// A port of a container.
pub fn port(name: &str, port: impl Into<i64>) -> Value {
    json!({ "name": name, "containerPort": port.into(), "protocol": "TCP" })
}

/// A probe by HTTP.
pub fn probe(path: &str, port: u16, period_seconds: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": port },
        "periodSeconds": period_seconds,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    })
}

/// Spreads the pods of one selector over nodes and zones as far as there are some.
pub fn spread(selector: &Value) -> Value {
    let over = |key: &str| {
        json!({
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": selector },
        })
    };
    json!([over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")])
}
