//! The agents of a pool: Deployment, ServiceAccount, Service, disruption budget and autoscaler.

use kube_core::ResourceExt;
use serde_json::{Value, json};
use tetrarch_core::id::Name;
use tetrarch_crds::AgentPool;

use crate::{
    build::{autoscaler, overlay, pod, service},
    governance::{offer, region},
    names::{self, Component, Position},
    object::{Kind, Object, ObjectKey, controller_ref, to_json},
    parse::agent_pool::{Pool, Size},
    settings::Settings,
};

/// Who owns the number of agents, as [`names::ANNOTATION_REPLICAS_OWNER`] says it.
pub const OWNED_BY_POOL: &str = "pool";
/// See [`OWNED_BY_POOL`].
pub const OWNED_BY_AUTOSCALER: &str = "autoscaler";

/// Time that the rest of a shutdown may take after the drain.
const AFTER_DRAIN_SECONDS: u64 = 30;

/// Room for the agent's temporary files, since its root file system is read-only.
const VOLUME_TMP: &str = "tetrarch-tmp";

/// Where the pool stands; the names become labels and environment, the regions a node affinity.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The Orchestrator.
    pub orchestrator: &'a str,
    /// The Domain.
    pub domain: &'a Name,
    /// The Supervisor.
    pub supervisor: &'a Name,
    /// Regions that policies confine the agents to; none when they do not.
    pub regions: Option<&'a [String]>,
}

/// Everything but the credentials, in the order in which it is applied: the Deployment after what its pods refer to, the
/// autoscaler after the Deployment it scales, the budget last because it counts the pods.
pub fn objects(object: &AgentPool, pool: &Pool, place: Place<'_>, settings: &Settings) -> Vec<Object> {
    let namespace = object.namespace().unwrap_or_default();
    let name = names::pool_agents(pool.name.as_str());
    let selector = names::selector(Component::Agent, pool.name.as_str());
    let metadata = metadata(object, pool, place);
    let mut objects = vec![
        service::service_account(&namespace, &name, &metadata),
        service::metrics_service(&namespace, &name, &metadata, &selector, names::SIDECAR_HTTP_PORT),
        deployment(object, pool, place, settings, &metadata),
    ];
    let smallest = match &pool.size {
        Size::Fixed(replicas) => *replicas,
        Size::Automatic(scaling) => {
            objects.push(autoscaler::autoscaler(&namespace, &name, &metadata, scaling));
            scaling.min
        }
    };
    // With one agent there is no budget, it could only block.
    if smallest > 1 {
        objects.push(service::disruption_budget(&namespace, &name, &metadata, &selector, &json!("25%")));
    }
    objects
}

/// Only the number of agents, to be held by [`names::MANAGER_HANDOVER`] while it changes its owner. It names the pool as its
/// controller, because a Deployment of somebody else is not written.
pub fn replicas_only(object: &AgentPool, pool: &Name, replicas: i32) -> Object {
    let owners: Vec<Value> = controller_ref(object).iter().map(to_json).collect();
    Object::new(
        ObjectKey::namespaced(
            Kind::Deployment,
            object.namespace().unwrap_or_default(),
            names::pool_agents(pool.as_str()),
        ),
        json!({ "metadata": { "ownerReferences": owners }, "spec": { "replicas": replicas } }),
    )
}

fn metadata(object: &AgentPool, pool: &Pool, place: Place<'_>) -> Value {
    let position = Position {
        orchestrator: Some(place.orchestrator),
        domain: Some(place.domain.as_str()),
        supervisor: Some(place.supervisor.as_str()),
        pool: Some(pool.name.as_str()),
    };
    let mut metadata = json!({ "labels": names::labels(Component::Agent, pool.name.as_str(), position) });
    if let Some(owner) = controller_ref(object) {
        metadata["ownerReferences"] = json!([to_json(&owner)]);
    }
    metadata
}

fn deployment(object: &AgentPool, pool: &Pool, place: Place<'_>, settings: &Settings, metadata: &Value) -> Object {
    let mut metadata = metadata.clone();
    let mut spec = json!({
        "selector": { "matchLabels": names::selector(Component::Agent, pool.name.as_str()) },
        "template": template(object, pool, place, settings),
    });
    let owner = match pool.size {
        Size::Fixed(replicas) => {
            spec["replicas"] = json!(replicas);
            OWNED_BY_POOL
        }
        // Left out from the first apply on: the autoscaler owns the number.
        Size::Automatic(_) => OWNED_BY_AUTOSCALER,
    };
    metadata["annotations"] =
        json!({ names::ANNOTATION_REPLICAS_OWNER: owner, names::ANNOTATION_OFFER: offer::to_text(pool) });
    Object::new(
        ObjectKey::namespaced(
            Kind::Deployment,
            object.namespace().unwrap_or_default(),
            names::pool_agents(pool.name.as_str()),
        ),
        json!({ "metadata": metadata, "spec": spec }),
    )
}

