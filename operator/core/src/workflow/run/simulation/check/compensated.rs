//! What must hold for runs that undo what they did, read from the journal alone.

use std::collections::BTreeSet;

use super::{
    super::judged::{is_judgement, undoes},
    Attempt, Facts,
};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{Definition, FailurePolicy, Step},
        journal::{FinalPhase, Outcome},
    },
};

/// Whether a task undoes a step.
pub(super) fn is_undoing(path: &TaskPath) -> bool {
    path.parts().nth(1) == Some("compensate")
}

/// Whether an agent says that it did something: who hands a task over has done its part.
const fn has_worked(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded { .. } | Outcome::HandedOver { .. })
}

impl Facts<'_> {
    pub(super) fn of_compensation<'f>(&'f self, step: &'f Step) -> impl Iterator<Item = (&'f Attempt, usize)> {
        let is_of_step = |path: &TaskPath| path.parts().next() == Some(step.name.as_str()) && is_undoing(path);
        self.dispatched.iter().filter(move |((path, _), _)| is_of_step(path)).map(|(task, position)| (task, *position))
    }

    fn done_by_what_was_dispatched_before_the_loss(&self, step: &Step) -> Option<usize> {
        // Judging is no work on the step: what is judged was done before.
        let early = self.of_step(step).filter(|((path, _), at)| Some(*at) < self.lost && !is_judgement(path));
        let good = early
            .filter(|(task, _)| !self.withdrawn.contains_key(*task))
            .filter_map(|(task, _)| self.results.get(task));
        good.filter(|(_, outcome)| has_worked(outcome)).map(|(at, _)| *at).max()
    }

    /// Where the agent's first word of a task's success stands.
    fn done(&self, path: &TaskPath, end: usize) -> Option<usize> {
        self.successes(path, end).min()
    }

    /// Whether an agent did what an owner dispatched that had not read that the run was lost.
    fn has_late_work(&self, step: &Step) -> bool {
        self.of_step(step).filter(|(_, at)| Some(*at) > self.lost).any(|(task, _)| {
            self.results.get(task).is_some_and(|(_, outcome)| has_worked(outcome)) && !self.withdrawn.contains_key(task)
        })
    }

    fn last_done(&self, path: &TaskPath, end: usize) -> Option<usize> {
        self.successes(path, end).max()
    }

    fn successes<'f>(&'f self, path: &'f TaskPath, end: usize) -> impl Iterator<Item = usize> {
        let good =
            self.results.iter().filter(move |((of, _), (at, outcome))| of == path && *at < end && has_worked(outcome));
        good.filter(|(task, (at, _))| !self.is_withdrawn_before(task, *at)).map(|(_, (at, _))| *at)
    }
}

/// Every step that was done is undone once, the last one first, and nothing that is undone was never begun. What is not
/// undone is named.
pub(super) fn check(
    definition: &Definition,
    facts: &Facts<'_>,
    (end, phase, message): (usize, FinalPhase, &str),
) -> Result<(), String> {
    let undoing: Vec<&Step> =
        definition.steps.iter().filter(|step| facts.of_compensation(step).next().is_some()).collect();
    let is_lost = facts.lost.is_some_and(|at| at < end);
    let may_undo = definition.on_failure == FailurePolicy::Compensate || definition.steps.iter().any(undoes);
    if !undoing.is_empty() && (!may_undo || !is_lost) {
        return Err(format!("step {} is undone in a run that was not lost", undoing[0].name));
    }
    if phase == FinalPhase::Succeeded && is_lost {
        return Err("the run was lost and succeeded".to_owned());
    }
    let is_saga = definition.on_failure == FailurePolicy::Compensate || is_lost;
    if !is_saga || phase == FinalPhase::Succeeded {
        return Ok(());
    }
    let mut order = Vec::new();
    for step in definition.steps.iter().filter(|step| step.compensate.is_some()) {
        let path = TaskPath::of_step(&step.name);
        let undone = facts.done(&TaskPath::of_compensation(&step.name), end);
        let began = facts.of_compensation(step).map(|(_, at)| at).min();
        let is_named = message.split("by hand: ").nth(1).is_some_and(|left| left.contains(&format!("{} (", step.name)));
        // What another owner dispatched after the loss may come when the others are undone already, or when the run ends.
        let early = facts.done_by_what_was_dispatched_before_the_loss(step);
        if let Some(worked) = early
            && began.is_some_and(|began| began < worked)
            && !is_named
        {
            return Err(format!("step {} was undone while an agent worked on it", step.name));
        }
        match (facts.done(&path, end), undone) {
            // What is done again after the loss may come when others are about to be undone: any place in the order is right.
            (Some(_), Some(_)) if early.is_some() && facts.has_late_work(step) => {}
            // What is done again because of its judge counts from the last time.
            (Some(done), Some(_)) if early.is_some() => {
                order.push((facts.last_done(&path, began.unwrap_or(end)).unwrap_or(done), began));
            }
            (Some(_), None) if early.is_some() && !is_named => {
                return Err(format!("step {} was done and is not undone: {message}", step.name));
            }
            (None, Some(_)) if !is_doubtful(facts, &path) => {
                return Err(format!("step {} was undone and never done", step.name));
            }
            _ => {}
        }
        let is_read = undone.is_some_and(|undone| undone < facts.surely_read);
        if is_read && is_named && !message.contains("about to be undone") {
            return Err(format!("step {} is undone and named as not undone: {message}", step.name));
        }
        if phase == FinalPhase::Compensated && is_named {
            return Err(format!("all is undone, but not step {}", step.name));
        }
    }
    order.sort_unstable();
    if !order.iter().map(|(_, began)| *began).rev().is_sorted() {
        return Err(format!("steps were not undone in reverse: {order:?}"));
    }
    check_one_at_a_time(facts, &undoing)
}

/// Some attempt of the task ended without the agent's word, or was never answered.
fn is_doubtful(facts: &Facts<'_>, path: &TaskPath) -> bool {
    let attempts = facts.dispatched.keys().filter(|(of, _)| of == path);
    attempts.into_iter().any(|task| facts.results.get(task).is_none_or(|(_, outcome)| !outcome.is_agents_word()))
}

/// The compensation of a step begins when that of the one before has ended.
fn check_one_at_a_time(facts: &Facts<'_>, undoing: &[&Step]) -> Result<(), String> {
    let mut begins: Vec<(usize, &str)> = Vec::new();
    for step in undoing {
        begins.extend(
            facts
                .of_compensation(step)
                .filter(|((_, attempt), _)| *attempt == 1)
                .map(|(_, at)| (at, step.name.as_str())),
        );
    }
    begins.sort_unstable();
    let names: BTreeSet<&str> = begins.iter().map(|(_, name)| *name).collect();
    if names.len() != begins.len() {
        return Err(format!("a step is undone twice: {begins:?}"));
    }
    for pair in begins.windows(2) {
        let ((_, before), (next, _)) = (pair[0], pair[1]);
        let is_ended = facts
            .results
            .iter()
            .any(|((path, _), (at, _))| *at < next && is_undoing(path) && path.parts().next() == Some(before));
        if !is_ended {
            return Err(format!("the next step is undone while {before} still is"));
        }
    }
    Ok(())
}
