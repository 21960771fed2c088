//! Gates of simulated runs: judges whose score follows from the path of their task, and fallbacks.

use serde_json::{Value, json};

use super::{
    decomposed::{is_planning, reply},
    world::Random,
};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{GateFailure, Step, StepKind},
        samples::{judged, once},
    },
};

/// Whether a task judges the output of its step.
pub(super) fn is_judgement(path: &TaskPath) -> bool {
    path.parts().nth(1) == Some("judge")
}

/// Whether a judge lets pass what it judges; often it says no several times, and then yes.
pub(super) fn passes(path: &TaskPath) -> bool {
    path.as_str().bytes().map(usize::from).sum::<usize>() / 3 % 3 != 0
}

/// What the agent of a task answers.
pub(super) fn answer(path: &TaskPath) -> Value {
    if is_planning(path) {
        return reply(path);
    }
    if is_judgement(path) { json!({"score": if passes(path) { 100 } else { 10 }}) } else { json!(path.as_str()) }
}

/// Gives a step a judge.
pub(super) fn judge_step(random: &mut Random, step: &mut Step) {
    let is_task = matches!(step.kind, StepKind::Task(_));
    let on_failure = match random.below(if is_task { 9 } else { 5 }) {
        0 => GateFailure::Fail,
        1 => GateFailure::Continue,
        2 => GateFailure::Escalate,
        3 | 4 => GateFailure::Compensate,
        5 | 6 => GateFailure::Retry,
        _ => GateFailure::Fallback,
    };
    let mut gate = judged(on_failure);
    if let Some(judge) = &mut gate.judge {
        judge.task.retry.limit = u32::try_from(random.below(3)).unwrap();
    }
    if on_failure == GateFailure::Fallback || (on_failure == GateFailure::Retry && random.is(50)) {
        let mut fallback = once(json!({"instead": "${verdict}"}));
        fallback.retry.limit = u32::try_from(random.below(2)).unwrap();
        gate.fallback = Some(Box::new(fallback));
    }
    step.gate = Some(gate);
}

/// The task of a step whose gate repeats it can be repeated.
pub(super) fn can_be_repeated(step: &mut Step) {
    let is_repeating = step.gate.as_ref().is_some_and(|gate| gate.on_failure == GateFailure::Retry);
    if let StepKind::Task(task) = &mut step.kind
        && is_repeating
    {
        task.retry.limit = task.retry.limit.max(1);
    }
}

/// Whether the gate of a step makes the run undo what was done.
pub(super) fn undoes(step: &Step) -> bool {
    step.gate.as_ref().is_some_and(|gate| gate.on_failure == GateFailure::Compensate)
}

/// A gate that would undo lets the step fail instead.
pub(super) fn undo_nothing(step: &mut Step) {
    if let Some(gate) = &mut step.gate
        && gate.on_failure == GateFailure::Compensate
    {
        gate.on_failure = GateFailure::Fail;
    }
}
