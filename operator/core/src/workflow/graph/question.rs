//! Checks of what is asked of people.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::Checker;
use crate::{
    expression::Variable,
    workflow::{
        approval::Approval,
        definition::{Gate, GateFailure},
    },
};

/// Most approvers of one question, and most reminders.
pub const MAX_APPROVERS: usize = 32;
/// Most reminders of one question.
pub const MAX_REMINDERS: usize = 16;

impl Checker<'_> {
    pub(super) fn check_question(
        &mut self,
        field: &str,
        approval: &Approval,
        reads: &[Variable],
        upstream: &BTreeSet<usize>,
    ) {
        if let Some(message) = &approval.message {
            self.check_template(&format!("{field}.message"), &Value::String(message.clone()), reads, upstream);
        }
        if approval.timeout.is_zero() {
            self.add(format!("{field}.timeout"), "nobody could decide in no time", "write a duration above 0s");
        }
        if approval.approvers.len() > MAX_APPROVERS {
            let message = format!("there are {} entries", approval.approvers.len());
            self.add(format!("{field}.approvers"), message, format!("write at most {MAX_APPROVERS}, or name a group"));
        }
        if approval.reminders_ms.len() > MAX_REMINDERS {
            let message = format!("there are {} entries", approval.reminders_ms.len());
            self.add(format!("{field}.reminders"), message, format!("write at most {MAX_REMINDERS}"));
        }
        let timeout = u64::try_from(approval.timeout.as_millis()).unwrap_or(u64::MAX);
        for (index, reminder) in approval.reminders_ms.iter().enumerate() {
            let field = format!("{field}.reminders[{index}]");
            if *reminder >= timeout {
                self.add(&field, "it would come when the time is over", "write one that is shorter than the timeout");
            }
            if index > 0 && *reminder <= approval.reminders_ms[index - 1] {
                self.add(&field, "it is not later than the one before", "write them in ascending order");
            }
        }
    }

    pub(super) fn check_escalation(&mut self, field: &str, gate: &Gate, upstream: &BTreeSet<usize>) {
        match (&gate.escalation, gate.on_failure) {
            (Some(approval), GateFailure::Escalate) => {
                self.check_question(&format!("{field}.escalation"), approval, &[Variable::Output], upstream);
            }
            (None, GateFailure::Escalate) => {
                let remedy = "write escalation: {approvers: [{kind: Group, name: …}]}, or {} for whoever has the right to approve";
                self.add(format!("{field}.escalation"), "it is not said who is asked", remedy);
            }
            (Some(_), _) => {
                let remedy = "write onFailure: Escalate, or remove it";
                self.add(format!("{field}.escalation"), "nobody is ever asked", remedy);
            }
            (None, _) => {}
        }
    }
}
