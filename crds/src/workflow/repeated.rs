//! The loop: one task, again and again until a condition holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;
use crate::shared::DurationText;

/// One task, again and again until a condition holds. The step's output is that of the last iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoopStep {
    /// The task of each iteration; its input reads the number of the iteration as `index`, from 0, and the output of the one before as `previous`, null in the
    /// first. An iteration that fails for good fails the step.
    pub task: Task,
    /// CEL condition that is asked after each iteration and ends the loop when it holds; it reads `output`, `previous` and `index`, beside `params`, `steps` and `run`.
    #[schemars(length(min = 1, max = 4096))]
    pub until: String,
    /// Most iterations. Default 10.
    #[serde(default = "default_max_iterations")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_iterations: i32,
    /// Pause between the end of an iteration and the next one. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationText>,
    /// What follows when the condition does not hold after the last iteration. Default Fail.
    #[serde(default)]
    pub on_exhausted: ExhaustedPolicy,
}

/// What follows when the condition of a loop does not hold after its last iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExhaustedPolicy {
    /// The step fails and says so.
    #[default]
    Fail,
    /// The step succeeds with the last output, and its message says so.
    Continue,
}

fn default_max_iterations() -> i32 {
    10
}
