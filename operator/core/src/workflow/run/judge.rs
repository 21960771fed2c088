//! How an agent judges the output of a step: it is asked when the output passes everything else, and its score decides.

use serde_json::Value;

use super::{
    StepPhase, flaw,
    gate::say,
    state::{Body, Judging, Part, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::workflow::definition::{GateFailure, Retry};

/// Longest reason of a judge that is passed on, in characters.
const MAX_REASON: usize = 1000;

impl Fold<'_> {
    /// Whether the step has a judge; what is undone anyway needs no judgement.
    pub(super) fn is_to_be_judged(&self, step: usize) -> bool {
        self.plan.judge(step).is_some() && self.state.compensation.is_none()
    }

    /// Gives the output to the judge. The work is over until then, whatever is told of it a second time or too late.
    pub(super) fn ask_judge(&mut self, step: usize, output: Value) {
        self.withdraw_tasks(step);
        let state = &mut self.state.steps[step];
        state.judged += 1;
        state.tasks += 1;
        match &mut state.body {
            // It may be done once more.
            Body::Task(task) => task.status = Status::Closed,
            body => *body = Body::Closed,
        }
        let round = state.judged;
        state.judging = Some(Judging { round, task: TaskState::DUE, output });
        self.memo.fresh.push(TaskKey { step, part: Part::Judge(round) });
    }

    /// A judgement without a score is worth as much as none.
    pub(super) fn judged(&mut self, key: TaskKey, retry: Retry, judgement: &Value) {
        let Some(needed) = self.plan.judge(key.step).map(|judge| judge.at_least) else { return };
        let score = judgement.get("score").and_then(Value::as_f64).filter(|score| (0.0..=100.0).contains(score));
        let Some(score) = score else {
            let why = "the judge gives no score: answer {\"score\": 0 to 100, \"reason\": \"…\"}";
            return self.attempt_failed(key, retry, true, why);
        };
        let Some(output) = self.end_judgement(key.step) else { return };
        let state = &mut self.state.steps[key.step];
        state.succeeded += 1;
        if score >= f64::from(needed) || flaw::ignores_judges() {
            state.succeeded += u64::from(matches!(state.body, Body::Task(_)));
            let message = state.message.take();
            return self.end_step(key.step, StepPhase::Succeeded, message, output);
        }
        let reason = match judgement.get("reason").and_then(Value::as_str) {
            Some(reason) => format!(": {}", reason.chars().take(MAX_REASON).collect::<String>()),
            None => String::new(),
        };
        let found = format!("the judge gives {score}, {needed} are needed{reason}");
        if let Some(gate) = &self.plan.definition.steps[key.step].gate {
            self.gate_lost(key.step, gate.on_failure, say(gate, &found), output);
        }
    }

    /// Without a judgement the output does not pass; doing the work again would not mend the judge.
    pub(super) fn not_judged(&mut self, step: usize, message: &str) {
        let Some(output) = self.end_judgement(step) else { return };
        self.state.steps[step].failed += 1;
        let Some(gate) = &self.plan.definition.steps[step].gate else { return };
        let on_failure = match gate.on_failure {
            GateFailure::Retry | GateFailure::Fallback => GateFailure::Fail,
            other => other,
        };
        self.gate_lost(step, on_failure, say(gate, &format!("it cannot be judged: {message}")), output);
    }

    fn end_judgement(&mut self, step: usize) -> Option<Value> {
        self.state.steps[step].judging.take().map(|judging| judging.output)
    }
}
