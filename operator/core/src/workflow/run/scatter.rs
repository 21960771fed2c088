//! How a scatter goes on when one of its targets answers or fails.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    StepPhase,
    state::{Body, ScatterState, Status},
    step::Fold,
};
use crate::{
    expression::{Expression, Variable},
    workflow::{
        definition::{Gather, Late},
        gather::{self, Answer, Verdict},
    },
};

impl Fold<'_> {
    /// Targets whose answers cannot be enough any more, whatever the others say, are all asked again when the run is opened again.
    pub(super) fn ask_again(&self, step: usize, scatter: &mut ScatterState) {
        scatter.failed = 0;
        let open = scatter.tasks.len().saturating_sub(scatter.answers.len());
        let is_hopeless = self.plan.scatter(step).is_none_or(|(definition, _)| {
            matches!(gather::judge(&definition.gather, &scatter.answers, open), Verdict::Hopeless(_))
        });
        if is_hopeless {
            scatter.answers.clear();
            let done = scatter.tasks.iter_mut().filter(|task| matches!(task.status, Status::Succeeded(_)));
            done.for_each(|task| (task.status, task.handed) = (Status::Due(None), None));
        }
    }

    /// An answer that cannot be judged is worth as much as none: its target counts as failed.
    pub(super) fn target_answered(&mut self, step: usize, target: usize, output: &Value) {
        match self.answer(step, target, output) {
            Ok(answer) => {
                let state = &mut self.state.steps[step];
                state.succeeded += 1;
                if let Body::Scatter(scatter) = &mut state.body {
                    scatter.answers.push(answer);
                    if let Some(task) = scatter.tasks.get_mut(target) {
                        task.status = Status::Succeeded(Value::Null);
                    }
                }
                self.go_on_with_scatter(step);
            }
            Err(reason) => {
                self.state.steps[step].failed += 1;
                self.target_failed(step, target, format!("the answer of target {target} cannot be judged: {reason}"));
            }
        }
    }

    pub(super) fn target_failed(&mut self, step: usize, target: usize, message: String) {
        let state = &mut self.state.steps[step];
        state.message = Some(message);
        if let Body::Scatter(scatter) = &mut state.body {
            scatter.failed += 1;
            if let Some(task) = scatter.tasks.get_mut(target) {
                task.status = Status::Failed;
            }
        }
        self.go_on_with_scatter(step);
    }

    fn go_on_with_scatter(&mut self, step: usize) {
        let Some((definition, _)) = self.plan.scatter(step) else { return };
        let state = &mut self.state.steps[step];
        let Body::Scatter(scatter) = &mut state.body else { return };
        let open = scatter.tasks.len().saturating_sub(scatter.answers.len() + scatter.failed);
        match gather::judge(&definition.gather, &scatter.answers, open) {
            Verdict::Enough if definition.late == Late::Withdraw || open == 0 => {
                let answers = std::mem::take(&mut scatter.answers);
                let output = gather::conclude(&definition.gather, answers, scatter.failed);
                self.succeed(step, output);
            }
            Verdict::Open | Verdict::Enough => {}
            Verdict::Hopeless(reason) => {
                let last = state.message.take().map_or_else(String::new, |message| format!("; {message}"));
                let message = format!("scatter.gather.{}: {reason}{last}", definition.gather.as_str());
                self.end_step(step, StepPhase::Failed, Some(message), Value::Null);
            }
        }
    }

    fn answer(&self, step: usize, target: usize, output: &Value) -> Result<Answer, String> {
        let (definition, plan) = self.plan.scatter(step).ok_or("there is no such scatter")?;
        let key = match &plan.compare {
            Some(compare) => self.judge_answer("compare", compare, target, output)?,
            None => output.clone(),
        };
        let score = match &plan.score {
            Some((field, score)) => {
                let value = self.judge_answer(field, score, target, output)?;
                let number = value.as_f64().ok_or_else(|| format!("{field}: {value} is no number"))?;
                if matches!(definition.gather, Gather::Weighted { .. }) && number < 0.0 {
                    return Err(format!("{field}: {number} is below 0"));
                }
                number
            }
            None => 1.0,
        };
        Ok(Answer::new(target, output.clone(), &key, score))
    }

    fn judge_answer(
        &self,
        field: &str,
        expression: &Expression,
        target: usize,
        output: &Value,
    ) -> Result<Value, String> {
        let scope = self
            .state
            .scope(self.plan, expression.references())
            .with(Variable::Output, Cow::Borrowed(output))
            .with(Variable::Index, Cow::Owned(Value::from(target)));
        expression.evaluate(&scope).map_err(|error| format!("{field}: {error}"))
    }
}
