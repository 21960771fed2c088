//! The runtime of a Supervisor: Deployment, ServiceAccount, Service and disruption budget.
//!
//! There is no Role: the runtime gets its configuration and reports over the bus and never talks to the Kubernetes API,
//! so the least privilege it can have is none, and its ServiceAccount has no mounted token.

use kube_core::ResourceExt;
use serde_json::{Value, json};
use tetrarch_crds::Supervisor;

use crate::{
    build::{hooks::Hooks, pod, service},
    names::{self, Component, Position},
    object::{Kind, Object, ObjectKey, controller_ref, to_json},
    settings::Settings,
};

/// What the manifests of one Supervisor have in common.
struct Frame<'a> {
    supervisor: &'a Supervisor,
    domain: &'a str,
    namespace: String,
    name: String,
    metadata: Value,
    hooks: &'a Hooks,
}

/// Everything but the credentials, in the order in which it is applied: the Deployment after what its pods refer to, and
/// the budget last because it counts the pods. With one replica there is no budget, it could only block.
pub fn runtime(
    supervisor: &Supervisor,
    (domain, orchestrator): (&str, &str),
    settings: &Settings,
    hooks: &Hooks,
) -> Vec<Object> {
    let instance = supervisor.name_any();
    let position =
        Position { orchestrator: Some(orchestrator), domain: Some(domain), supervisor: Some(&instance), pool: None };
    let mut metadata = json!({ "labels": names::labels(Component::Supervisor, &instance, position) });
    if let Some(owner) = controller_ref(supervisor) {
        metadata["ownerReferences"] = json!([to_json(&owner)]);
    }
    let namespace = supervisor.namespace().unwrap_or_default();
    let name = names::supervisor_runtime(&instance);
    let selector = names::selector(Component::Supervisor, &instance);
    let mut objects = vec![
        service::service_account(&namespace, &name, &metadata),
        service::metrics_service(&namespace, &name, &metadata, &selector, names::SUPERVISOR_HTTP_PORT),
    ];
    objects.extend(hooks.service(&namespace, &instance, &metadata, &selector));
    let budget = (supervisor.spec.replicas > 1)
        .then(|| service::disruption_budget(&namespace, &name, &metadata, &selector, &json!(1)));
    objects.push(deployment(&Frame { supervisor, domain, namespace, name, metadata, hooks }, settings));
    objects.extend(budget);
    objects
}

fn deployment(frame: &Frame<'_>, settings: &Settings) -> Object {
    let instance = frame.supervisor.name_any();
    let selector = to_json(&names::selector(Component::Supervisor, &instance));
    let position = Position { domain: Some(frame.domain), supervisor: Some(&instance), ..Position::default() };
    let mut volumes = vec![pod::bus_volume(&names::supervisor_bus_secret(&instance))];
    volumes.extend(frame.hooks.volumes(&instance));
    Object::new(
        ObjectKey::namespaced(Kind::Deployment, frame.namespace.as_str(), frame.name.as_str()),
        json!({
            "metadata": frame.metadata,
            "spec": {
                "replicas": frame.supervisor.spec.replicas,
                "selector": { "matchLabels": selector },
                // A new replica is ready before an old one goes, also when there is only one.
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
                "template": {
                    "metadata": { "labels": names::labels(Component::Supervisor, &instance, position) },
                    "spec": {
                        "serviceAccountName": frame.name,
                        "automountServiceAccountToken": false,
                        "enableServiceLinks": false,
                        "terminationGracePeriodSeconds": 30,
                        "securityContext": pod::pod_security(),
                        "topologySpreadConstraints": pod::spread(&selector),
                        "containers": [container(frame, settings)],
                        "volumes": volumes,
                    },
                },
            },
        }),
    )
}

fn container(frame: &Frame<'_>, settings: &Settings) -> Value {
    let port = names::SUPERVISOR_HTTP_PORT;
    let mut environment = pod::environment(settings, frame.domain, &frame.supervisor.name_any(), port);
    environment.extend(frame.hooks.environment());
    let (mut ports, mut mounts) = (vec![pod::port("metrics", port)], vec![pod::bus_mount()]);
    ports.extend(frame.hooks.port());
    mounts.extend(frame.hooks.mounts());
    json!({
        "name": names::CONTAINER_SUPERVISOR,
        "image": settings.supervisor_image,
        "imagePullPolicy": pod::pull_policy(settings.image_pull_policy),
        "args": ["serve"],
        "env": environment,
        "ports": ports,
        "resources": resources(frame.supervisor),
        "securityContext": pod::container_security(),
        "volumeMounts": mounts,
        "readinessProbe": pod::probe("/readyz", port, 5, 3),
        "livenessProbe": pod::probe("/healthz", port, 10, 6),
    })
}

fn resources(supervisor: &Supervisor) -> Value {
    supervisor.spec.resources.as_ref().map_or_else(
        || json!({ "requests": { "cpu": "50m", "memory": "64Mi" }, "limits": { "memory": "512Mi" } }),
        to_json,
    )
}
