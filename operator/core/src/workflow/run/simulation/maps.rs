//! Items and reductions of simulated runs.

use serde_json::{Value, json};

use super::world::Random;
use crate::{
    id::Name,
    workflow::{
        definition::{Definition, MapStep, Nested, Reduce, Step, StepKind},
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
        let is_source = |source: &&Step| matches!(source.kind, StepKind::Map(_)) && source.gate.is_none();
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

/// Lets some maps have lists in their items: of the numbers 0, 1, 2, 3 and so on those with 0, 1, 2, 0 elements.
pub(super) fn nest(random: &mut Random, definition: &mut Definition) {
    for step in &mut definition.steps {
        let StepKind::Map(map) = &mut step.kind else { continue };
        if map.items_from.is_none() && !matches!(map.reduce, Reduce::Expression(_)) && random.is(30) {
            let reduce =
                if random.is(50) { Reduce::Collect } else { Reduce::Expression("[outer, results]".to_owned()) };
            map.nested = Some(Nested { items: json!({"from": 1, "to": "${item % 3}"}), reduce });
        }
    }
}

/// The numbers over which a map goes that streams from none.
fn numbers(map: &MapStep) -> Vec<usize> {
    match &map.items {
        Value::Array(items) => (0..items.len()).collect(),
        range => (1..=usize::try_from(range["to"].as_i64().unwrap_or_default()).unwrap_or_default()).collect(),
    }
}

/// The outer items of a nested map, each with the places of its inner ones.
pub(super) fn groups(map: &MapStep) -> Option<Vec<(usize, Vec<usize>)>> {
    map.nested.as_ref()?;
    let mut next = 0..;
    Some(numbers(map).into_iter().map(|outer| (outer, next.by_ref().take(outer % 3).collect())).collect())
}

/// How many items a map has that streams from none.
pub(super) fn count(map: &MapStep) -> usize {
    groups(map).map_or_else(|| numbers(map).len(), |groups| groups.iter().map(|(_, places)| places.len()).sum())
}

/// How many results a map reduces of which so many items ended well.
pub(super) fn results(map: &MapStep, good: usize) -> usize {
    groups(map).map_or(good, |groups| groups.len())
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
