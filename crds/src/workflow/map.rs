//! The map: one task for each item of a list, and a reduction of the results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;
use crate::shared::AnyJson;

/// One task for each item of a list, and a reduction of the results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapStep {
    /// The list: a `${…}` expression that yields one, a literal list, or a range `{from, to, step}` of whole numbers from `from` to `to`, both included, by `step` (1 if it is left out). Either this or `itemsFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<AnyJson>,
    /// The map step whose outputs are the items, each as soon as it is there, while that step still runs. Either this or `items`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_from: Option<ItemsFrom>,
    /// Makes each item a list of its own (a nested map); the tasks are for the items of these lists. Not with `itemsFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<NestedMap>,
    /// The task for one item; its input reads `item` and `index`, and with `nested` the outer item as `outer`.
    pub task: Task,
    /// Items that are worked on at once. Default 100.
    #[serde(default = "default_max_parallel")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_parallel: i32,
    /// Share of items that must succeed for the step to succeed (partial success); failed items are left out of the
    /// reduction and are counted in the step's status. Default 100.
    #[serde(default = "default_min_success")]
    #[schemars(range(min = 0, max = 100))]
    pub min_success_percent: i32,
    /// What becomes of the results. Default: builtin Collect.
    #[serde(default)]
    pub reduce: Reduce,
}

/// Where the items of a map come from one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemsFrom {
    /// Name of a map step without a gate. This step begins when that one does, waits for it and need not name it in `after`; what failed there within its
    /// `minSuccessPercent` is no item here, and its output cannot be read here.
    #[schemars(length(min = 1, max = 63))]
    pub step: String,
}

/// What makes a list of each item of a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NestedMap {
    /// The inner list of one outer item, written like `items` of a map; it reads the outer item as `item`, and its `index`. All inner lists together have
    /// at most 100,000 items, which are numbered through; `maxParallel` and `minSuccessPercent` hold for all of them.
    pub items: AnyJson,
    /// What becomes of the results of one outer item: builtin, or an expression, which reads the outer item as `outer`. The `reduce` of the map gets the list of
    /// what the outer items come to. Default: builtin Collect.
    #[serde(default)]
    pub reduce: Reduce,
}

/// What becomes of the results of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.builtin), has(self.task), has(self.expression)].filter(k, k).size() == 1",
     "message": "write one of builtin (Collect, Sum, Merge, Vote), task (an agent that reduces) or expression (CEL)"},
    {"rule": "!has(self.fanIn) || has(self.task)",
     "message": "fanIn is how many results a reducing task gets: write task, or leave fanIn out"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Reduce {
    /// A reducer that the Supervisor applies itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinReducer>,
    /// A task that reduces; its input reads the list of results as `results`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Reduces as a tree: each task gets so many results at most, and what they make of them is reduced by the same task in the same way until one is left.
    /// Default: one task gets all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1000))]
    pub fan_in: Option<i32>,
    /// CEL expression of the output; it reads the list of results as `results`, beside `params`, `steps` and `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub expression: Option<String>,
}

impl Default for Reduce {
    fn default() -> Self {
        Self { builtin: Some(BuiltinReducer::Collect), task: None, fan_in: None, expression: None }
    }
}

/// A reducer that the Supervisor applies itself, without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BuiltinReducer {
    /// The list of outputs in the order of the items.
    Collect,
    /// The sum of numbers, or of each field that is a number in every object.
    Sum,
    /// One object with the fields of all; later items win, lists are joined.
    Merge,
    /// The most frequent output with its count and share; ties go to the one that came first.
    Vote,
}

fn default_max_parallel() -> i32 {
    100
}

fn default_min_success() -> i32 {
    100
}
