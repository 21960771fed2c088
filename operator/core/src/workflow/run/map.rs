//! The items of a running map: where they come from, when their tasks open, and how their outputs are reduced.

use serde_json::Value;

use super::{
    MAX_ITEMS, StepPhase,
    plan::MapPlan,
    state::{Body, Decision, Incoming, MapState, Part, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    expression::{Scope, Template},
    workflow::{
        definition::{MapStep, Reduce},
        range, reduce,
    },
};

impl MapState {
    /// A map that begins with these items.
    pub(super) fn over(items: Vec<Value>) -> Self {
        let tasks = vec![TaskState::CLOSED; items.len()];
        let (groups, incoming) = (Vec::new(), None);
        Self { items, tasks, groups, incoming, opened: 0, closed: 0, reduce: None, tree: None }
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
        let scope = self.state.scope(self.plan, plan.items.references());
        let items = list(&plan.items, &scope, is_range).map_err(|error| format!("map.items: {error}"))?;
        match &plan.nested {
            Some(nested) => self.nested(step, nested, items),
            None => Ok(MapState::over(items)),
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
        let outputs: Vec<(usize, Value)> = map
            .tasks
            .iter_mut()
            .enumerate()
            .filter_map(|(index, task)| match std::mem::replace(&mut task.status, Status::Closed) {
                Status::Succeeded(output) => Some((index, output)),
                _ => None,
            })
            .collect();
        match self.in_groups(step, outputs) {
            Ok(results) => self.reduce(step, results),
            Err(error) => self.decide(step, Decision::Fail(error)),
        }
    }

    fn reduce(&mut self, step: usize, results: Vec<Value>) {
        let (Some(definition), Body::Map(map)) = (self.plan.map(step), &mut self.state.steps[step].body) else {
            return;
        };
        let reduced = match &definition.reduce {
            Reduce::Tree { fan_in, .. } => return self.grow_tree(step, 0, results, *fan_in as usize),
            Reduce::Expression(_) => return self.reduce_by_expression(step, Value::Array(results)),
            Reduce::Task(_) => {
                map.reduce = Some((TaskState::DUE, Value::Array(results)));
                self.memo.fresh.push(TaskKey { step, part: Part::Reduce });
                return;
            }
            builtin => built_in(builtin, results),
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

/// What a reducer that needs nobody else makes of outputs.
pub(super) fn built_in(reduce: &Reduce, results: Vec<Value>) -> Result<Value, reduce::Error> {
    match reduce {
        Reduce::Sum => reduce::sum(&results),
        Reduce::Merge => reduce::merge(results),
        Reduce::Vote => Ok(reduce::vote(&results)),
        Reduce::Collect | Reduce::Task(_) | Reduce::Tree { .. } | Reduce::Expression(_) => Ok(Value::Array(results)),
    }
}

/// The list that a template yields.
pub(super) fn list(items: &Template, scope: &Scope<'_>, is_range: bool) -> Result<Vec<Value>, String> {
    match items.evaluate(scope) {
        Ok(Value::Array(items)) if items.len() > MAX_ITEMS => {
            Err(format!("the list has {} items: split it, at most {MAX_ITEMS}", items.len()))
        }
        Ok(Value::Array(items)) => Ok(items),
        Ok(Value::Object(range)) if is_range => range::numbers(&range).map_err(|error| error.to_string()),
        Ok(_) => Err("the expression yields no list: write one that does".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether enough items of a map can still succeed when so many have failed.
pub(super) fn is_enough(map: &MapStep, failed: u64, tasks: &MapState) -> bool {
    let count = tasks.count() as u64;
    count.saturating_sub(failed) * 100 >= u64::from(map.min_success_percent) * count
}
