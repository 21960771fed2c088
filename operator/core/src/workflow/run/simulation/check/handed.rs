//! What must hold for tasks that agents hand over, read from the journal alone: each attempt is with those who have the task
//! by then, and nobody gets it who may not.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attempt, Facts, compensated::is_undoing, task_of};
use crate::{
    id::Name,
    workflow::{
        definition::{AgentSelector, GateFailure, Step, Task},
        journal::Outcome,
    },
};

/// Whether a task that was handed over so often may be handed to a capability; counts it then.
pub(super) fn is_allowed(task: &Task, handed: &mut u32, to: &Name) -> bool {
    let is_allowed = task.hand_over.as_ref().is_some_and(|allowed| allowed.to.contains(to) && *handed < allowed.limit);
    *handed += u32::from(is_allowed);
    is_allowed
}

/// Where the attempts of a task are, as far as its journal tells.
#[derive(Default)]
struct Way<'j> {
    /// The capability that has it; none means the task's own agents.
    with: Option<&'j Name>,
    handed: u32,
    failures: u32,
    is_fallback: bool,
}

impl<'j> Way<'j> {
    /// The task begins anew, with its own agents.
    const fn begin(&mut self) {
        (self.with, self.handed) = (None, 0);
    }

    /// What follows from the end of an attempt; true when it was handed on.
    fn follow(&mut self, step: &Step, task: &Task, outcome: &'j Outcome) -> bool {
        let is_failure = match outcome {
            Outcome::HandedOver { to, .. } if !self.is_fallback && is_allowed(task, &mut self.handed, to) => {
                self.with = Some(to);
                return true;
            }
            // Its gate did not let it pass.
            Outcome::Succeeded { .. } => {
                self.begin();
                true
            }
            Outcome::Failed { .. } | Outcome::HandedOver { .. } => true,
            Outcome::Unknown { .. } => false,
        };
        self.failures += u32::from(is_failure);
        let gate = step.gate.as_ref().filter(|gate| gate.fallback.is_some());
        let is_final = match outcome {
            Outcome::Failed { reason, .. } => !reason.is_retryable(),
            Outcome::Succeeded { .. } => gate.is_some_and(|gate| gate.on_failure == GateFailure::Fallback),
            _ => false,
        };
        if (is_final || self.failures > task.retry.limit) && gate.is_some() {
            self.begin();
            self.is_fallback = true;
        }
        false
    }
}

/// Checks the attempts of a step; gives those that were handed on.
pub(super) fn check(facts: &Facts<'_>, step: &Step) -> Result<BTreeSet<Attempt>, String> {
    let mut handed_on = BTreeSet::new();
    let mut ways: BTreeMap<&str, Way<'_>> = BTreeMap::new();
    let attempts = facts.dispatched.keys().filter(|(path, _)| path.parts().next() == Some(step.name.as_str()));
    for attempt in attempts.filter(|(path, _)| !is_undoing(path)) {
        let Some((task, pool)) = task_of(step, &attempt.0).zip(facts.pools.get(attempt)) else { continue };
        let AgentSelector::Pool(own) = &task.agent else { continue };
        let way = ways.entry(attempt.0.as_str()).or_default();
        let is_first = attempt.1 % 1_000 == 1;
        if is_first {
            // A run that is opened again goes on with what is left, or begins anew.
            way.failures = 0;
            way.is_fallback = false;
            if **pool == *own.as_str() {
                way.begin();
            }
        }
        let with = way.with.map_or(own.as_str(), Name::as_str);
        if **pool != *with {
            return Err(format!("attempt {} of {} is with {pool} instead of {with}", attempt.1, attempt.0));
        }
        let told = facts.results.get(attempt).filter(|_| !facts.withdrawn.contains_key(attempt));
        if told.is_some_and(|(_, outcome)| way.follow(step, task, outcome)) {
            handed_on.insert(attempt.clone());
        }
    }
    Ok(handed_on)
}
