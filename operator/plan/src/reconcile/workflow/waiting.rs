//! What waits for people: what the status says of it, when they are told and reminded, and what they have decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::workflow::approval::{Approver, ApproverKind, TimeoutDecision as Timeout};
use tetrarch_crds::{
    Workflow,
    shared::{Subject, SubjectKind},
    workflow::{TimeoutDecision, WaitingStatus},
};
use tetrarch_protocol::{snapshot::StepDecision, summary::WaitingStep};

use super::Observed;
use crate::{
    effect::{Effect, Note, Plan, Wake},
    names,
    reason::Reason,
    report::time,
};

/// Longest text of an Event, in characters.
const NOTE_LENGTH: usize = 700;

/// What the status says of everything that waits.
pub fn status(object: &Workflow, observed: &Observed, now: Timestamp) -> Vec<WaitingStatus> {
    match &observed.summary {
        Some(summary) => summary.waiting.iter().map(|step| waiting(step, now)).collect(),
        // A summary that cannot be read just now leaves what was last seen.
        None => object.status.as_ref().map(|status| status.waiting.clone()).unwrap_or_default(),
    }
}

fn waiting(step: &WaitingStep, now: Timestamp) -> WaitingStatus {
    WaitingStatus {
        id: id(step),
        whom: step.approval.who(),
        approvers: step.approval.approvers.iter().map(subject).collect(),
        message: step.message.clone(),
        since: time(step.since),
        until: time(step.until),
        on_timeout: match step.approval.on_timeout {
            Timeout::Reject => TimeoutDecision::Reject,
            Timeout::Approve => TimeoutDecision::Approve,
        },
        require_reason: step.approval.require_reason,
        reminded: i32::try_from(reminders(step).filter(|at| *at <= now).count()).unwrap_or(i32::MAX),
    }
}

fn id(step: &WaitingStep) -> String {
    names::question(step.run.as_str(), step.step.as_str(), step.attempt, step.generation)
}

fn subject(approver: &Approver) -> Subject {
    let kind = match approver.kind {
        ApproverKind::User => SubjectKind::User,
        ApproverKind::Group => SubjectKind::Group,
        ApproverKind::ServiceAccount => SubjectKind::ServiceAccount,
    };
    Subject { kind, name: approver.name.clone(), namespace: approver.namespace.clone() }
}

/// When people are reminded.
fn reminders(step: &WaitingStep) -> impl Iterator<Item = Timestamp> {
    let after = |millis: &u64| step.since.checked_add(std::time::Duration::from_millis(*millis)).ok();
    step.approval.reminders_ms.iter().filter_map(after)
}

/// Adds the Events that people have to see, and looks again when the next one is due. What was told stands in the status.
pub(super) fn tell(mut plan: Plan, object: &Workflow, observed: &Observed, now: Timestamp) -> Plan {
    let Some(summary) = &observed.summary else { return plan };
    let before = object.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
    let told: BTreeMap<&str, i32> = before.iter().map(|known| (known.id.as_str(), known.reminded)).collect();
    let mut notes = Vec::new();
    for step in &summary.waiting {
        let (status, name) = (waiting(step, now), object.name_any());
        let remedy =
            format!("decide with kubectl tetrarch approve {name} --step {0}, or reject {name} --step {0}", step.step);
        let asked = format!("{} of run {} waits for {}", step.step, step.run, status.whom);
        let (reason, message) = match told.get(status.id.as_str()) {
            None => {
                (Reason::DecisionRequired, format!("step {asked} until {}: {}; {remedy}", step.until, step.message))
            }
            Some(reminded) if *reminded < status.reminded => {
                let count = format!("reminder {} of {}", status.reminded, step.approval.reminders_ms.len());
                (
                    Reason::DecisionReminder,
                    format!("{count}: step {asked} until {}: {}; {remedy}", step.until, step.message),
                )
            }
            Some(_) => continue,
        };
        let message = message.chars().take(NOTE_LENGTH).collect();
        notes.push(Effect::Event(Note { warning: reason == Reason::DecisionReminder, reason, message }));
    }
    notes.extend(timed_out(object, before, &summary.waiting, now));
    // First of all: a write that fails must not keep people from hearing of it.
    plan.effects.splice(0..0, notes);
    let next = summary.waiting.iter().flat_map(reminders).filter(|at| *at > now).min();
    if let Some(next) = next {
        plan.wake = match plan.wake {
            Wake::At(at) => Wake::At(at.min(next)),
            Wake::OnChange => Wake::At(next),
        };
    }
    plan
}

/// Questions that are not asked any more because their time was over before anybody decided.
fn timed_out(object: &Workflow, before: &[WaitingStatus], asked: &[WaitingStep], now: Timestamp) -> Vec<Effect> {
    let still: BTreeSet<String> = asked.iter().map(id).collect();
    let decisions = decisions(object);
    let decided = |known: &WaitingStatus| {
        decisions.iter().any(|said| names::question_of(said) == known.id && time(said.decision.at) < known.until)
    };
    let ended = before.iter().filter(|known| known.until <= time(now) && !still.contains(&known.id) && !decided(known));
    ended
        .map(|known| {
            let mut parts = known.id.split('/');
            let (run, step) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let follows = match known.on_timeout {
                TimeoutDecision::Reject => "rejected",
                TimeoutDecision::Approve => "approved",
            };
            let (whom, until) = (&known.whom, &known.until.0);
            let message =
                format!("step {step} of run {run} waited for {whom} until {until} and nobody decided: it is {follows}");
            let message = message.chars().take(NOTE_LENGTH).collect();
            Effect::Event(Note { warning: true, reason: Reason::DecisionTimedOut, message })
        })
        .collect()
}

/// What people have decided lately, as the webhook has stamped it. Nobody else can have written it.
pub fn decisions(object: &Workflow) -> Vec<StepDecision> {
    stamped(object.metadata.annotations.as_ref())
}

/// The stamps among the annotations of a Workflow; none when they cannot be read.
pub fn stamped(annotations: Option<&BTreeMap<String, String>>) -> Vec<StepDecision> {
    let text = annotations.and_then(|annotations| annotations.get(names::ANNOTATION_DECISIONS));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
