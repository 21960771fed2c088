//! Questions to people: who may decide, and for how long.

use tetrarch_core::workflow::approval::{Approval, Approver, ApproverKind, TimeoutDecision};
use tetrarch_crds::{
    shared::{Subject, SubjectKind},
    workflow as written,
};

use super::optional_duration;
use crate::{duration, violation::Violations};

/// Reads a question.
pub(super) fn approval(approval: &written::Approval, path: &str, violations: &mut Violations) -> Option<Approval> {
    let mut approvers = Vec::new();
    for (index, subject) in approval.approvers.iter().enumerate() {
        if subject.name.is_empty() {
            violations.add(
                format!("{path}.approvers[{index}].name"),
                "is empty: write the name of a user, group or service account",
            );
        }
        if subject.namespace.is_some() && subject.kind != SubjectKind::ServiceAccount {
            violations.add(
                format!("{path}.approvers[{index}].namespace"),
                format!("a {:?} has none: leave it out, or write kind: ServiceAccount", subject.kind),
            );
        }
        approvers.push(approver(subject));
    }
    let timeout = optional_duration(&format!("{path}.timeout"), Some(&approval.timeout), violations);
    let mut reminders_ms = Vec::new();
    for (index, reminder) in approval.reminders.iter().enumerate() {
        let read = violations.check(&format!("{path}.reminders[{index}]"), duration::parse_positive(&reminder.0));
        reminders_ms.push(u64::try_from(read?.as_millis()).unwrap_or(u64::MAX));
    }
    Some(Approval {
        approvers,
        message: approval.message.clone(),
        timeout: timeout?,
        on_timeout: match approval.on_timeout {
            written::TimeoutDecision::Reject => TimeoutDecision::Reject,
            written::TimeoutDecision::Approve => TimeoutDecision::Approve,
        },
        require_reason: approval.require_reason,
        reminders_ms,
    })
}

fn approver(subject: &Subject) -> Approver {
    let kind = match subject.kind {
        SubjectKind::User => ApproverKind::User,
        SubjectKind::Group => ApproverKind::Group,
        SubjectKind::ServiceAccount => ApproverKind::ServiceAccount,
    };
    Approver { kind, name: subject.name.clone(), namespace: subject.namespace.clone() }
}
