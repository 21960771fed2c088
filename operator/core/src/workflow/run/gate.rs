//! Gates: what the output of a step must be like before anything follows from it.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    state::{Part, TaskKey},
    step::Fold,
};
use crate::{expression::Variable, workflow::definition::GateFailure};

impl Fold<'_> {
    /// What the gate of a step has against its output, and what follows from that. A gate that cannot be evaluated does not hold.
    pub(super) fn verdict(&self, step: usize, output: &Value) -> Option<(GateFailure, String)> {
        let (gate, plan) = (self.plan.definition.steps[step].gate.as_ref()?, self.plan.steps[step].gate.as_ref()?);
        let scope = self.state.scope(self.plan, plan.references()).with(Variable::Output, Cow::Borrowed(output));
        let said = match (plan.evaluate_condition(&scope), &gate.message) {
            (Ok(true), _) => return None,
            (Ok(false), Some(message)) => message.clone(),
            (Ok(false), None) => format!("{} does not hold", gate.expression),
            (Err(error), _) => error.to_string(),
        };
        Some((gate.on_failure, format!("gate: {said}")))
    }

    /// The verdict on an attempt that has to be repeated because of it.
    pub(super) fn verdict_that_retries(&self, key: TaskKey, output: &Value) -> Option<String> {
        let (on_failure, verdict) = (key.part == Part::Only).then(|| self.verdict(key.step, output)).flatten()?;
        (on_failure == GateFailure::Retry).then_some(verdict)
    }
}
