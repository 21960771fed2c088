//! The scatter step: the same task to several agents, and a choice among their answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;

/// The same task to several agents, and a choice among their answers.
///
/// The output holds `chosen` (an answer), `agreement` (how many of the answers agree with it, in whole percent), `results` (all answers in the
/// order of the targets) and `failed` (targets without an answer). A target that fails for good, or whose answer cannot be judged, is left
/// out; the step fails as soon as the answers that `gather` needs cannot be reached any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScatterStep {
    /// The task that every target gets; its input reads the number of the target, from 0, as `index`. Each target is retried by itself.
    pub task: Task,
    /// How many targets get the task. Which agents they are is decided by who is free.
    #[schemars(range(min = 2, max = 100))]
    pub to: i32,
    /// When the answers are enough, and which one is chosen.
    pub gather: Gather,
    /// What becomes of answers that come when the gathering is decided. Default Withdraw.
    #[serde(default)]
    pub late: LatePolicy,
}

/// When the answers of a scatter are enough, and which one is chosen. Its expressions are CEL and read the answer as `output` and its target
/// as `index`, beside `params`, `steps` and `run`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.first), has(self.quorum), has(self.best), has(self.weighted), has(self.consensus)].filter(k, k).size() == 1",
     "message": "a scatter gathers in exactly one way: write one of first, quorum, best, weighted or consensus"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Gather {
    /// The first answer is chosen. Written as `first: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstAnswer>,
    /// So many answers are enough; the most frequent one is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// All targets are waited for; the answer with the highest score is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// All targets are waited for; the weights of answers that agree are added, and the heaviest are chosen. The agreement is their share of the weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted: Option<Weighted>,
    /// So many answers must agree; they are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus: Option<Consensus>,
}

/// The first answer is chosen; there is nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstAnswer {}

/// So many answers are enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    /// Answers that are needed, at most as many as there are targets.
    #[schemars(range(min = 1, max = 100))]
    pub at_least: i32,
    /// What must be equal for answers to agree, such as `output.verdict`. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub compare: Option<String>,
}

/// The answer with the highest score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Best {
    /// Score of an answer, a number such as `output.confidence`. Of equal scores the target with the lowest number wins.
    #[schemars(length(min = 1, max = 4096))]
    pub score: String,
    /// Answers that are needed, at most as many as there are targets. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub at_least: i32,
    /// What must be equal for answers to agree, such as `output.verdict`. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub compare: Option<String>,
}

/// The answers with the largest sum of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Weighted {
    /// Weight of an answer, a number from 0 such as `output.confidence`.
    #[schemars(length(min = 1, max = 4096))]
    pub weight: String,
    /// Answers that are needed, at most as many as there are targets. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub at_least: i32,
    /// What must be equal for answers to agree, such as `output.verdict`. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub compare: Option<String>,
}

/// So many answers must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consensus {
    /// Answers that must agree, at most as many as there are targets.
    #[schemars(range(min = 2, max = 100))]
    pub at_least: i32,
    /// What must be equal for answers to agree, such as `output.verdict`. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub compare: Option<String>,
}

/// What becomes of answers that come when the gathering of a scatter is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LatePolicy {
    /// The step ends at once; tasks that still wait are withdrawn, and answers that still come are ignored.
    #[default]
    Withdraw,
    /// The step ends when every target has ended, and `results` and `agreement` count all answers. A late failure does no harm.
    Collect,
}

fn one() -> i32 {
    1
}
