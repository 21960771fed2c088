//! Items and reductions of simulated runs.

use serde_json::{Value, json};

use super::world::Random;
use crate::{
    id::Name,
    workflow::{
        definition::{Definition, MapStep, Reduce, StepKind},
        samples::once,
    },
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

/// Lets maps of some definitions stream from maps before them; most of these begin as soon as the other one does.
pub(super) fn stream(random: &mut Random, definition: &mut Definition) {
    if random.is(30) {
        return;
    }
    let steps = &mut definition.steps;
    for step in 1..steps.len() {
        let (before, of_rest) = steps.split_at_mut(step);
        let is_source = |source: &&crate::workflow::definition::Step| {
            matches!(source.kind, StepKind::Map(_)) && source.gate.is_none()
        };
        let sources: Vec<_> = before.iter().filter(is_source).collect();
        let made = &mut of_rest[0];
        let StepKind::Map(map) = &mut made.kind else { continue };
        if sources.is_empty() || random.is(20) {
            continue;
        }
        let source = sources[random.below(sources.len())];
        let after: Vec<Name> = if random.is(70) { source.after.clone() } else { made.after.clone() };
        made.after = after.into_iter().filter(|name| *name != source.name).collect();
        (map.items, map.items_from) = (Value::Null, Some(source.name.clone()));
        // What it asked about may not have ended now.
        if made.when.as_ref().is_some_and(|when| when != "false") {
            made.when = None;
        }
    }
}

/// How many items a map has that streams from none.
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
