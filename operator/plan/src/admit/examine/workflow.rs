//! Priority, timeouts and hand-overs of a Workflow.

use std::time::Duration;

use tetrarch_core::policy::{Allowance, Limit};
use tetrarch_crds::{OrchestratorSpec, Workflow, orchestrator::default_priority_classes, shared::Priority};

use super::{Standard, check_limit, check_name, is};
use crate::{
    admit::finding::Finding,
    duration,
    parse::{
        orchestrator::class,
        workflow::{TASK_TIMEOUT, plan_timeouts, tasks},
    },
};

/// Notes a priority that is not allowed, every timeout that is too long, and every task that may be handed on too often.
pub(super) fn examine(object: &Workflow, standard: &Standard<'_>, found: &mut Vec<Finding>) {
    let (spec, effective) = (&object.spec, standard.effective);
    let priority = class(spec.priority).as_str();
    check_name(Allowance::Priorities, priority, "spec.priority", format!("is {priority}"), effective, found);
    let written = spec.timeout.as_ref().and_then(|text| duration::parse(&text.0).ok());
    match written.or_else(|| default_timeout(spec.priority, standard.orchestrator)) {
        Some(timeout) if written.is_some() => {
            check_limit(Limit::RunTimeout, millis(timeout), "spec.timeout", is, effective, found);
        }
        Some(timeout) => {
            let problem = |value: &str| format!("is left out, so that a run of priority {priority} may take {value}");
            check_limit(Limit::RunTimeout, millis(timeout), "spec.timeout", problem, effective, found);
        }
        None => {}
    }
    for (path, task) in tasks(&spec.steps) {
        if let Some(limit) = task.hand_over.as_ref().and_then(|hand_over| u64::try_from(hand_over.limit).ok()) {
            check_limit(Limit::HandOvers, limit, &format!("{path}.handOver.limit"), is, effective, found);
        }
    }
    if effective.exceeded(Limit::TaskTimeout, u64::MAX).is_none() {
        return;
    }
    let of_tasks = tasks(&spec.steps).map(|(path, task)| (format!("{path}.timeout"), task.timeout.as_ref()));
    for (field, written) in of_tasks.chain(plan_timeouts(&spec.steps)) {
        match written.map(|text| duration::parse(&text.0)) {
            Some(Ok(timeout)) => check_limit(Limit::TaskTimeout, millis(timeout), &field, is, effective, found),
            None => {
                let problem = |value: &str| format!("is left out, which means {value}");
                check_limit(Limit::TaskTimeout, millis(TASK_TIMEOUT), &field, problem, effective, found);
            }
            // Told as an invalid spec.
            Some(Err(_)) => {}
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The timeout of runs of a class.
fn default_timeout(priority: Priority, orchestrator: Option<&OrchestratorSpec>) -> Option<Duration> {
    let written =
        orchestrator.and_then(|spec| spec.priority_classes.iter().find(|class| class.name == priority).cloned());
    let class = written.or_else(|| default_priority_classes().into_iter().find(|class| class.name == priority))?;
    duration::parse(&class.timeout.0).ok()
}
