//! A question to people: who may decide, until when, and what follows when nobody does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{DurationText, Subject};

/// A question to people. Whoever decides needs the verb `approve` on the Workflow, and the webhook knows who it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Approval {
    /// Who may decide; one of them is enough. Default: whoever has the verb `approve` on the Workflow by RBAC, as the approvers of the Domain have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub approvers: Vec<Subject>,
    /// What is asked; `${…}` in it are CEL expressions over `params`, `steps` and `run`, and in an escalation `output`. Default: of an escalation what the gate says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub message: Option<String>,
    /// How long people have, from the moment that they are asked; the clock of the run stands still meanwhile. Default 168h (7 days).
    pub timeout: DurationText,
    /// What counts as said when nobody has decided by then. Default Reject.
    pub on_timeout: TimeoutDecision,
    /// Whether a decision needs a reason. Default false.
    pub require_reason: bool,
    /// When people are reminded by an Event, from the moment that they are asked; in ascending order and shorter than the timeout. Default: never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub reminders: Vec<DurationText>,
}

impl Default for Approval {
    fn default() -> Self {
        Self {
            approvers: Vec::new(),
            message: None,
            timeout: "168h".into(),
            on_timeout: TimeoutDecision::Reject,
            require_reason: false,
            reminders: Vec::new(),
        }
    }
}

/// What counts as said when nobody has decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimeoutDecision {
    /// No: the step fails.
    #[default]
    Reject,
    /// Yes: the step succeeds.
    Approve,
}
