//! What must hold for steps with a judge and for fallbacks, read from the journal alone.

use super::{
    super::judged::{is_judgement, passes, undoes},
    Attempt, Facts, work_has_ended_well,
};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{Definition, FailurePolicy, Gate, GateFailure, Step, StepKind},
        journal::Outcome,
    },
};

fn judging(step: &Step) -> Option<&Gate> {
    step.gate.as_ref().filter(|gate| gate.judge.is_some())
}

/// What judges of a step answered before a position, each with whether it was a yes.
fn judgements<'f>(facts: &'f Facts<'_>, step: &'f Step, position: usize) -> impl Iterator<Item = (usize, bool)> {
    facts
        .results
        .iter()
        .filter(move |((path, _), (at, _))| {
            *at < position && is_judgement(path) && path.parts().next() == Some(step.name.as_str())
        })
        .filter(|(task, (at, _))| !facts.is_withdrawn_before(task, *at))
        .map(|((path, _), (at, outcome))| (*at, matches!(outcome, Outcome::Succeeded { .. }) && passes(path)))
}

/// Whether the judge of a step, if it has one, or a person in its place, lets it pass by what was told before a position.
pub(super) fn has_passed(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    let Some(gate) = judging(step) else { return true };
    let mut told = judgements(facts, step, position);
    match gate.on_failure {
        GateFailure::Continue => told.next().is_some(),
        GateFailure::Escalate => told.any(|(_, is_yes)| is_yes) || super::decided::is_approved(facts, step, position),
        _ => told.any(|(_, is_yes)| is_yes),
    }
}

/// Whether an attempt may follow one that ended well: its judge did not let it pass, and the gate says that it is done again.
pub(super) fn is_done_again(
    definition: &Definition,
    facts: &Facts<'_>,
    (path, attempt): &Attempt,
    position: usize,
) -> bool {
    let Some(step) = definition.steps.iter().find(|step| step.name.as_str() == path.as_str()) else { return false };
    let is_repeating = |gate: &Gate| matches!(gate.on_failure, GateFailure::Retry | GateFailure::Fallback);
    if !judging(step).is_some_and(is_repeating) {
        return false;
    }
    let round = works(facts, path, usize::MAX).filter(|of| of < attempt).count();
    let judgement = TaskPath::of_judgement(&step.name, u32::try_from(round).unwrap());
    let mut answers = facts.results.iter().filter(|((of, _), (at, _))| *of == judgement && *at < position);
    !passes(&judgement) && answers.any(|(_, (_, outcome))| matches!(outcome, Outcome::Succeeded { .. }))
}

/// Repetitions that the fallback of a step allows beside those of its task.
pub(super) fn repetitions_by_fallback(step: &Step, path: &TaskPath) -> u32 {
    let fallback = step.gate.as_ref().and_then(|gate| gate.fallback.as_ref()).filter(|_| path.parts().count() == 1);
    fallback.map_or(0, |fallback| fallback.retry.limit + 1)
}

/// Attempts of a task that ended well before a position.
fn works<'f>(facts: &'f Facts<'_>, path: &'f TaskPath, position: usize) -> impl Iterator<Item = u32> {
    facts
        .results
        .iter()
        .filter(move |((of, _), (at, outcome))| {
            of == path && *at < position && matches!(outcome, Outcome::Succeeded { .. })
        })
        .filter(|(task, (at, _))| !facts.is_withdrawn_before(task, *at))
        .map(|((_, attempt), _)| *attempt)
}

/// Every output is judged once, after it was made.
pub(super) fn check(facts: &Facts<'_>, step: &Step) -> Result<(), String> {
    for ((path, _), position) in facts.of_step(step).filter(|((path, _), _)| is_judgement(path)) {
        if judging(step).is_none() {
            return Err(format!("{path} judges a step without a judge"));
        }
        let round: usize = path.parts().nth(2).and_then(|round| round.parse().ok()).unwrap_or(usize::MAX);
        let made = match &step.kind {
            StepKind::Task(_) => works(facts, &TaskPath::of_step(&step.name), position).count(),
            _ => usize::from(work_has_ended_well(facts, step, position)),
        };
        if round > made {
            return Err(format!("{path} judges what was not made yet"));
        }
    }
    Ok(())
}

/// A run whose policy is to stop undoes something only because of a gate that says so, and then it does.
pub(super) fn check_undoing(
    definition: &Definition,
    facts: &Facts<'_>,
    end: usize,
    message: &str,
) -> Result<(), String> {
    if definition.on_failure == FailurePolicy::Compensate {
        return Ok(());
    }
    let lost = facts.lost.filter(|at| *at < end);
    let asks = |step: &&Step| undoes(step) && judgements(facts, step, lost.unwrap_or(end)).any(|(_, is_yes)| !is_yes);
    if lost.is_some() && !definition.steps.iter().any(|step| asks(&step)) {
        return Err("the run undoes what was done, and no gate says so".to_owned());
    }
    let is_cause = |step: &&Step| asks(step) && message.starts_with(&format!("step {}: gate: ", step.name));
    let is_done = |step: &Step| works(facts, &TaskPath::of_step(&step.name), end).next().is_some();
    let is_owed = definition.steps.iter().any(|step| step.compensate.is_some() && is_done(step));
    match definition.steps.iter().find(is_cause) {
        Some(step) if lost.is_none() && is_owed => Err(format!("the gate of step {} undoes nothing", step.name)),
        _ => Ok(()),
    }
}
