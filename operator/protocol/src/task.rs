//! Envelopes of a dispatched task, its start mark and its result.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tetrarch_core::{id::Name, workflow::journal::FailureReason};

use crate::blob::Payload;

/// Body of `task.…`. Who and what it is stands in the subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEnvelope {
    /// Version of the envelope.
    pub version: u16,
    /// Name of the Workflow.
    pub workflow: String,
    /// Input for the agent.
    pub input: Payload,
    /// Longest time of the attempt, in milliseconds, from the moment an agent takes it.
    pub timeout_ms: u64,
    /// End of the run; no attempt starts after it.
    pub deadline: Timestamp,
    /// Whether the task may be handed to an agent twice.
    pub idempotent: bool,
    /// W3C `traceparent`, when the run is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// Body of `try.…`. The last message of the subject counts; every next one is written on the condition that the one before is still the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TryEnvelope {
    /// Version of the envelope.
    pub version: u16,
    /// Name of the pod that is about to call its agent.
    pub agent: String,
    /// When.
    pub at: Timestamp,
    /// Calls begun under such marks so far, this one included.
    #[serde(default = "one")]
    pub calls: u32,
    /// Whether this takes back the mark before it: the agent was not called, or said "not now" before it did anything.
    #[serde(default)]
    pub withdrawn: bool,
}

fn one() -> u32 {
    1
}

/// Body of `res.…`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultEnvelope {
    /// Version of the envelope.
    pub version: u16,
    /// Name of the pod whose agent worked on it.
    pub agent: String,
    /// How often the task had been delivered when it ended, from 1.
    pub deliveries: u64,
    /// When the agent was called.
    pub started_at: Timestamp,
    /// When it answered.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: ResultOutcome,
}

/// How an attempt ended, on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResultOutcome {
    /// The agent answered.
    Succeeded {
        /// Its answer.
        output: Payload,
    },
    /// The agent says who goes on.
    HandedOver {
        /// The capability of those who go on.
        to: Name,
        /// Their input; none means the one that this agent got.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Payload>,
        /// Why, in the agent's words, at most 2 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It failed.
    Failed {
        /// What kind of failure.
        reason: FailureReason,
        /// What the agent or the sidecar said, at most 2 KiB.
        message: String,
    },
    /// It is not known how it ended.
    Unknown {
        /// What is known.
        message: String,
    },
}
