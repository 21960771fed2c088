//! Maps as they are read.

use tetrarch_core::workflow::definition::{MapStep, Nested, Reduce};
use tetrarch_crds::workflow as written;

use super::steps::task;
use crate::{
    parse::{at_least, name},
    violation::Violations,
};

pub(super) fn read(map: &written::MapStep, path: &str, violations: &mut Violations) -> Option<MapStep> {
    let task = task(&map.task, &format!("{path}.task"), violations);
    let max_parallel = at_least(&format!("{path}.maxParallel"), map.max_parallel, 1, violations);
    let percent_path = format!("{path}.minSuccessPercent");
    let min_success_percent = at_least(&percent_path, map.min_success_percent, 0, violations);
    if map.min_success_percent > 100 {
        violations.add(percent_path, format!("is {}: write 0 to 100", map.min_success_percent));
    }
    let reduce = reduce(&map.reduce, &format!("{path}.reduce"), violations);
    let items_from = match &map.items_from {
        Some(from) => Some(name(&format!("{path}.itemsFrom.step"), &from.step, violations)?),
        None => None,
    };
    let nested = match &map.nested {
        Some(nested) => Some(Nested {
            items: nested.items.0.clone(),
            reduce: self::reduce(&nested.reduce, &format!("{path}.nested.reduce"), violations)?,
        }),
        None => None,
    };
    Some(MapStep {
        items: map.items.as_ref().map(|items| items.0.clone()).unwrap_or_default(),
        items_from,
        nested,
        task: task?,
        max_parallel: max_parallel?,
        min_success_percent: min_success_percent?,
        reduce: reduce?,
    })
}

fn reduce(reduce: &written::Reduce, path: &str, violations: &mut Violations) -> Option<Reduce> {
    match (reduce.builtin, &reduce.task, &reduce.expression, reduce.fan_in) {
        (Some(builtin), None, None, None) => Some(match builtin {
            written::BuiltinReducer::Collect => Reduce::Collect,
            written::BuiltinReducer::Sum => Reduce::Sum,
            written::BuiltinReducer::Merge => Reduce::Merge,
            written::BuiltinReducer::Vote => Reduce::Vote,
        }),
        (None, Some(written), None, None) => task(written, &format!("{path}.task"), violations).map(Reduce::Task),
        (None, Some(written), None, Some(fan_in)) => {
            let task = task(written, &format!("{path}.task"), violations);
            let fan_in = at_least(&format!("{path}.fanIn"), fan_in, 2, violations);
            Some(Reduce::Tree { task: task?, fan_in: fan_in? })
        }
        (None, None, Some(expression), None) => Some(Reduce::Expression(expression.clone())),
        _ => {
            let remedy = "needs one reducer: write one of builtin (Collect, Sum, Merge, Vote), task, with or without fanIn, or expression";
            violations.add(path, remedy);
            None
        }
    }
}
