//! How a map reduces its outputs beyond the built-in reducers: by an expression, or by a tree of tasks.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    flaw,
    plan::BodyPlan,
    state::{Body, Decision, Part, Status, TaskKey, TaskState, TreeState},
    step::Fold,
};
use crate::{expression::Variable, workflow::definition::Reduce};

impl Fold<'_> {
    pub(super) fn reduce_by_expression(&mut self, step: usize, results: Value) {
        let BodyPlan::Map(plan) = &self.plan.steps[step].body else { return };
        let Some(expression) = &plan.expression else { return };
        let scope = self.state.scope(self.plan, expression.references());
        match expression.evaluate(&scope.with(Variable::Results, Cow::Owned(results))) {
            Ok(output) => self.succeed(step, output),
            Err(error) => self.decide(step, Decision::Fail(format!("map.reduce.expression: {error}"))),
        }
    }

    /// Begins a level: so many outputs to a group at most. What stands alone is reduced on the first level only, so that
    /// every output of the step was made by the reducing task.
    pub(super) fn grow_tree(&mut self, step: usize, level: usize, outputs: Vec<Value>, fan_in: usize) {
        let mut groups = Vec::new();
        let mut outputs = outputs.into_iter().peekable();
        while groups.is_empty() || outputs.peek().is_some() {
            let mut of_group: Vec<Value> = outputs.by_ref().take(fan_in.max(2)).collect();
            if level > 0 && of_group.len() == 1 {
                let output = of_group.pop().unwrap_or_default();
                groups.push((TaskState { status: Status::Succeeded(output), ..TaskState::CLOSED }, Value::Null));
            } else {
                groups.push((TaskState::CLOSED, Value::Array(of_group)));
            }
        }
        let state = &mut self.state.steps[step];
        let alone = groups.iter().filter(|(task, _)| task.status != Status::Closed).count();
        state.tasks += (groups.len() - alone) as u64;
        if let Body::Map(map) = &mut state.body {
            map.tree = Some(TreeState { level, groups, opened: 0, running: 0, closed: alone });
        }
        self.go_on_with_tree(step);
    }

    /// Goes on with the level that a round before has left.
    pub(super) fn take_up_tree(&mut self, step: usize) {
        if let Body::Map(map) = &mut self.state.steps[step].body
            && let Some(tree) = &mut map.tree
        {
            let is_done = |(task, _): &&(TaskState, Value)| matches!(task.status, Status::Succeeded(_));
            (tree.opened, tree.running, tree.closed) = (0, 0, tree.groups.iter().filter(is_done).count());
        }
        self.go_on_with_tree(step);
    }

    pub(super) fn group_reduced(&mut self, step: usize, group: usize, output: &Value) {
        if let Body::Map(map) = &mut self.state.steps[step].body
            && let Some(tree) = &mut map.tree
            && let Some((task, results)) = tree.groups.get_mut(group)
        {
            task.status = Status::Succeeded(output.clone());
            *results = Value::Null;
            tree.running = tree.running.saturating_sub(1);
            tree.closed += 1;
        }
        self.go_on_with_tree(step);
    }

    /// Opens groups as far as `maxParallel` allows, and goes up when all are reduced.
    fn go_on_with_tree(&mut self, step: usize) {
        let (Some(definition), Body::Map(map)) = (self.plan.map(step), &mut self.state.steps[step].body) else {
            return;
        };
        let (Reduce::Tree { fan_in, .. }, Some(tree)) = (&definition.reduce, &mut map.tree) else { return };
        let level = tree.level;
        while tree.opened < tree.groups.len() && tree.running < definition.max_parallel as usize {
            let task = &mut tree.groups[tree.opened].0;
            if task.status == Status::Closed {
                task.status = Status::Due(None);
                self.memo.fresh.push(TaskKey { step, part: Part::Group { level, group: tree.opened } });
                tree.running += 1;
            }
            tree.opened += 1;
        }
        if tree.closed < tree.groups.len() && !(flaw::reduces_early() && tree.closed > 1) {
            return;
        }
        let outputs = tree.groups.drain(..).filter_map(|(task, _)| match task.status {
            Status::Succeeded(output) => Some(output),
            _ => None,
        });
        let mut outputs: Vec<Value> = outputs.collect();
        match outputs.pop() {
            Some(output) if outputs.is_empty() => self.succeed(step, output),
            last => {
                outputs.extend(last);
                self.grow_tree(step, level + 1, outputs, *fan_in as usize);
            }
        }
    }
}
