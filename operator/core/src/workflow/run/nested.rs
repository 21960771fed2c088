//! Nested maps: each item of the outer list is a list of its own.
//!
//! The tasks are numbered over all inner items, whichever outer item they belong to: so one window and one percentage hold
//! for all of them, and paths, retries, streams and what is left of a round before are those of any map. Which outer item a
//! task belongs to follows from where the inner items of each begin.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    MAX_ITEMS,
    map::{built_in, list},
    plan::{BodyPlan, NestedPlan},
    state::{Body, Group, MapState},
    step::Fold,
};
use crate::{expression::Variable, workflow::definition::Reduce};

impl MapState {
    /// The outer item that an inner one belongs to.
    pub(super) fn outer(&self, index: usize) -> Option<&Value> {
        // Of groups that begin at the same place all but the last one are empty.
        let behind = self.groups.partition_point(|group| group.first <= index);
        self.groups.get(behind.checked_sub(1)?).map(|group| &group.outer)
    }
}

impl Fold<'_> {
    /// The tasks of a nested map that begins.
    pub(super) fn nested(&self, step: usize, plan: &NestedPlan, items: Vec<Value>) -> Result<MapState, String> {
        let nested = self.plan.map(step).and_then(|map| map.nested.as_ref());
        let is_range = nested.is_some_and(|nested| nested.items.is_object());
        let (mut groups, mut inner) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, outer) in items.into_iter().enumerate() {
            let scope = self
                .state
                .scope(self.plan, plan.items.references())
                .with(Variable::Item, Cow::Borrowed(&outer))
                .with(Variable::Index, Cow::Owned(Value::from(index)));
            let of_outer = list(&plan.items, &scope, is_range)
                .map_err(|error| format!("map.nested.items of outer item {index}: {error}"))?;
            if inner.len() + of_outer.len() > MAX_ITEMS {
                return Err(format!(
                    "map.nested.items: up to outer item {index} there are {} inner items: split the outer list, at most {MAX_ITEMS} in all",
                    inner.len() + of_outer.len()
                ));
            }
            groups.push(Group { outer, first: inner.len() });
            inner.extend(of_outer);
        }
        Ok(MapState { groups, ..MapState::over(inner) })
    }

    /// What is reduced in the end: the outputs, or in a nested map what each outer item comes to.
    pub(super) fn in_groups(&self, step: usize, outputs: Vec<(usize, Value)>) -> Result<Vec<Value>, String> {
        let nested = self.plan.map(step).and_then(|map| map.nested.as_ref());
        let (Some(nested), Body::Map(map), BodyPlan::Map(plan)) =
            (nested, &self.state.steps[step].body, &self.plan.steps[step].body)
        else {
            return Ok(outputs.into_iter().map(|(_, output)| output).collect());
        };
        let expression = plan.nested.as_ref().and_then(|nested| nested.expression.as_ref());
        let mut outputs = outputs.into_iter().peekable();
        let mut results = Vec::with_capacity(map.groups.len());
        for (index, group) in map.groups.iter().enumerate() {
            let end = map.groups.get(index + 1).map_or(map.tasks.len(), |next| next.first);
            let mut of_group = Vec::new();
            while let Some((_, output)) = outputs.next_if(|(place, _)| *place < end) {
                of_group.push(output);
            }
            let result = match (&nested.reduce, expression) {
                (Reduce::Expression(_), Some(expression)) => {
                    let scope = self
                        .state
                        .scope(self.plan, expression.references())
                        .with(Variable::Outer, Cow::Borrowed(&group.outer))
                        .with(Variable::Results, Cow::Owned(Value::Array(of_group)));
                    expression.evaluate(&scope).map_err(|error| format!(".expression: {error}"))
                }
                (builtin, _) => built_in(builtin, of_group).map_err(|error| format!(": {error}")),
            };
            results.push(result.map_err(|error| format!("map.nested.reduce{error} (outer item {index})"))?);
        }
        Ok(results)
    }
}
