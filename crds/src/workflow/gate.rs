//! The gate of a step: a condition on its output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approval::Approval;

/// A condition on the output of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.escalation) == (self.onFailure == 'Escalate')",
     "message": "write escalation (who is asked) together with onFailure: Escalate, or neither"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// CEL condition that reads the output as `output`, beside `params`, `steps` and `run`. One that cannot be evaluated does not hold.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
    /// What to say when it does not hold. Default: the expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub message: Option<String>,
    /// What follows when it does not hold. Default Fail.
    #[serde(default)]
    pub on_failure: GateFailure,
    /// Who is asked, with `onFailure: Escalate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Approval>,
}

/// What follows when the gate of a step does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GateFailure {
    /// The step fails.
    #[default]
    Fail,
    /// The attempt counts as failed and is repeated as its task's `retry` allows; the input of the next attempt can read what was said as `verdict`.
    /// Only for steps of kind `task`.
    Retry,
    /// The step succeeds, and its message says so.
    Continue,
    /// The step waits for a person who sees what the gate says, and then succeeds or fails as that person decides.
    Escalate,
}
