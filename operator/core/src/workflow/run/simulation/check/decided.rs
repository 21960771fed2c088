//! What people have said, or what counts as said, read from the journal alone. In a simulation a step asks once at most.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Facts;
use crate::workflow::{
    definition::{Step, StepKind},
    journal::{Entry, RunEvent},
};

/// The first that was said about a step.
pub(super) struct Said {
    at: usize,
    approved: bool,
    /// What expressions read of it.
    pub(super) output: Value,
}

/// What an entry says about the first question of a step; about others nobody asks.
pub(super) fn said(entry: &Entry, at: usize, written: Timestamp) -> Option<(&str, Said)> {
    match entry {
        Entry::Run(RunEvent::Decided { step, attempt: 1, decision }) => {
            let (by, when) = (decision.by.as_str(), decision.at.to_string());
            let output = json!({"approved": decision.approved, "by": by, "at": when, "reason": null});
            Some((step.as_str(), Said { at, approved: decision.approved, output }))
        }
        Entry::Run(RunEvent::DecisionTimedOut { step, attempt: 1, approved }) => {
            let word = if *approved { "approved" } else { "rejected" };
            let reason = format!("{word}, because nobody decided in time");
            let output = json!({"approved": approved, "by": null, "at": written.to_string(), "reason": reason});
            Some((step.as_str(), Said { at, approved: *approved, output }))
        }
        _ => None,
    }
}

/// Whether nobody had to be asked about a step, or the first that was said was a yes.
pub(super) fn is_let_pass(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    let is_asked = matches!(step.kind, StepKind::Approval(_))
        || step.gate.as_ref().is_some_and(|gate| gate.expression.as_deref() == Some("false"));
    !is_asked || is_approved(facts, step, position)
}

/// Whether the first that was said about a step before a position was a yes.
pub(super) fn is_approved(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    facts.decided.get(step.name.as_str()).is_some_and(|said| said.at < position && said.approved)
}
