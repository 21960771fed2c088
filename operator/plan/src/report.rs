//! The new status of each kind, from the object, its plan, what became of the plan, and what was observed.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;

mod capacity;
mod imports;
mod policy;
mod rollup;
mod workload;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube_core::Resource;

use crate::{
    conditions::{self, Extra, HasConditions, Health},
    effect::{Acceptance, Plan},
    object::is_deleting,
    outcome::{Failure, FailureClass, Outcome},
    reason::{Finding, Reason},
    reconcile::end_of_grace,
};

/// Whether two statuses say the same, whatever their condition times: then there is nothing to write.
///
/// Statuses built here keep the times of unchanged conditions, so that this is plain equality for them.
pub fn is_same<S: PartialEq>(before: Option<&S>, after: &S) -> bool {
    before == Some(after)
}

/// All conditions of an object. What the plan and its outcome say goes first; `observed_health` is asked when all is well so far.
fn conditions_of<K: Resource + HasConditions>(
    object: &K,
    plan: &Plan,
    outcome: &Outcome,
    observed_health: impl FnOnce() -> Health,
    extras: &[Extra],
    now: Timestamp,
) -> Vec<Condition> {
    let accepted = match &plan.acceptance {
        Acceptance::Accepted => (true, Finding::new(Reason::Accepted, "the spec is valid and within all limits")),
        Acceptance::Refused(finding) => (false, finding.clone()),
    };
    let health = trouble(object, plan, outcome, now).unwrap_or_else(observed_health);
    conditions::build(object.conditions(), object.meta().generation, (accepted.0, &accepted.1), &health, extras, now)
}

/// What keeps the object from being Ready before anything that runs is looked at.
fn trouble<K: Resource>(object: &K, plan: &Plan, outcome: &Outcome, now: Timestamp) -> Option<Health> {
    let by_reason = |finding: Finding| {
        let is_overdue = finding.reason.is_missing_reference() && now >= end_of_grace(object, now);
        if finding.reason.is_terminal() || is_overdue { Health::Stalled(finding) } else { Health::Reconciling(finding) }
    };
    if let Outcome::Stopped(failure) = outcome {
        return Some(failed(failure));
    }
    if is_deleting(object) {
        let found = plan.blockers.first().cloned();
        return Some(Health::Reconciling(found.unwrap_or_else(|| Finding::new(Reason::Deleting, "is being deleted"))));
    }
    if let Acceptance::Refused(finding) = &plan.acceptance {
        return Some(by_reason(finding.clone()));
    }
    let first = plan.blockers.first()?;
    let mut finding = first.clone();
    if plan.blockers.len() > 1 {
        finding.message = format!("{}; and {} more", finding.message, plan.blockers.len() - 1);
    }
    Some(by_reason(finding))
}

/// A write that failed. What only a person can repair is Stalled; the rest is tried again.
fn failed(failure: &Failure) -> Health {
    let finding = |reason| Finding::new(reason, failure.message.clone());
    match failure.class {
        FailureClass::Invalid => Health::Stalled(finding(Reason::ApplyFailed)),
        FailureClass::Forbidden => Health::Stalled(finding(Reason::Forbidden)),
        FailureClass::NotOwned => Health::Stalled(finding(Reason::ChildNotOwned)),
        FailureClass::Conflict | FailureClass::Transient => Health::Reconciling(finding(Reason::ApplyFailed)),
        FailureClass::Bus => Health::Reconciling(finding(Reason::BusUnavailable)),
    }
}

/// Generation that the status was computed from.
fn generation<K: Resource>(object: &K) -> Option<i64> {
    object.meta().generation
}

/// Whole seconds, as the API stores them: what is finer would differ from what is read back, and be written again.
pub(crate) fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
