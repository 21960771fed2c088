//! What must hold for trees of reductions, read from the journal alone.

use super::{super::maps::count, Facts};
use crate::{
    id::TaskPath,
    workflow::{
        definition::{Reduce, Step, StepKind},
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

/// No group is reduced before everything of the level below is, nor is anything that no output could belong to.
pub(super) fn check(facts: &Facts<'_>, step: &Step) -> Result<(), String> {
    let StepKind::Map(map) = &step.kind else { return Ok(()) };
    let Reduce::Tree { fan_in, .. } = &map.reduce else { return Ok(()) };
    for ((path, _), position) in facts.of_step(step) {
        let Some((level, group)) = place(path) else { continue };
        let mut most = count(map);
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
