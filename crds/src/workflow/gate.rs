//! The gate of a step: what its output must be like.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Task, approval::Approval};
use crate::shared::AnyJson;

/// What the output of a step must be like: of its `schema` or `schemaRef`, then of its `expression`, then of its `judge`, as far as they are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.schema) || has(self.schemaRef) || has(self.expression) || has(self.judge)",
     "message": "a gate asks for something: write schema, schemaRef, expression or judge"},
    {"rule": "!has(self.schema) || !has(self.schemaRef)",
     "message": "write schema or schemaRef, not both"},
    {"rule": "has(self.escalation) == (self.onFailure == 'Escalate')",
     "message": "write escalation (who is asked) together with onFailure: Escalate, or neither"},
    {"rule": "has(self.fallback) || self.onFailure != 'Fallback'",
     "message": "onFailure Fallback needs the task that is done instead: write fallback"},
    {"rule": "!has(self.fallback) || self.onFailure in ['Fallback', 'Retry']",
     "message": "nothing ever calls the fallback: write onFailure: Fallback, or Retry to fall back when the attempts are used up"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// JSON Schema of the output, of the draft 2020-12 unless `$schema` names another; it can refer to its own `$defs` and to nothing outside. What is wrong is told with its JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "object"))]
    pub schema: Option<AnyJson>,
    /// One of `spec.schemas`, by its name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_ref: Option<SchemaRef>,
    /// CEL condition that reads the output as `output`, beside `params`, `steps` and `run`. One that cannot be evaluated does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub expression: Option<String>,
    /// An agent that gives the output a score. It is asked when the output passes everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
    /// What to say when it does not hold. Default: what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub message: Option<String>,
    /// What follows when it does not hold. Default Fail.
    #[serde(default)]
    pub on_failure: GateFailure,
    /// Who is asked, with `onFailure: Escalate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Approval>,
    /// The task that is done instead, by another agent or pool, when the output of a step of kind `task` does not pass, or its attempts are used up. It reads why as `verdict`; its
    /// `input` is that of the step's task if it is left out. Its output has to pass the same gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Task>,
}

/// A schema of a hand-over between agents, under a name and a version, for the gates of several steps. Versions stand side by side, so that agents can change one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandoffSchema {
    /// Name, such as `ticket`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Version, such as `1` or `2.1`.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$"))]
    pub version: String,
    /// JSON Schema, as in a gate's `schema`.
    #[schemars(extend("type" = "object"))]
    pub schema: AnyJson,
}

/// The name and the version of one of `spec.schemas`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaRef {
    /// Name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Version.
    #[schemars(length(min = 1, max = 32))]
    pub version: String,
}

/// An agent that gives the output of a step a score: it answers an object with `score`, from 0 to 100, and, if it likes, `reason`, which is passed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Judge {
    /// The task of the judge; its input reads the output as `output`. Default input: an object with the output as `output`.
    pub task: Task,
    /// The score that is needed, 0 to 100. Default 80.
    #[serde(default = "default_at_least")]
    #[schemars(range(min = 0, max = 100))]
    pub at_least: i32,
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
    /// The task of `fallback` is done instead. Only for steps of kind `task`.
    Fallback,
    /// The step fails, and the run undoes what was done, also with `spec.onFailure: Stop`.
    Compensate,
}

fn default_at_least() -> i32 {
    80
}
