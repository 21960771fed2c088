//! Gates: what the output of a step must be like before anything follows from it.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    StepPhase,
    approval::Ask,
    flaw,
    plan::Plan,
    state::{Body, Part, State, Status, TaskKey},
    step::Fold,
};
use crate::{
    expression::{Template, Variable},
    workflow::definition::{Gate, GateFailure, Retry, Task},
};

/// What is said of an output: the gate's own message, with what was found when that is news.
pub(super) fn say(gate: &Gate, found: &str) -> String {
    match &gate.message {
        Some(message) => format!("gate: {message}: {found}"),
        None => format!("gate: {found}"),
    }
}

impl Fold<'_> {
    /// What the gate of a step has against its output, and what follows from that. A gate that cannot be evaluated does not
    /// hold. What a judge says comes later.
    pub(super) fn verdict(&self, step: usize, output: &Value) -> Option<(GateFailure, String)> {
        let (gate, plan) = (self.plan.definition.steps[step].gate.as_ref()?, self.plan.steps[step].gate.as_ref()?);
        if let Some(found) = plan.schema.as_ref().and_then(|schema| schema.violations(output)) {
            let schema =
                gate.schema_name.as_ref().map_or_else(|| "its schema".to_owned(), |name| format!("schema {name}"));
            return Some((gate.on_failure, say(gate, &format!("the output is not of {schema}: {found}"))));
        }
        let expression = plan.expression.as_ref()?;
        let scope = self.state.scope(self.plan, expression.references()).with(Variable::Output, Cow::Borrowed(output));
        let said = match (expression.evaluate_condition(&scope), &gate.message) {
            (Ok(true), _) => return None,
            (Ok(false), Some(message)) => message.clone(),
            (Ok(false), None) => format!("{} does not hold", gate.expression.as_deref().unwrap_or_default()),
            (Err(error), _) => error.to_string(),
        };
        Some((gate.on_failure, format!("gate: {said}")))
    }

    /// The verdict on an attempt that has to be repeated because of it, by the same agents or by others.
    pub(super) fn verdict_that_retries(&self, key: TaskKey, output: &Value) -> Option<String> {
        let (on_failure, verdict) = (key.part == Part::Only).then(|| self.verdict(key.step, output)).flatten()?;
        matches!(on_failure, GateFailure::Retry | GateFailure::Fallback).then_some(verdict)
    }

    /// What follows from an output that does not pass. It was made all the same.
    pub(super) fn gate_lost(&mut self, step: usize, on_failure: GateFailure, verdict: String, output: Value) {
        match on_failure {
            GateFailure::Continue => self.end_step(step, StepPhase::Succeeded, Some(verdict), output),
            GateFailure::Retry | GateFailure::Fallback if matches!(self.state.steps[step].body, Body::Task(_)) => {
                self.repeat_because_of(TaskKey { step, part: Part::Only }, &verdict);
            }
            // Nobody is asked about what is undone anyway.
            GateFailure::Escalate if self.state.compensation.is_none() => self.ask(step, Some((verdict, output))),
            _ => {
                // A run that is lost already ends as that says.
                if on_failure == GateFailure::Compensate && self.state.failed.is_empty() {
                    self.state.is_to_be_undone = !flaw::forgets_gates_that_undo();
                }
                self.state.steps[step].is_doubtful = true;
                // A run that is opened again does it anew, unless nobody has said yet that the output will not do.
                self.state.steps[step].body = match on_failure {
                    GateFailure::Escalate => Body::Asked(Box::new(Ask::unasked(verdict.clone(), output.clone()))),
                    _ => Body::Closed,
                };
                self.end_step(step, StepPhase::Failed, Some(verdict), output);
            }
        }
    }

    /// The attempt counts as failed; the next one can read why. It was done all the same.
    pub(super) fn repeat_because_of(&mut self, key: TaskKey, verdict: &str) {
        self.state.steps[key.step].is_doubtful = true;
        if let Some(task) = self.state.task_mut(key) {
            task.verdict = Some(verdict.to_owned());
            task.handed = None;
        }
        let gate = self.plan.definition.steps[key.step].gate.as_ref();
        let may_be_repeated = gate.is_some_and(|gate| gate.on_failure == GateFailure::Retry);
        if let Some(retry) = self.state.retry(self.plan, key) {
            self.attempt_failed(key, retry, may_be_repeated, verdict);
        }
    }

    /// Gives the task of a step to its fallback, once: its attempts begin anew and go on counting. False when it has none.
    pub(super) fn falls_back(&mut self, key: TaskKey, why: &str) -> bool {
        if key.part != Part::Only || self.is_lost(key) || self.plan.fallback(key.step).is_none() {
            return false;
        }
        let Some(task) = self.state.task_mut(key).filter(|task| !task.is_fallback || flaw::falls_back_for_ever())
        else {
            return false;
        };
        task.is_fallback = true;
        task.handed = None;
        task.failures = 0;
        task.verdict = Some(why.to_owned());
        task.status = Status::Due(None);
        self.state.steps[key.step].message = Some(format!("fell back: {why}"));
        self.memo.fresh.push(key);
        true
    }
}

impl State {
    /// The definition of a task as it is done now.
    pub(super) fn definition<'p>(&self, plan: &'p Plan, key: TaskKey) -> Option<&'p Task> {
        if self.is_fallback(key) { plan.fallback(key.step).map(|(task, _)| task) } else { plan.task(key) }
    }

    /// How a task is repeated as it is done now.
    pub(super) fn retry(&self, plan: &Plan, key: TaskKey) -> Option<Retry> {
        if self.is_fallback(key) { plan.fallback(key.step).map(|(task, _)| task.retry) } else { plan.retry(key) }
    }

    /// The template of a task's input as it is done now.
    pub(super) fn template<'p>(&self, plan: &'p Plan, key: TaskKey) -> Option<&'p Template> {
        if self.is_fallback(key) { plan.fallback(key.step).map(|(_, input)| input) } else { plan.input(key) }
    }

    fn is_fallback(&self, key: TaskKey) -> bool {
        key.part == Part::Only && self.task(key).is_some_and(|task| task.is_fallback)
    }
}
