//! What must hold for loops, read from the journal alone.

use jiff::Timestamp;

use super::{
    super::{judged::is_judgement, repeated::expected},
    Facts,
};
use crate::workflow::{
    definition::{Step, StepKind},
    journal::{Entry, Outcome},
};

/// No iteration begins before the one before has succeeded and the interval is over, and none beyond those that are needed.
pub(super) fn check(facts: &Facts<'_>, journal: &[(Entry, Timestamp)], step: &Step) -> Result<(), String> {
    let StepKind::Loop(repeated) = &step.kind else { return Ok(()) };
    for ((path, _), position) in facts.of_step(step).filter(|((path, _), _)| !is_judgement(path)) {
        let index: usize = path
            .parts()
            .nth(1)
            .and_then(|index| index.parse().ok())
            .ok_or_else(|| format!("{path} is no iteration"))?;
        let (most, _) = expected(repeated);
        if index >= most {
            return Err(format!("{path} began, but {most} iterations were needed"));
        }
        let Some(before) = index.checked_sub(1).map(|before| format!("{}:{before}", step.name)) else { continue };
        let done = facts
            .results
            .iter()
            .filter(|((of, _), (at, outcome))| {
                of.as_str() == before && *at < position && matches!(outcome, Outcome::Succeeded { .. })
            })
            .filter(|(task, (at, _))| !facts.is_withdrawn_before(task, *at))
            .map(|(_, (at, _))| journal[*at].1)
            .min();
        let Some(done) = done else { return Err(format!("{path} began before {before} was done")) };
        if journal[position].1 < done.checked_add(repeated.interval).unwrap_or(Timestamp::MAX) {
            return Err(format!("{path} began within the interval after {before}"));
        }
    }
    Ok(())
}
