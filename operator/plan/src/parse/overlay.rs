//! What an overlay on the pod template may hold: nothing that the pool's own fields say, that belongs to the sidecar, or
//! that Pod Security `restricted` forbids.

use serde_json::{Map, Value};

use crate::{names, violation::Violations};

const PATH: &str = "spec.agent.podTemplate";

/// Fields of the pod that are refused, and what to do instead.
const POD_FIELDS: [(&str, &str); 11] = [
    ("activeDeadlineSeconds", "agents live as long as the pool: leave it out"),
    (
        "automountServiceAccountToken",
        "agents have no access to the Kubernetes API: mount a projected token as a volume if one needs it",
    ),
    ("ephemeralContainers", "they cannot be part of a template: leave them out"),
    ("hostIPC", "is forbidden by the Pod Security level of the namespace: leave it out"),
    ("hostNetwork", "is forbidden by the Pod Security level of the namespace: leave it out"),
    ("hostPID", "is forbidden by the Pod Security level of the namespace: leave it out"),
    ("restartPolicy", "agents are always restarted: leave it out"),
    ("serviceAccount", "the pool has its own ServiceAccount: leave it out"),
    ("serviceAccountName", "the pool has its own ServiceAccount: leave it out"),
    ("shareProcessNamespace", "would open the sidecar's credentials to the agent: leave it out"),
    ("terminationGracePeriodSeconds", "follows from spec.drain.timeout: write that instead"),
];

/// Fields of the agent's container that the pool itself has, and where.
const AGENT_FIELDS: [(&str, &str); 5] = [
    ("image", "write spec.agent.image instead"),
    ("imagePullPolicy", "write spec.agent.imagePullPolicy instead"),
    ("args", "write spec.agent.args instead"),
    ("resources", "write spec.agent.resources instead"),
    ("lifecycle", "the sidecar's drain hangs on it: leave it out"),
];

/// The overlay, with everything that is wrong with it noted.
pub fn check(overlay: &Value, violations: &mut Violations) -> Option<Map<String, Value>> {
    let Some(overlay) = overlay.as_object() else {
        violations.add(PATH, "is no object: write the fields of a pod template, metadata and spec");
        return None;
    };
    for (field, value) in overlay {
        match field.as_str() {
            "metadata" => check_metadata(value, violations),
            "spec" => check_spec(value, violations),
            _ => violations.add(format!("{PATH}.{field}"), "is no field of a pod template: write metadata or spec"),
        }
    }
    Some(overlay.clone())
}

fn check_metadata(metadata: &Value, violations: &mut Violations) {
    let Some(metadata) = object(&format!("{PATH}.metadata"), metadata, violations) else { return };
    for (field, value) in metadata {
        let path = format!("{PATH}.metadata.{field}");
        if field != "labels" && field != "annotations" {
            violations.add(path, "cannot be set here: write labels or annotations");
            continue;
        }
        for key in object(&path, value, violations).into_iter().flat_map(Map::keys) {
            if key.starts_with("tetrarch.dev/") || key.starts_with("app.kubernetes.io/") {
                violations.add(format!("{path}[{key:?}]"), "is the operator's own: choose another key");
            }
        }
    }
}

fn check_spec(spec: &Value, violations: &mut Violations) {
    let path = format!("{PATH}.spec");
    let Some(spec) = object(&path, spec, violations) else { return };
    for (field, remedy) in POD_FIELDS {
        if spec.contains_key(field) {
            violations.add(format!("{path}.{field}"), remedy);
        }
    }
    check_security(&format!("{path}.securityContext"), spec.get("securityContext"), violations);
    for list in ["containers", "initContainers"] {
        for (index, container) in elements(&path, list, spec, violations) {
            check_container(&format!("{path}.{list}[{index}]"), list, container, violations);
        }
    }
    for (index, volume) in elements(&path, "volumes", spec, violations) {
        let path = format!("{path}.volumes[{index}]");
        check_element_name(&path, volume, violations);
        if volume.get("hostPath").is_some() {
            violations.add(
                format!("{path}.hostPath"),
                "is forbidden by the Pod Security level of the namespace: use another kind of volume",
            );
        }
        if volume["name"].as_str().is_some_and(|name| name.starts_with("tetrarch-")) {
            violations.add(
                format!("{path}.name"),
                "names that begin with tetrarch- are the operator's own: choose another one",
            );
        }
    }
}

fn check_container(path: &str, list: &str, container: &Value, violations: &mut Violations) {
    check_element_name(path, container, violations);
    let name = container["name"].as_str().unwrap_or_default();
    if name == names::CONTAINER_SIDECAR {
        violations.add(path, "the sidecar cannot be changed: leave it out");
    } else if name == names::CONTAINER_AGENT && list == "containers" {
        for (field, remedy) in AGENT_FIELDS {
            if container.get(field).is_some() {
                violations.add(format!("{path}.{field}"), remedy);
            }
        }
    } else if container["image"].as_str().is_none_or(str::is_empty) {
        violations.add(format!("{path}.image"), "is missing: write the image of this further container");
    }
    check_security(&format!("{path}.securityContext"), container.get("securityContext"), violations);
    let Some(fields) = container.as_object() else { return };
    for (index, mount) in elements(path, "volumeMounts", fields, violations) {
        if mount["name"] == names::VOLUME_BUS {
            violations.add(
                format!("{path}.volumeMounts[{index}].name"),
                "the bus credentials are the sidecar's: leave it out",
            );
        }
    }
}

fn check_security(path: &str, context: Option<&Value>, violations: &mut Violations) {
    let Some(context) = context else { return };
    let forbidden = [
        ("privileged", context["privileged"] == true),
        ("allowPrivilegeEscalation", context["allowPrivilegeEscalation"] == true),
        ("runAsNonRoot", context["runAsNonRoot"] == false),
        ("runAsUser", context["runAsUser"] == 0),
        ("capabilities.add", context["capabilities"]["add"].as_array().is_some_and(|add| !add.is_empty())),
        ("seccompProfile.type", context["seccompProfile"]["type"] == "Unconfined"),
        ("procMount", context["procMount"] == "Unmasked"),
    ];
    for (field, _) in forbidden.into_iter().filter(|(_, found)| *found) {
        violations.add(
            format!("{path}.{field}"),
            "is forbidden by the Pod Security level restricted of the namespace: leave it out",
        );
    }
}

fn check_element_name(path: &str, element: &Value, violations: &mut Violations) {
    if element["name"].as_str().is_none_or(str::is_empty) {
        violations.add(format!("{path}.name"), "is missing: write the name by which it is merged");
    }
}

fn object<'a>(path: &str, value: &'a Value, violations: &mut Violations) -> Option<&'a Map<String, Value>> {
    if value.as_object().is_none() {
        violations.add(path, "is no object: write fields and values");
    }
    value.as_object()
}

fn elements<'a>(
    path: &str,
    field: &str,
    parent: &'a Map<String, Value>,
    violations: &mut Violations,
) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
    let list = parent.get(field);
    if list.is_some_and(|list| !list.is_array()) {
        violations.add(format!("{path}.{field}"), "is no list: write one element for each entry");
    }
    list.and_then(Value::as_array).into_iter().flatten().enumerate()
}
