//! The auto step: a text is decomposed into a plan of steps, which is run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentSelector, Approval, Retry};
use crate::shared::{AnyJson, DurationText};

/// A text that is decomposed into a plan of steps: by rules, or by a planner agent that starts from what the rules propose. The plan stands in the status and in the
/// journal and runs as a run of its own, in the class and the place of the run that waits for it; its output is the step's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoStep {
    /// What is wanted, at most 64 KiB; `${…}` in it are CEL expressions over `params`, `steps` and `run`.
    #[schemars(length(min = 1, max = 16384))]
    pub text: String,
    /// Values that every task of the plan gets, by name; `${…}` in them are CEL expressions over `params`, `steps` and `run`. For a list there may be one task for each of its items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub inputs: BTreeMap<String, AnyJson>,
    /// The capabilities that the plan may ask for, of pools of the same Supervisor. Those that no pool has when it is made are not used, unless no pool has any of them.
    #[schemars(length(min = 1, max = 32))]
    pub capabilities: Vec<String>,
    /// The agent that plans. Default: the rules plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<Planner>,
    /// Who has to approve the plan before it runs. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Most steps of the plan. Default 16.
    #[serde(default = "default_max_steps")]
    #[schemars(range(min = 1, max = 64))]
    pub max_steps: i32,
    /// Most items that one step of the plan works on at once, and most agents that it asks to agree. Default 10.
    #[serde(default = "default_max_parallel")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_parallel: i32,
    /// Longest time of one attempt at a task of the plan, from the moment an agent takes it. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_timeout: Option<DurationText>,
    /// How a failed attempt at a task of the plan is repeated.
    #[serde(default)]
    pub retry: Retry,
}

/// The agent that plans. Its input holds `text`, `inputs`, `capabilities`, `draft` (what the rules propose), `limits` and the `mistakes` of its last reply; it replies with
/// `{"steps": [{"name", "capability", "instruction", "after", "forEach", "votes", "undoneBy"}], "reason"}`, of which the last four fields of a step and the reason may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Planner {
    /// Which agents may plan.
    pub agent: AgentSelector,
    /// Longest time of one attempt, from the moment an agent takes it. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// How a failed attempt is repeated. A reply that is no plan is no failed attempt: it goes back once with what is wrong.
    #[serde(default)]
    pub retry: Retry,
}

impl Default for AutoStep {
    fn default() -> Self {
        Self {
            text: String::new(),
            inputs: BTreeMap::new(),
            capabilities: Vec::new(),
            planner: None,
            approval: None,
            max_steps: default_max_steps(),
            max_parallel: default_max_parallel(),
            task_timeout: None,
            retry: Retry::default(),
        }
    }
}

fn default_max_steps() -> i32 {
    16
}

fn default_max_parallel() -> i32 {
    10
}
