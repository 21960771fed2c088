//! How a Deployment of ours does: its own status, and its pods when they are in trouble.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    core::v1::Pod,
};

use crate::{
    conditions::Health,
    object::ObjectKey,
    outcome::Outcome,
    pod_diagnosis,
    reason::{Finding, Reason},
};

/// Numbers of a Deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Pods that exist.
    pub(super) existing: i32,
    /// Pods that are wanted.
    pub(super) desired: i32,
    /// Pods that are ready.
    pub(super) ready: i32,
}

pub(super) fn count(deployment: Option<&Deployment>) -> Count {
    let Some(deployment) = deployment else { return Count::default() };
    let status = deployment.status.as_ref();
    Count {
        existing: status.and_then(|s| s.replicas).unwrap_or(0),
        desired: deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1),
        ready: status.and_then(|s| s.ready_replicas).unwrap_or(0),
    }
}

/// How the Deployment does. `what` is what its pods are called, such as `agents`.
pub(super) fn health(
    key: &ObjectKey,
    deployment: Option<&Deployment>,
    pods: &[Arc<Pod>],
    outcome: &Outcome,
    what: &str,
) -> Health {
    let Some(deployment) = deployment else {
        return Health::Reconciling(Finding::new(Reason::Progressing, format!("the {what} are being created")));
    };
    let Count { desired, ready, existing } = count(Some(deployment));
    let found = pod_diagnosis::diagnose(pods);
    let told = |reason, text: &str| match &found {
        Some(found) => Finding::new(found.reason, format!("{text}; {}", found.message)),
        None => Finding::new(reason, text),
    };
    let text = format!("{ready} of {desired} {what} are ready");
    if let Some(found) = found.as_ref().filter(|found| found.reason.is_terminal()) {
        return Health::Stalled(told(found.reason, &text));
    }
    if let Some(message) = failed_condition(deployment, "Progressing", "ProgressDeadlineExceeded") {
        return Health::Stalled(told(Reason::ProgressDeadlineExceeded, &format!("{text}; {message}")));
    }
    let is_current = generation_seen(deployment) >= outcome.generation_of(key).or(deployment.metadata.generation);
    let updated = deployment.status.as_ref().and_then(|s| s.updated_replicas).unwrap_or(0);
    if is_current && updated == desired && ready == desired && existing == desired {
        return Health::Ready(Finding::new(Reason::Ready, text));
    }
    if let Some(message) = condition_message(deployment, "ReplicaFailure", "True") {
        return Health::Reconciling(Finding::new(Reason::PodsRefused, format!("{text}; pods are refused: {message}")));
    }
    let finding = told(Reason::Progressing, &text);
    // What serves stays Ready while it changes; what still runs in an older shape is told by Reconciling.
    if desired > 0 && condition_message(deployment, "Available", "True").is_some() && is_current {
        Health::ReadyAndReconciling(finding)
    } else {
        Health::Reconciling(finding)
    }
}

fn generation_seen(deployment: &Deployment) -> Option<i64> {
    deployment.status.as_ref().and_then(|status| status.observed_generation)
}

fn failed_condition<'a>(deployment: &'a Deployment, kind: &str, reason: &str) -> Option<&'a str> {
    let conditions = deployment.status.as_ref().and_then(|s: &DeploymentStatus| s.conditions.as_ref());
    let found = conditions?.iter().find(|c| c.type_ == kind && c.status == "False")?;
    (found.reason.as_deref() == Some(reason)).then(|| found.message.as_deref().unwrap_or_default())
}

fn condition_message<'a>(deployment: &'a Deployment, kind: &str, status: &str) -> Option<&'a str> {
    let conditions = deployment.status.as_ref().and_then(|s| s.conditions.as_ref());
    let found = conditions?.iter().find(|c| c.type_ == kind && c.status == status)?;
    Some(found.message.as_deref().unwrap_or_default())
}
