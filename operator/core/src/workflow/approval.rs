//! What is asked of people: who may decide about a step, until when, and what they have said.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::definition::millis;

/// A question to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Who may decide; none means whoever has the right to approve the Workflow.
    #[serde(default)]
    pub approvers: Vec<Approver>,
    /// What is asked: a template that yields a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long people have, from the moment that they are asked.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// What counts as said when nobody has decided by then.
    pub on_timeout: TimeoutDecision,
    /// Whether a decision needs a reason.
    #[serde(default)]
    pub require_reason: bool,
    /// When people are reminded, from the moment that they are asked; in ascending order and before the timeout. In whole milliseconds.
    #[serde(default)]
    pub reminders_ms: Vec<u64>,
}

/// Somebody who may decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approver {
    /// Of which kind.
    pub kind: ApproverKind,
    /// Name of the user, the group or the service account.
    pub name: String,
    /// Namespace of a service account; none means that of the Workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Kinds of approvers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApproverKind {
    /// A user.
    User,
    /// Everybody in a group.
    Group,
    /// A service account.
    ServiceAccount,
}

/// What counts as said when nobody has decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeoutDecision {
    /// No.
    Reject,
    /// Yes.
    Approve,
}

/// What somebody has said, as the webhook has stamped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Yes or no.
    pub approved: bool,
    /// The authenticated user.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Approval {
    /// Who may decide, in words, such as `Group legal or User ada`.
    pub fn who(&self) -> String {
        if self.approvers.is_empty() {
            return "somebody with the right to approve".to_owned();
        }
        self.approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }
}

impl Decision {
    /// As expressions read it in the output of a step.
    pub fn output(&self) -> Value {
        json!({"approved": self.approved, "by": self.by, "at": self.at.to_string(), "reason": self.reason})
    }
}

/// Such as `approved by ada: fits the brand`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.approved { "approved" } else { "rejected" };
        write!(f, "{said} by {}", self.by)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.name)
    }
}

impl TimeoutDecision {
    /// Whether it is a yes.
    pub const fn is_approved(self) -> bool {
        matches!(self, Self::Approve)
    }

    /// As expressions read it in the output of a step.
    pub fn output(self, at: Timestamp) -> Value {
        json!({"approved": self.is_approved(), "by": null, "at": at.to_string(), "reason": self.to_string()})
    }
}

/// Such as `rejected, because nobody decided in time`.
impl fmt::Display for TimeoutDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.is_approved() { "approved" } else { "rejected" };
        write!(f, "{said}, because nobody decided in time")
    }
}
