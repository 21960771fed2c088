//! What a map must be like.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{FAN_IN, Placed, check::Checker};
use crate::{
    expression::Variable,
    workflow::{
        definition::{MapStep, Reduce},
        range,
    },
};

impl Checker<'_> {
    pub(super) fn check_map<'t>(
        &mut self,
        field: &str,
        map: &'t MapStep,
        upstream: &BTreeSet<usize>,
    ) -> Vec<Placed<'t>> {
        self.check_items(field, map, upstream);
        if map.max_parallel == 0 {
            self.add(format!("{field}.maxParallel"), "no item could ever start", "write 1 or more");
        }
        if map.min_success_percent > 100 {
            let message = format!("{} percent cannot be reached", map.min_success_percent);
            self.add(format!("{field}.minSuccessPercent"), message, "write 0 to 100");
        }
        self.check_nested(&format!("{field}.nested"), map, upstream);
        let reads: &[Variable] = match map.nested {
            Some(_) => &[Variable::Item, Variable::Index, Variable::Outer],
            None => &[Variable::Item, Variable::Index],
        };
        let mut placed = vec![Placed { field: format!("{field}.task"), task: &map.task, reads }];
        let field = format!("{field}.reduce");
        match &map.reduce {
            Reduce::Task(task) => {
                placed.push(Placed { field: format!("{field}.task"), task, reads: &[Variable::Results] });
            }
            Reduce::Tree { task, fan_in } => {
                if !FAN_IN.contains(fan_in) {
                    let remedy = format!("write {} to {}", FAN_IN.start(), FAN_IN.end());
                    self.add(format!("{field}.fanIn"), format!("{fan_in} outputs make no tree"), remedy);
                }
                placed.push(Placed { field: format!("{field}.task"), task, reads: &[Variable::Results] });
            }
            Reduce::Expression(source) => {
                self.check_expression(&format!("{field}.expression"), source, &[Variable::Results], upstream);
            }
            Reduce::Collect | Reduce::Sum | Reduce::Merge | Reduce::Vote => {}
        }
        placed
    }

    /// Exactly one place that items come from.
    fn check_items(&mut self, field: &str, map: &MapStep, upstream: &BTreeSet<usize>) {
        let items = format!("{field}.items");
        match &map.items {
            Value::Null if map.items_from.is_some() => {}
            Value::Null => {
                let remedy = "write items with a list, or itemsFrom with the map step whose outputs are the items";
                self.add(&items, "there are no items", remedy);
            }
            _ if map.items_from.is_some() => {
                let remedy = "remove it, or remove items";
                self.add(format!("{field}.itemsFrom"), "the items are written in items already", remedy);
            }
            written => self.check_list(&items, written, &[], upstream),
        }
    }

    /// What makes lists of the items.
    fn check_nested(&mut self, field: &str, map: &MapStep, upstream: &BTreeSet<usize>) {
        let Some(nested) = &map.nested else { return };
        if map.items_from.is_some() {
            let remedy = "write `after` and map.items instead of itemsFrom";
            self.add(field, "how many inner items there are has to be known when the step begins", remedy);
        }
        self.check_list(&format!("{field}.items"), &nested.items, &[Variable::Item, Variable::Index], upstream);
        match &nested.reduce {
            Reduce::Task(_) | Reduce::Tree { .. } => {
                let remedy = "write builtin or expression here and the task in map.reduce, or a step of kind workflow for each outer item";
                self.add(format!("{field}.reduce.task"), "agents do not reduce what one outer item comes to", remedy);
            }
            Reduce::Expression(source) => {
                let reads = &[Variable::Results, Variable::Outer];
                self.check_expression(&format!("{field}.reduce.expression"), source, reads, upstream);
            }
            Reduce::Collect | Reduce::Sum | Reduce::Merge | Reduce::Vote => {}
        }
    }

    fn check_list(&mut self, field: &str, written: &Value, reads: &[Variable], upstream: &BTreeSet<usize>) {
        match written {
            Value::String(text) if !is_whole(text) => {
                self.add(field, "this is a text", "write ${…} around an expression that yields a list");
            }
            Value::Array(_) | Value::String(_) => self.check_template(field, written, reads, upstream),
            Value::Object(range) => {
                self.check_range(field, range);
                self.check_template(field, written, reads, upstream);
            }
            _ => {
                let remedy = "write a list, ${…} with an expression that yields one, or {from, to, step}";
                self.add(field, "this is no list", remedy);
            }
        }
    }

    /// A range is checked as far as it is known.
    fn check_range(&mut self, field: &str, written: &Map<String, Value>) {
        let is_computed = |value: &Value| value.as_str().is_some_and(is_whole);
        let mut known = written.clone();
        for (name, value) in &mut known {
            if is_computed(value) {
                *value = Value::from(i64::from(name != "from"));
            }
        }
        if let Err(error) = range::numbers(&known) {
            self.add(field, error.to_string(), "write {from, to, step} with whole numbers or ${…}");
        }
    }
}

fn is_whole(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}')
}
