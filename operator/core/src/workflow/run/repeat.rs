//! How a loop goes on when an iteration has ended.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    StepPhase, flaw,
    state::{Body, LoopState, Part, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{expression::Variable, workflow::definition::Exhausted};

impl Fold<'_> {
    /// Ends the loop when its condition holds or its bound is reached, and begins the next iteration otherwise. Of all that
    /// came before only the last output is kept.
    pub(super) fn iteration_done(&mut self, step: usize, index: usize, output: &Value) {
        let Some((definition, _)) = self.plan.repeated(step) else { return };
        let next = index + 1;
        match self.is_loop_over(step, output) {
            Err(error) => {
                let message = format!("loop.until: {error}");
                self.state.steps[step].body = Body::Closed;
                self.end_step(step, StepPhase::Failed, Some(message), output.clone());
            }
            Ok(true) if !flaw::repeats_forever() => self.succeed(step, output.clone()),
            Ok(_) if next < definition.max_iterations as usize => {
                let begin = self.at.checked_add(definition.interval).unwrap_or(Timestamp::MAX);
                let task = TaskState { status: Status::Due(Some(begin)), ..TaskState::DUE };
                let state = &mut self.state.steps[step];
                state.tasks += 1;
                state.body = Body::Loop(LoopState { index: next, task, previous: output.clone() });
                self.memo.retry_at(begin, TaskKey { step, part: Part::Item(next) });
            }
            Ok(_) => {
                let until = &definition.until;
                let message = format!("loop: {until} does not hold after {next} iterations, and no more are allowed");
                match definition.on_exhausted {
                    Exhausted::Fail => {
                        // A run that is opened again begins the loop anew.
                        self.state.steps[step].body = Body::Closed;
                        self.end_step(step, StepPhase::Failed, Some(message), output.clone());
                    }
                    Exhausted::Continue => {
                        self.state.steps[step].message = Some(message);
                        self.succeed(step, output.clone());
                    }
                }
            }
        }
    }

    fn is_loop_over(&self, step: usize, output: &Value) -> Result<bool, String> {
        let (_, plan) = self.plan.repeated(step).ok_or("there is no such loop")?;
        let Body::Loop(LoopState { index, previous, .. }) = &self.state.steps[step].body else { return Ok(true) };
        let scope = self
            .state
            .scope(self.plan, plan.until.references())
            .with(Variable::Output, Cow::Borrowed(output))
            .with(Variable::Previous, Cow::Borrowed(previous))
            .with(Variable::Index, Cow::Owned(Value::from(*index)));
        plan.until.evaluate_condition(&scope).map_err(|error| error.to_string())
    }
}
