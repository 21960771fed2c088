//! What must hold for runs that are opened again, read from the journal alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::{super::repeated::expected, Facts, compensated, facts, good_paths, has_ended_well};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{Definition, GateFailure, Reduce, Step, StepKind},
        journal::{Entry, FinalPhase, Outcome, RunEvent},
    },
};

/// Checks a journal that has come to its end, with any number of rounds.
pub(in super::super) fn check(definition: &Definition, journal: &[(Entry, Timestamp)]) -> Result<(), String> {
    let reopened: Vec<usize> =
        (0..journal.len()).filter(|at| matches!(journal[*at].0, Entry::Run(RunEvent::Reopened { .. }))).collect();
    let Some(first) = reopened.first() else { return super::check(definition, journal) };
    super::check(definition, &journal[..*first])?;
    let facts = facts(journal);
    check_ends(&facts, &reopened)?;
    super::check_attempts(definition, &facts)?;
    for (number, round) in reopened.iter().enumerate() {
        let end = reopened.get(number + 1).copied().unwrap_or(journal.len());
        let dispatched = dispatched_in(journal, *round, end, u32::try_from(number + 1).unwrap_or(u32::MAX) * 1_000);
        for step in &definition.steps {
            check_repetition(definition, &facts, step, *round, &dispatched)?;
            check_order(definition, &facts, step, &dispatched)?;
        }
    }
    if let Some((end, FinalPhase::Succeeded, _)) = facts.finished.last() {
        for step in &definition.steps {
            if !facts.skipped.contains_key(step.name.as_str()) && !is_done(&facts, step, *end) {
                return Err(format!("the run succeeded, but step {} did not", step.name));
            }
            check_done_again(&facts, step, reopened[reopened.len() - 1])?;
        }
    }
    Ok(())
}

/// Ends and openings alternate, and nothing that ended well is opened again.
fn check_ends(facts: &Facts<'_>, reopened: &[usize]) -> Result<(), String> {
    if facts.finished.len() != reopened.len() + 1 {
        return Err(format!("{} ends and {} openings", facts.finished.len(), reopened.len()));
    }
    for (finished, opened) in facts.finished.iter().zip(reopened) {
        if finished.0 > *opened || finished.1 == FinalPhase::Succeeded {
            return Err(format!("opened again at {opened} after {finished:?}"));
        }
    }
    Ok(())
}

/// The attempts that were begun in a round, with their positions.
fn dispatched_in(journal: &[(Entry, Timestamp)], from: usize, to: usize, base: u32) -> Vec<(TaskPath, usize)> {
    let entries = journal[from..to].iter().enumerate();
    entries
        .filter_map(|(at, (entry, _))| match entry {
            Entry::Dispatched { path, attempt, .. } if *attempt > base && !compensated::is_undoing(path) => {
                Some((path.clone(), from + at))
            }
            _ => None,
        })
        .collect()
}

/// Whether somebody began to undo a step before a position.
fn is_undone(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    facts.of_compensation(step).any(|(_, at)| at < position)
}

/// Whether a step did its work, in any round; of a scatter that some target answered.
fn is_done(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    match step.kind {
        StepKind::Scatter(_) => !good_paths(facts, step, position).is_empty(),
        _ => has_ended_well(facts, step, position),
    }
}

/// The steps before a step, however far.
fn before<'d>(definition: &'d Definition, step: &'d Step) -> Vec<&'d Step> {
    let mut found: Vec<&Step> = vec![step];
    let mut seen = BTreeSet::new();
    let mut at = 0;
    while at < found.len() {
        for name in found[at].before() {
            if seen.insert(name.as_str()) {
                found.extend(definition.steps.iter().find(|candidate| candidate.name == *name));
            }
        }
        at += 1;
    }
    found
}

/// What is done is not begun again, unless it, or something before it, was undone.
fn check_repetition(
    definition: &Definition,
    facts: &Facts<'_>,
    step: &Step,
    round: usize,
    dispatched: &[(TaskPath, usize)],
) -> Result<(), String> {
    if before(definition, step).into_iter().any(|before| is_undone(facts, before, round)) {
        return Ok(());
    }
    // Answers of a scatter that came to nothing are asked for again; those of several rounds cannot be told apart here.
    if matches!(step.kind, StepKind::Scatter(_)) {
        return Ok(());
    }
    // So is a loop that came to nothing, and an output that somebody has rejected.
    let done = good_paths(facts, step, round);
    let is_exhausted = match &step.kind {
        StepKind::Loop(repeated) => !expected(repeated).1 && done.len() == expected(repeated).0,
        _ => false,
    };
    // A judge or a gate that falls back may have found that it will not do.
    let may_be_rejected =
        step.gate.as_ref().is_some_and(|gate| gate.judge.is_some() || gate.on_failure != GateFailure::Escalate);
    if is_exhausted || may_be_rejected || facts.was_rejected(step, round) {
        return Ok(());
    }
    match dispatched.iter().find(|(path, _)| done.contains(path.as_str())) {
        Some((path, at)) => Err(format!("{path} was done before {round} and begun again at {at}")),
        None => Ok(()),
    }
}

/// Nothing begins before what it depends on is done.
fn check_order(
    definition: &Definition,
    facts: &Facts<'_>,
    step: &Step,
    dispatched: &[(TaskPath, usize)],
) -> Result<(), String> {
    super::maps::check_items(facts, step)?;
    let of_step = dispatched.iter().filter(|(path, _)| path.parts().next() == Some(step.name.as_str()));
    for (path, at) in of_step {
        for name in &step.after {
            let before = definition.steps.iter().find(|candidate| candidate.name == *name).ok_or("no such step")?;
            let is_skipped = facts.skipped.get(name.as_str()).is_some_and(|skipped| skipped < at);
            let is_empty = matches!(&before.kind, StepKind::Map(map) if map.items == json!([]) && map.items_from.is_none() && !matches!(map.reduce, Reduce::Task(_)));
            if !is_skipped && !is_empty && !is_done(facts, before, *at) {
                return Err(format!("{path} was begun at {at} although step {name} had not ended well"));
            }
        }
    }
    Ok(())
}

/// A step that was undone is done again in a run that succeeds.
fn check_done_again(facts: &Facts<'_>, step: &Step, last: usize) -> Result<(), String> {
    let undone = facts
        .results
        .iter()
        .filter(|((path, _), _)| path.parts().next() == Some(step.name.as_str()) && compensated::is_undoing(path))
        .filter(|(_, (at, outcome))| *at < last && matches!(outcome, Outcome::Succeeded { .. }))
        .map(|(_, (at, _))| *at)
        .max();
    let Some(undone) = undone else { return Ok(()) };
    let is_of_step = |path: &TaskPath| path.as_str() == step.name.as_str();
    let is_done = facts.results.iter().any(|((path, _), (at, outcome))| {
        is_of_step(path) && *at > undone && matches!(outcome, Outcome::Succeeded { .. })
    });
    if is_done || facts.skipped.contains_key(step.name.as_str()) {
        return Ok(());
    }
    Err(format!("step {} was undone at {undone} and the run succeeded without it", step.name))
}
