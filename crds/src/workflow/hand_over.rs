//! Leave for agents to hand a task to their peers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom the agents of a task may hand it to, by naming a capability in their answer. The task goes on under the next attempt, with the input that came with the hand-over; its
/// output is that of the last one. `timeout` holds for each attempt, `retry` for the whole way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandOver {
    /// The capabilities that an agent may name. An answer that names another one is a failed attempt.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub to: Vec<String>,
    /// How often the task may be handed on, by whomever; an answer that hands it on once more is a failed attempt. Default 1.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 20))]
    pub limit: i32,
}

fn default_limit() -> i32 {
    1
}
