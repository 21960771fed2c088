//! Items and reductions of simulated runs.

use serde_json::{Value, json};

use super::world::Random;
use crate::workflow::{
    definition::{MapStep, Reduce},
    samples::once,
};

pub(super) fn random_items(random: &mut Random) -> (Value, Reduce) {
    let count = random.below(9);
    let items = if random.is(30) { json!({"from": 1, "to": count}) } else { json!((0..count).collect::<Vec<usize>>()) };
    let reduce = match random.below(10) {
        0..2 => Reduce::Task(once(json!("${results}"))),
        2..4 => Reduce::Tree { task: once(json!("${results}")), fan_in: 2 + u32::try_from(random.below(3)).unwrap() },
        4 => Reduce::Expression("results.map(r, r + '!')".to_owned()),
        _ => Reduce::Collect,
    };
    (items, reduce)
}

/// How many items a map has.
pub(super) fn count(map: &MapStep) -> usize {
    match &map.items {
        Value::Array(items) => items.len(),
        range => usize::try_from(range["to"].as_i64().unwrap_or_default()).unwrap_or_default(),
    }
}

/// Whether agents reduce.
pub(super) fn has_tasks(reduce: &Reduce) -> bool {
    matches!(reduce, Reduce::Task(_) | Reduce::Tree { .. })
}

/// How many levels a tree over so many outputs has.
pub(super) fn levels(outputs: usize, fan_in: u32) -> usize {
    let mut levels = 1;
    let mut left = outputs.div_ceil(fan_in as usize);
    while left > 1 {
        left = left.div_ceil(fan_in as usize);
        levels += 1;
    }
    levels
}
