//! The overlay that a pool lays over the pod template: a strategic merge that can change neither the sidecar nor the
//! security of the pod.
//!
//! Lists whose elements have a key are merged by it, as the API server's strategic merge patch does; every other list is
//! replaced. `null` removes a field.

use serde_json::{Map, Value, json};

use crate::{build::pod, names};

/// The key by which the elements of a list are matched, by the list's field name.
fn merge_key(field: &str) -> Option<&'static str> {
    match field {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => Some("name"),
        "ports" => Some("containerPort"),
        "volumeMounts" => Some("mountPath"),
        "topologySpreadConstraints" => Some("topologyKey"),
        "hostAliases" => Some("ip"),
        _ => None,
    }
}

/// The template with the overlay on it. The overlay must have passed [`crate::parse::overlay::check`]; what Pod Security
/// `restricted` needs is written again after the merge, so that an overlay which passed by mistake still could not loosen it.
pub fn apply(template: Value, overlay: &Map<String, Value>) -> Value {
    let sidecar = template["spec"]["initContainers"].as_array().and_then(|all| all.first()).cloned();
    let mut merged = merge(template, Value::Object(overlay.clone()));
    let spec = &mut merged["spec"];
    restrict_pod(&mut spec["securityContext"]);
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            restrict_container(&mut container["securityContext"]);
        }
    }
    if let (Some(sidecar), Some(all)) = (sidecar, spec["initContainers"].as_array_mut()) {
        // First, so that further init containers of the overlay come after it and stop before it.
        all.retain(|container| container["name"] != names::CONTAINER_SIDECAR);
        all.insert(0, sidecar);
    }
    merged
}

fn restrict_pod(context: &mut Value) {
    context["runAsNonRoot"] = json!(true);
    if context["seccompProfile"]["type"] != "Localhost" {
        context["seccompProfile"] = pod::pod_security()["seccompProfile"].clone();
    }
}

/// A container that says nothing gets the defaults; of these it may only make the root file system writable.
fn restrict_container(context: &mut Value) {
    let mut restricted = pod::container_security();
    if context["readOnlyRootFilesystem"] == json!(false) {
        restricted["readOnlyRootFilesystem"] = json!(false);
    }
    if let (Some(kept), Some(forced)) = (context.as_object(), restricted.as_object_mut()) {
        for field in ["runAsUser", "runAsGroup"] {
            if let Some(value) = kept.get(field) {
                forced.insert(field.to_owned(), value.clone());
            }
        }
    }
    *context = restricted;
}

fn merge(base: Value, overlay: Value) -> Value {
    match (base, overlay) {
        (Value::Object(mut base), Value::Object(overlay)) => {
            for (field, value) in overlay {
                if value.is_null() {
                    base.remove(&field);
                    continue;
                }
                let merged = match (base.remove(&field), merge_key(&field)) {
                    (Some(Value::Array(old)), Some(key)) => merge_list(old, value, key),
                    (Some(old), _) => merge(old, value),
                    (None, _) => value,
                };
                base.insert(field, merged);
            }
            Value::Object(base)
        }
        (_, overlay) => overlay,
    }
}

fn merge_list(mut base: Vec<Value>, overlay: Value, key: &str) -> Value {
    let Value::Array(overlay) = overlay else { return Value::Array(base) };
    for element in overlay {
        let found = base.iter().position(|old| !element[key].is_null() && old[key] == element[key]);
        match found {
            Some(at) => {
                let old = base[at].take();
                base[at] = merge(old, element);
            }
            None => base.push(element),
        }
    }
    Value::Array(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Value {
        json!({ "metadata": { "labels": { "a": "1" } }, "spec": {
            "securityContext": pod::pod_security(),
            "initContainers": [{ "name": names::CONTAINER_SIDECAR, "image": "ours", "securityContext": pod::container_security() }],
            "containers": [{ "name": "agent", "image": "theirs", "env": [{ "name": "A", "value": "1" }], "securityContext": pod::container_security() }],
        } })
    }

    fn applied(overlay: &Value) -> Value {
        apply(template(), overlay.as_object().unwrap())
    }

    #[test]
    fn containers_and_their_environment_merge_by_name() {
        let merged = applied(&json!({ "spec": { "containers": [
            { "name": "agent", "env": [{ "name": "B", "value": "2" }, { "name": "A", "value": "3" }] },
            { "name": "log", "image": "tail" },
        ] } }));
        let containers = &merged["spec"]["containers"];
        assert_eq!(containers[0]["image"], "theirs");
        assert_eq!(containers[0]["env"], json!([{ "name": "A", "value": "3" }, { "name": "B", "value": "2" }]));
        assert_eq!(containers[1]["securityContext"], pod::container_security());
    }

    #[test]
    fn null_removes_and_plain_lists_replace() {
        let merged = applied(
            &json!({ "metadata": { "labels": { "a": null, "b": "2" } }, "spec": { "tolerations": [{ "key": "gpu" }] } }),
        );
        assert_eq!(merged["metadata"]["labels"], json!({ "b": "2" }));
        assert_eq!(merged["spec"]["tolerations"], json!([{ "key": "gpu" }]));
    }

    #[test]
    fn neither_sidecar_nor_security_can_be_changed() {
        let merged = applied(&json!({ "spec": {
            "securityContext": { "runAsNonRoot": false, "runAsUser": 1000, "seccompProfile": { "type": "Unconfined" } },
            "initContainers": [{ "name": "first", "image": "i" }, { "name": names::CONTAINER_SIDECAR, "image": "evil" }],
            "containers": [{ "name": "agent", "securityContext": { "privileged": true, "capabilities": { "add": ["ALL"] }, "readOnlyRootFilesystem": false } }],
        } }));
        let spec = &merged["spec"];
        assert_eq!(spec["initContainers"][0], template()["spec"]["initContainers"][0]);
        assert_eq!(spec["initContainers"][1]["name"], "first");
        assert_eq!(spec["securityContext"]["runAsUser"], 1000);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let security = &spec["containers"][0]["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], false);
        assert!(security["privileged"].is_null() && security["capabilities"]["add"].is_null());
    }
}