/// The pod template. It depends on nothing that changes with the depth of the hierarchy, so switching that restarts no agent.
fn template(object: &AgentPool, pool: &Pool, place: Place<'_>, settings: &Settings) -> Value {
    let position = Position {
        domain: Some(place.domain.as_str()),
        supervisor: Some(place.supervisor.as_str()),
        pool: Some(pool.name.as_str()),
        orchestrator: None,
    };
    let selector = to_json(&names::selector(Component::Agent, pool.name.as_str()));
    let template = json!({
        "metadata": { "labels": names::labels(Component::Agent, pool.name.as_str(), position) },
        "spec": {
            "serviceAccountName": names::pool_agents(pool.name.as_str()),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": drain_seconds(pool) + AFTER_DRAIN_SECONDS,
            "securityContext": pod::pod_security(),
            "topologySpreadConstraints": pod::spread(&selector),
            // A native sidecar: it starts before the agent and stops after it.
            "initContainers": [sidecar(pool, place, settings)],
            "containers": [agent(object, pool)],
            "volumes": [
                pod::bus_volume(&names::pool_bus_secret(pool.name.as_str())),
                { "name": VOLUME_TMP, "emptyDir": {} },
            ],
        },
    });
    let mut template = match &pool.overlay {
        Some(overlay) => overlay::apply(template, overlay),
        None => template,
    };
    if let Some(regions) = place.regions {
        region::restrict(&mut template, regions);
    }
    template
}

/// Whole seconds, rounded up: an agent rather gets a bit more time than none.
fn drain_seconds(pool: &Pool) -> u64 {
    u64::try_from(pool.drain.as_millis().div_ceil(1000)).unwrap_or(u64::MAX - AFTER_DRAIN_SECONDS)
}

fn agent(object: &AgentPool, pool: &Pool) -> Value {
    let written = &object.spec.agent;
    let mut container = json!({
        "name": names::CONTAINER_AGENT,
        "image": written.image,
        "ports": [pod::port("agent", pool.port)],
        "resources": written.resources.as_ref().map_or_else(
            || json!({ "requests": { "cpu": "50m", "memory": "64Mi" } }),
            to_json,
        ),
        "securityContext": pod::container_security(),
        "volumeMounts": [{ "name": VOLUME_TMP, "mountPath": "/tmp" }],
        // Returns when the sidecar has finished or handed back what it held; only then is the agent told to stop.
        "lifecycle": { "preStop": { "httpGet": { "path": "/drain", "port": names::SIDECAR_HTTP_PORT } } },
    });
    if let Some(policy) = written.image_pull_policy {
        container["imagePullPolicy"] = json!(pod::pull_policy(policy));
    }
    if !written.args.is_empty() {
        container["args"] = json!(written.args);
    }
    if !written.env.is_empty() {
        container["env"] = to_json(&written.env);
    }
    container
}

fn sidecar(pool: &Pool, place: Place<'_>, settings: &Settings) -> Value {
    let port = names::SIDECAR_HTTP_PORT;
    let mut env = pod::environment(settings, place.domain.as_str(), place.supervisor.as_str(), port);
    env.extend([
        pod::variable("TETRARCH_POOL", pool.name.as_str()),
        pod::variable("TETRARCH_SLOTS", &pool.concurrency.to_string()),
        pod::variable("TETRARCH_AGENT_URL", &format!("http://127.0.0.1:{}{}", pool.port, pool.path)),
        pod::variable("TETRARCH_AGENT_HEALTH_URL", &format!("http://127.0.0.1:{}{}", pool.port, pool.health_path)),
        pod::variable("TETRARCH_DRAIN_TIMEOUT_SECONDS", &drain_seconds(pool).to_string()),
    ]);
    let mut security = pod::container_security();
    // Its own user, whatever the overlay makes of the pod's.
    security["runAsUser"] = json!(pod::NONROOT);
    security["runAsGroup"] = json!(pod::NONROOT);
    json!({
        "name": names::CONTAINER_SIDECAR,
        "image": settings.sidecar_image,
        "imagePullPolicy": pod::pull_policy(settings.image_pull_policy),
        "restartPolicy": "Always",
        "env": env,
        "ports": [pod::port("metrics", port)],
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "memory": "512Mi" } },
        "securityContext": security,
        "volumeMounts": [pod::bus_mount()],
        // The pod is ready when the agent is healthy and the bus connected, which only the sidecar knows.
        "readinessProbe": pod::probe("/readyz", port, 2, 3),
        "livenessProbe": pod::probe("/healthz", port, 10, 6),
    })
}
