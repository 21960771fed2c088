//! Cuts objects down to what is asked of them before they are kept.

use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec},
    core::v1::{ContainerStatus, Pod, PodSpec, PodStatus},
};
use kube::{Resource, ResourceExt};

/// Annotation that repeats the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Drops what no decision reads from the metadata of any object.
pub fn metadata<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
}

/// Keeps identity, the number of replicas and the status of a Deployment. The rest is what we wrote, and is told apart by
/// its generation.
pub fn deployment(deployment: &mut Deployment) {
    metadata(deployment);
    deployment.spec =
        deployment.spec.take().map(|spec| DeploymentSpec { replicas: spec.replicas, ..DeploymentSpec::default() });
}

/// Keeps identity, conditions and the states of containers of a pod.
pub fn pod(pod: &mut Pod) {
    metadata(pod);
    pod.annotations_mut().clear();
    pod.spec = pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    pod.status = pod.status.take().map(|status| PodStatus {
        conditions: status.conditions,
        phase: status.phase,
        reason: status.reason,
        message: status.message,
        container_statuses: status.container_statuses.map(containers),
        init_container_statuses: status.init_container_statuses.map(containers),
        ..PodStatus::default()
    });
}

fn containers(statuses: Vec<ContainerStatus>) -> Vec<ContainerStatus> {
    statuses
        .into_iter()
        .map(|status| ContainerStatus {
            name: status.name,
            image: status.image,
            ready: status.ready,
            started: status.started,
            restart_count: status.restart_count,
            state: status.state,
            last_state: status.last_state,
            ..ContainerStatus::default()
        })
        .collect()
}
