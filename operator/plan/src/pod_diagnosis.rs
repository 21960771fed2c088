//! What is wrong with a set of pods, as one sentence that names pod, container and cause.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube_core::ResourceExt;

use crate::{
    object::is_deleting,
    reason::{Finding, Reason},
};

/// Longest text of the container runtime that is repeated.
const LONGEST_DETAIL: usize = 300;

/// The gravest finding; among equally grave ones that of the first pod by name. Pods on their way out say nothing.
pub fn diagnose(pods: &[Arc<Pod>]) -> Option<Finding> {
    let mut pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).filter(|pod| !is_deleting(*pod)).collect();
    pods.sort_by_key(|pod| pod.name_any());
    pods.into_iter().flat_map(findings).min_by_key(|finding| gravity(finding.reason))
}

/// What a person must act on comes before what may pass by itself.
const fn gravity(reason: Reason) -> u8 {
    match reason {
        Reason::ImagePullFailed => 0,
        Reason::ContainerConfigError => 1,
        Reason::CrashLoop => 2,
        Reason::Unschedulable => 3,
        _ => 4,
    }
}

fn findings(pod: &Pod) -> Vec<Finding> {
    let Some(status) = &pod.status else { return Vec::new() };
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let mut findings: Vec<Finding> = containers.filter_map(|container| finding_of(pod, container)).collect();
    let unscheduled =
        status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
        });
    if let Some(condition) = unscheduled {
        let detail = shorten(condition.message.as_deref().unwrap_or("no node fits"));
        findings
            .push(Finding::new(Reason::Unschedulable, format!("pod {} cannot be scheduled: {detail}", pod.name_any())));
    }
    findings
}

fn finding_of(pod: &Pod, container: &ContainerStatus) -> Option<Finding> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let word = waiting.reason.as_deref()?;
    let place = format!("pod {}, container {}", pod.name_any(), container.name);
    let detail = waiting.message.as_deref().map(|text| format!(": {}", shorten(text))).unwrap_or_default();
    match word {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            let image = &container.image;
            Some(Finding::new(
                Reason::ImagePullFailed,
                format!(
                    "{place}: image {image:?} cannot be pulled ({word}){detail}: check its name and tag, and the pull secret of a private registry"
                ),
            ))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Finding::new(Reason::ContainerConfigError, format!("{place}: cannot be started ({word}){detail}")))
        }
        "CrashLoopBackOff" => {
            let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref()).map(|ended| {
                let reason = ended.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!(", last with exit code {}{reason}", ended.exit_code)
            });
            Some(Finding::new(
                Reason::CrashLoop,
                format!(
                    "{place}: crashed {} times{}: see `kubectl logs -n {} {} -c {} --previous`",
                    container.restart_count,
                    ended.unwrap_or_default(),
                    pod.namespace().unwrap_or_default(),
                    pod.name_any(),
                    container.name
                ),
            ))
        }
        _ => None,
    }
}

fn shorten(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST_DETAIL)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, status: &Value) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "ns" }, "status": status }))
                .unwrap(),
        )
    }

    fn waiting(reason: &str) -> Value {
        json!({ "containerStatuses": [{
            "name": "agent", "image": "nowhere/agent:1", "imageID": "", "ready": false, "restartCount": 4,
            "state": { "waiting": { "reason": reason, "message": "no such host" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }] })
    }

    #[test]
    fn image_that_cannot_be_pulled_names_pod_container_image_and_reason() {
        let found =
            diagnose(&[pod("b", &waiting("CrashLoopBackOff")), pod("c", &waiting("ImagePullBackOff"))]).unwrap();
        assert_eq!(found.reason, Reason::ImagePullFailed);
        for part in ["pod c", "container agent", "nowhere/agent:1", "ImagePullBackOff", "no such host"] {
            assert!(found.message.contains(part), "{part} is missing: {}", found.message);
        }
    }

    #[test]
    fn crash_loop_names_exit_code_and_how_to_read_the_log() {
        let found = diagnose(&[pod("b", &waiting("CrashLoopBackOff"))]).unwrap();
        assert_eq!(found.reason, Reason::CrashLoop);
        assert!(
            found.message.contains("exit code 137 (OOMKilled)")
                && found.message.contains("kubectl logs -n ns b -c agent --previous")
        );
    }

    #[test]
    fn unschedulable_pod_repeats_what_the_scheduler_says() {
        let status = json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient cpu" }] });
        assert!(diagnose(&[pod("a", &status)]).unwrap().message.contains("Insufficient cpu"));
    }

    #[test]
    fn starting_and_leaving_pods_are_no_trouble() {
        assert_eq!(diagnose(&[pod("a", &waiting("ContainerCreating"))]), None);
        let mut leaving = pod("a", &waiting("ImagePullBackOff"));
        Arc::make_mut(&mut leaving).metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(diagnose(&[leaving]), None);
    }
}
