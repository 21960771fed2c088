//! What people have said, or what counts as said, read from the journal alone. In a simulation a step asks
//! once at most until the run is opened again.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Facts;
use crate::workflow::{
    definition::{Step, StepKind},
    journal::{Entry, RunEvent},
};

/// The first that was said about a question.
pub(super) struct Said {
    at: usize,
    question: u32,
    round: u32,
    approved: bool,
    /// What expressions read of it.
    pub(super) output: Value,
}

impl<'j> Facts<'j> {
    /// Notes what an entry says about the question that a step may ask now; about others nobody asks.
    pub(super) fn note_decision(&mut self, entry: &'j Entry, at: usize, written: Timestamp) {
        let Some((step, said)) = said(entry, at, self.round, written) else { return };
        let of_step = self.decided.entry(step).or_default();
        let is_news = of_step.last().is_none_or(|last| last.round < said.round && last.question < said.question);
        if is_news && said.question <= self.round + 1 {
            of_step.push(said);
        }
    }

    /// What was said last about a step before a position.
    pub(super) fn said(&self, step: &Step, position: usize) -> Option<&Said> {
        self.decided.get(step.name.as_str())?.iter().rfind(|said| said.at < position)
    }

    /// Whether somebody said no before a position.
    pub(super) fn was_rejected(&self, step: &Step, position: usize) -> bool {
        let said = self.decided.get(step.name.as_str());
        said.is_some_and(|said| said.iter().any(|said| said.at < position && !said.approved))
    }
}

fn said(entry: &Entry, at: usize, round: u32, written: Timestamp) -> Option<(&str, Said)> {
    match entry {
        Entry::Run(RunEvent::Decided { step, attempt, decision }) => {
            let (by, when) = (decision.by.as_str(), decision.at.to_string());
            let output = json!({"approved": decision.approved, "by": by, "at": when, "reason": null});
            Some((step.as_str(), Said { at, question: *attempt, round, approved: decision.approved, output }))
        }
        Entry::Run(RunEvent::DecisionTimedOut { step, attempt, approved }) => {
            let word = if *approved { "approved" } else { "rejected" };
            let reason = format!("{word}, because nobody decided in time");
            let output = json!({"approved": approved, "by": null, "at": written.to_string(), "reason": reason});
            Some((step.as_str(), Said { at, question: *attempt, round, approved: *approved, output }))
        }
        _ => None,
    }
}

/// Whether nobody had to be asked about a step, or what was said last was a yes.
pub(super) fn is_let_pass(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    let is_asked = matches!(step.kind, StepKind::Approval(_))
        || super::super::decomposed::is_approved(step)
        || step.gate.as_ref().is_some_and(|gate| gate.expression.as_deref() == Some("false"));
    !is_asked || is_approved(facts, step, position)
}

/// Whether what was said last about a step before a position was a yes.
pub(super) fn is_approved(facts: &Facts<'_>, step: &Step, position: usize) -> bool {
    facts.said(step, position).is_some_and(|said| said.approved)
}
