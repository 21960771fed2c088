//! The map: one task per item, and a reduction of the outputs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Task;
use crate::id::Name;

/// One task per item and a reduction of the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MapStep {
    /// Template that yields the list of items, or a range of numbers: `{from, to, step}`. Null when they come from a step.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub items: Value,
    /// The map step whose outputs are the items, each as soon as it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_from: Option<Name>,
    /// What makes each item a list of its own, whose items are those that the tasks are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<Nested>,
    /// The task for one item.
    pub task: Task,
    /// Items that are worked on at once.
    pub max_parallel: u32,
    /// Share of items, in percent, that must succeed.
    pub min_success_percent: u32,
    /// What becomes of the outputs.
    pub reduce: Reduce,
}

/// A map in each item of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nested {
    /// Template that yields the list of inner items, or a range, from the outer `item` and its `index`.
    pub items: Value,
    /// What becomes of the outputs of one outer item; no reduction by tasks.
    pub reduce: Reduce,
}

/// What becomes of the outputs of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reduce {
    /// The list of outputs in the order of the items.
    Collect,
    /// The sum of numbers, or of each numeric field.
    Sum,
    /// One object with the fields of all.
    Merge,
    /// The most frequent output.
    Vote,
    /// A task that gets the list of outputs as `results`.
    Task(Task),
    /// What a CEL expression makes of the list of outputs, which it reads as `results`.
    Expression(String),
    /// Tasks that get so many outputs at most as `results`; what they make of them is reduced in the same way until one is left.
    Tree {
        /// The task of each group.
        task: Task,
        /// Most outputs of a group, 2 or more.
        fan_in: u32,
    },
}
