//! What must hold for plans, read from the journal alone.

use jiff::Timestamp;

use super::{
    super::decomposed::{is_approved, is_plan, is_planning},
    Facts, decided,
};
use crate::workflow::{
    definition::{Step, StepKind},
    journal::{Entry, Outcome, RunEvent},
};

/// Most replies of a planner.
const REPLIES: u32 = 2;

/// No plan is begun before it is written down, its planner has replied with one, and people have said yes.
pub(super) fn check(facts: &Facts<'_>, journal: &[(Entry, Timestamp)], step: &Step) -> Result<(), String> {
    let StepKind::Auto(auto) = &step.kind else { return Ok(()) };
    for ((path, _), position) in facts.of_step(step) {
        let is_written = |(entry, _): &(Entry, _)| matches!(entry, Entry::Run(RunEvent::Planned { step: of, .. }) if *of == step.name);
        if !journal[..position].iter().any(is_written) {
            return Err(format!("{path} began before there was a plan"));
        }
        if is_planning(path) {
            let round: u32 = path.parts().nth(2).and_then(|round| round.parse().ok()).unwrap_or(u32::MAX);
            if round > REPLIES {
                return Err(format!("{path} plans once too often"));
            }
            continue;
        }
        if auto.planner.is_some() && !has_replied(facts, step, position) {
            return Err(format!("{path} began before its planner had replied with a plan"));
        }
        if is_approved(step) && !decided::is_approved(facts, step, position) {
            return Err(format!("{path} began before its plan was approved"));
        }
    }
    Ok(())
}

fn has_replied(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    let replies = facts.results.iter().filter(|((path, _), (at, outcome))| {
        let is_of_step = path.parts().next() == Some(step.name.as_str());
        is_of_step && is_planning(path) && *at < position && matches!(outcome, Outcome::Succeeded { .. })
    });
    replies.into_iter().any(|((path, _), _)| is_plan(path))
}
