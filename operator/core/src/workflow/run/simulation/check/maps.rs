//! What must hold for the items of maps and for trees of reductions, read from the journal alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::maps::{count, groups, levels, results},
    Attempt, Facts, good_paths, has_ended_well,
};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{MapStep, Reduce, Step, StepKind},
        journal::Outcome,
    },
};

/// The level and the group of a task of a tree.
fn place(path: &TaskPath) -> Option<(usize, usize)> {
    let parts: Vec<&str> = path.parts().skip(1).collect();
    match parts.as_slice() {
        ["reduce", level, group] => Some((level.parse().ok()?, group.parse().ok()?)),
        _ => None,
    }
}

/// The place of the item of a task.
fn item(path: &TaskPath) -> Option<usize> {
    let parts: Vec<&str> = path.parts().skip(1).collect();
    match parts.as_slice() {
        [index] => index.parse().ok(),
        _ => None,
    }
}

/// The map that a step streams from.
fn source<'f>(facts: &Facts<'f>, step: &Step) -> Option<&'f Step> {
    let name = step.streams_from()?;
    facts.definition?.steps.iter().find(|candidate| candidate.name == *name)
}

/// The places of the items of a map before a position: of one that streams, what had succeeded in the other map.
pub(super) fn items(facts: &Facts<'_>, step: &Step, map: &MapStep, position: usize) -> Vec<usize> {
    let Some(source) = source(facts, step) else { return (0..count(map)).collect() };
    let good = good_paths(facts, source, position);
    let StepKind::Map(before) = &source.kind else { return Vec::new() };
    let is_good = |index: &usize| good.contains(&format!("{}:{index}", source.name));
    items(facts, source, before, position).into_iter().filter(is_good).collect()
}

/// Whether no more items come.
pub(super) fn has_source_ended(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    source(facts, step).is_none_or(|source| has_ended_well(facts, source, position))
}

/// Nothing is done with what no item is, or is none yet, and never with more items at once than are allowed.
pub(super) fn check_items(facts: &Facts<'_>, step: &Step) -> Result<(), String> {
    let StepKind::Map(map) = &step.kind else { return Ok(()) };
    let mut begun: Vec<(usize, &Attempt)> = facts.of_step(step).map(|(task, position)| (position, task)).collect();
    begun.retain(|(_, (path, _))| item(path).is_some());
    begun.sort_unstable();
    let has_ended = |task: &Attempt, position: usize| {
        facts.is_withdrawn_before(task, position) || facts.results.get(task).is_some_and(|(at, _)| *at < position)
    };
    for (number, (position, (path, _))) in begun.iter().enumerate() {
        let is_item = item(path).is_some_and(|index| items(facts, step, map, *position).contains(&index));
        if !is_item {
            return Err(format!("{path} was begun at {position} without its item"));
        }
        let before = begun[..number].iter().filter(|(_, task)| task.0 != *path && !has_ended(task, *position));
        if before.count() >= map.max_parallel as usize && facts.round == 0 {
            return Err(format!("{path} was begun at {position} with {} others", map.max_parallel));
        }
    }
    Ok(())
}

/// No group is reduced before everything of the level below is, nor is anything that no output could belong to.
pub(super) fn check(facts: &Facts<'_>, step: &Step) -> Result<(), String> {
    check_items(facts, step)?;
    let StepKind::Map(map) = &step.kind else { return Ok(()) };
    let Reduce::Tree { fan_in, .. } = &map.reduce else { return Ok(()) };
    for ((path, _), position) in facts.of_step(step) {
        let Some((level, group)) = place(path) else { continue };
        let mut most = results(map, items(facts, step, map, position).len());
        for _ in 0..=level {
            most = most.div_ceil(*fan_in as usize).max(1);
        }
        if group >= most {
            return Err(format!("{path} reduces nothing"));
        }
        let mut has_below = level == 0;
        for (below, began) in facts.of_step(step) {
            let is_item = place(&below.0).is_none() && below.0.parts().count() == 2;
            let is_below = place(&below.0).map_or(level == 0 && is_item, |(of, _)| of + 1 == level);
            if !is_below || began > position {
                continue;
            }
            let told = facts.results.get(below).filter(|(at, _)| *at < position);
            if told.is_none() && !facts.is_withdrawn_before(below, position) {
                return Err(format!("{path} was reduced before {} was done", below.0));
            }
            has_below |= told.is_some_and(|(_, outcome)| matches!(outcome, Outcome::Succeeded { .. }));
        }
        if !has_below {
            return Err(format!("{path} was reduced before anything of the level below"));
        }
    }
    Ok(())
}

/// What a map without a single reducing task comes to when these of its items ended well.
pub(super) fn expected_output(step: &Step, map: &MapStep, good: &BTreeSet<usize>) -> Value {
    let name = &step.name;
    let answers = |places: &[usize]| -> Vec<String> {
        places.iter().filter(|place| good.contains(place)).map(|place| format!("{name}:{place}")).collect()
    };
    if let Reduce::Tree { fan_in, .. } = &map.reduce {
        return json!(format!("{name}:reduce:{}:0", levels(results(map, good.len()), *fan_in) - 1));
    }
    if let (Some(groups), Some(nested)) = (groups(map), &map.nested) {
        let of_group = |(outer, places): (usize, Vec<usize>)| match nested.reduce {
            Reduce::Expression(_) => json!([outer, answers(&places)]),
            _ => json!(answers(&places)),
        };
        return groups.into_iter().map(of_group).collect();
    }
    let outputs = answers(&good.iter().copied().collect::<Vec<_>>()).into_iter();
    match &map.reduce {
        Reduce::Expression(_) => outputs.map(|output| format!("{output}!")).collect(),
        _ => outputs.collect(),
    }
}
