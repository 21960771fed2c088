//! How a task goes on with other agents because the one that had it says so.
//!
//! The attempt that hands over has ended well, and the next one goes to the agents that it names, with the input that it
//! gives. The attempts of a task are counted through, whoever has them, and so are its failures: its `retry` holds for the
//! whole way. A failed attempt is repeated by those who had it. What begins the task anew (a gate that retries, a fallback)
//! begins it with its own agents.

use serde_json::Value;

use super::{
    StepPhase, flaw,
    plan::Plan,
    state::{Handed, Part, State, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    id::Name,
    workflow::{
        definition::{AgentSelector, Retry},
        hand_over::HandOver,
    },
};

impl TaskState {
    /// Goes on with others; or says why it may not.
    pub(super) fn hand_over(
        &mut self,
        allowed: Option<&HandOver>,
        to: &Name,
        input: Option<&Value>,
    ) -> Result<(), String> {
        let before = self.handed.as_ref().map_or(0, |handed| handed.count);
        let counted = if flaw::hands_over_for_ever() { 0 } else { before };
        if let Some(refusal) = HandOver::refusal(allowed, counted, to) {
            return Err(refusal);
        }
        let input = input.cloned().or_else(|| self.handed.take()?.input);
        let to = AgentSelector::Capability(to.clone());
        self.handed = Some(Box::new(Handed { to, input, count: before + 1, by: self.attempt }));
        self.status = Status::Due(None);
        Ok(())
    }

    /// The number of the attempt with which those who have it now begin.
    pub(super) fn first_attempt(&self, of_round: u32) -> u32 {
        self.handed.as_ref().map_or(of_round, |handed| handed.by.max(of_round)) + 1
    }
}

impl Fold<'_> {
    /// The task goes on with those whom its agent names. What may not be handed over is a failed attempt.
    pub(super) fn handed_over(
        &mut self,
        key: TaskKey,
        retry: Retry,
        to: &Name,
        input: Option<&Value>,
        reason: Option<&str>,
    ) {
        // What is undone anyway needs nobody to go on.
        if self.is_lost(key) {
            return self.end_step(key.step, StepPhase::Cancelled, None, Value::Null);
        }
        let allowed = self.state.permission(self.plan, key);
        let path = self.plan.path(key);
        let Some(task) = self.state.task_mut(key) else { return };
        if let Err(why) = task.hand_over(allowed, to, input) {
            return self.attempt_failed(key, retry, true, &why);
        }
        let count = task.handed.as_ref().map_or(0, |handed| handed.count);
        let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let step = &mut self.state.steps[key.step];
        step.tasks += 1;
        step.succeeded += 1;
        step.message = Some(format!("task {path} was handed over to capability {to} (hand-over {count}){why}"));
        self.memo.fresh.push(key);
    }
}

impl State {
    /// Whom a task may be handed to as it is done now.
    pub(super) fn permission<'p>(&self, plan: &'p Plan, key: TaskKey) -> Option<&'p HandOver> {
        self.definition(plan, key)?.hand_over.as_ref()
    }

    /// Those who may take a task that was handed over.
    pub(super) fn handed_to(&self, key: TaskKey) -> Option<&AgentSelector> {
        self.task(key)?.handed.as_ref().map(|handed| &handed.to)
    }

    /// The input that came with a hand-over.
    pub(super) fn handed_input(&self, key: TaskKey) -> Option<&Value> {
        self.task(key)?.handed.as_ref()?.input.as_ref()
    }
}

impl Plan {
    /// Whom a task of a step that has ended may be handed to.
    pub(super) fn permission(&self, key: TaskKey, is_fallback: bool) -> Option<&HandOver> {
        let fallback = || self.fallback(key.step).map(|(task, _)| task);
        let task = if is_fallback && key.part == Part::Only { fallback() } else { self.task(key) };
        task?.hand_over.as_ref()
    }
}
