//! The plain HTTP protocol between the sidecar and an agent: `POST <path>` with a [`Request`], answered by a [`Response`].
//!
//! 200 with a [`Response`] ends the attempt. 429 and 503 mean "not now": the task goes back to the queue untouched and the sidecar waits for
//! `Retry-After`. 400 and 422 reject the task for good. Any other status is a failed attempt that may be repeated.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tetrarch_core::id::Name;

/// What an agent gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The task: `<run>/<path>/<attempt>`. Also in the header `Idempotency-Key`.
    pub task_id: String,
    /// The Workflow.
    pub workflow: String,
    /// The run.
    pub run: String,
    /// Place of the task in the run.
    pub step: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When the sidecar stops waiting.
    pub deadline: Timestamp,
    /// The input. The header `traceparent` carries the trace context.
    pub input: Value,
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The output; required when there is neither `error` nor `handOver`. An output of `null` is an output.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Who goes on with the task, when this agent does not end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
    /// Why there is no output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AgentError>,
}

/// Who goes on with a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOver {
    /// The capability of those who go on; the task has to allow it.
    pub capability: Name,
    /// Their input. Default: the `output` of the same response, or else the input that this agent got. An input of `null` is an input.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why an agent has no output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentError {
    /// A sentence for people.
    pub message: String,
    /// Whether a repetition may help. Default true.
    #[serde(default = "yes")]
    pub retryable: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn yes() -> bool {
    true
}
