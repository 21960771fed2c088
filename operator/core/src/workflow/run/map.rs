//! The items of a running map: where they come from, when their tasks open, and how their outputs are reduced.

use serde_json::Value;

use super::{
    MAX_ITEMS, StepPhase,
    plan::MapPlan,
    state::{Body, Decision, Incoming, MapState, Part, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    expression::Template,
    workflow::{
        definition::{MapStep, Reduce},
        range, reduce,
    },
};

impl MapState {
    /// A map that begins with these items.
    fn over(items: Vec<Value>) -> Self {
        let tasks = vec![TaskState::CLOSED; items.len()];
        Self { items, tasks, incoming: None, opened: 0, closed: 0, reduce: None, tree: None }
    }

    /// A map over as many items of another step, of which none is known to be there.
    fn over_stream(items: usize) -> Self {
        let tasks = vec![TaskState::CLOSED; items];
        Self { tasks, incoming: Some(Incoming::default()), ..Self::over(Vec::new()) }
    }

    /// How many items there are, as far as that is known: what failed in the step before is none.
    pub(super) fn count(&self) -> usize {
        self.tasks.len() - self.incoming.as_ref().map_or(0, |incoming| incoming.holes.len())
    }

    /// Whether its items are done and their outputs are being reduced by agents.
    pub(super) const fn is_reducing(&self) -> bool {
        self.reduce.is_some() || self.tree.is_some()
    }

    /// The item whose turn comes next.
    fn next(&mut self) -> Option<usize> {
        match &mut self.incoming {
            Some(incoming) => incoming.ready.pop_first(),
            None => (self.opened < self.tasks.len()).then_some(self.opened),
        }
    }

    /// Whether the turn of an item has come. A person may say how one ended before.
    fn had_its_turn(&self, index: usize) -> bool {
        self.incoming.as_ref().map_or(index < self.opened, |incoming| !incoming.ready.contains(&index))
    }
}

impl Fold<'_> {
    /// The tasks of a map that begins.
    pub(super) fn map(&self, step: usize, plan: &MapPlan) -> Result<MapState, String> {
        if let Some(source) = self.plan.steps[step].stream_from {
            return Ok(MapState::over_stream(self.state.steps[source].stream.len()));
        }
        let is_range = self.plan.map(step).is_some_and(|map| map.items.is_object());
        Ok(MapState::over(self.items(&plan.items, is_range)?))
    }

    fn items(&self, items: &Template, is_range: bool) -> Result<Vec<Value>, String> {
        let scope = self.state.scope(self.plan, items.references());
        match items.evaluate(&scope) {
            Ok(Value::Array(items)) if items.len() > MAX_ITEMS => {
                Err(format!("map.items: the list has {} items: split it, at most {MAX_ITEMS}", items.len()))
            }
            Ok(Value::Array(items)) => Ok(items),
            Ok(Value::Object(range)) if is_range => {
                range::numbers(&range).map_err(|error| format!("map.items: {error}"))
            }
            Ok(_) => Err("map.items: the expression yields no list: write one that does".to_owned()),
            Err(error) => Err(format!("map.items: {error}")),
        }
    }

    pub(super) fn item_succeeded(&mut self, step: usize, index: usize, output: &Value) {
        if let Some(task) = self.state.task_mut(TaskKey { step, part: Part::Item(index) }) {
            task.status = Status::Succeeded(output.clone());
        }
        self.flow(step, index, Some(output));
        self.close_item(step, index);
    }

    /// An item failed for good, and enough others can still succeed.
    pub(super) fn item_failed(&mut self, step: usize, index: usize, message: String) {
        if let Some(task) = self.state.task_mut(TaskKey { step, part: Part::Item(index) }) {
            task.status = Status::Failed;
        }
        self.state.steps[step].message = Some(message);
        self.flow(step, index, None);
        self.close_item(step, index);
    }

    fn close_item(&mut self, step: usize, index: usize) {
        // One that ended before its turn is counted when that comes.
        if let Body::Map(map) = &mut self.state.steps[step].body
            && map.had_its_turn(index)
        {
            map.closed += 1;
        }
        self.go_on_with_map(step);
    }

    /// Opens items as far as `maxParallel` allows, and reduces when all have ended.
    pub(super) fn go_on_with_map(&mut self, step: usize) {
        let may_more_come = self.may_more_come(step);
        let (Some(definition), Body::Map(map)) = (self.plan.map(step), &mut self.state.steps[step].body) else {
            return;
        };
        while map.opened - map.closed < definition.max_parallel as usize
            && let Some(index) = map.next()
        {
            let task = &mut map.tasks[index];
            match task.status {
                // What is left of a round before, or what a person said before its turn.
                Status::Succeeded(_) | Status::Failed => map.closed += 1,
                Status::Unknown(_) | Status::Due(_) | Status::InFlight(_) => {}
                Status::Closed => {
                    task.status = Status::Due(None);
                    self.memo.fresh.push(TaskKey { step, part: Part::Item(index) });
                }
            }
            map.opened += 1;
        }
        if may_more_come || map.closed < map.count() {
            return;
        }
        let outputs: Vec<Value> = map
            .tasks
            .iter_mut()
            .filter_map(|task| match std::mem::replace(&mut task.status, Status::Closed) {
                Status::Succeeded(output) => Some(output),
                _ => None,
            })
            .collect();
        let reduced = match &definition.reduce {
            Reduce::Tree { fan_in, .. } => return self.grow_tree(step, 0, outputs, *fan_in as usize),
            Reduce::Expression(_) => return self.reduce_by_expression(step, Value::Array(outputs)),
            Reduce::Collect => Ok(Value::Array(outputs)),
            Reduce::Sum => reduce::sum(&outputs),
            Reduce::Merge => reduce::merge(outputs),
            Reduce::Vote => Ok(reduce::vote(&outputs)),
            Reduce::Task(_) => {
                map.reduce = Some((TaskState::DUE, Value::Array(outputs)));
                self.memo.fresh.push(TaskKey { step, part: Part::Reduce });
                return;
            }
        };
        match reduced {
            Ok(output) => self.succeed(step, output),
            Err(error) => self.decide(step, Decision::Fail(format!("map.reduce: {error}"))),
        }
    }

    /// Ends a map of which too many items have failed for those that there are; false when it goes on.
    pub(super) fn ends_without_enough(&mut self, step: usize) -> bool {
        let state = &self.state.steps[step];
        let (Some(definition), Body::Map(map)) = (self.plan.map(step), &state.body) else { return false };
        let is_lost = !is_enough(definition, state.failed, map);
        if is_lost {
            let message = state.message.clone();
            self.end_step(step, StepPhase::Failed, message, Value::Null);
        }
        is_lost
    }
}

/// Whether enough items of a map can still succeed when so many have failed.
pub(super) fn is_enough(map: &MapStep, failed: u64, tasks: &MapState) -> bool {
    let count = tasks.count() as u64;
    count.saturating_sub(failed) * 100 >= u64::from(map.min_success_percent) * count
}
