//! The tasks of a run that are due and wait to be handed out, by what they ask for.

use std::collections::{BTreeMap, VecDeque};

use super::{
    DueTasks,
    next::Memo,
    plan::Plan,
    state::{Part, State, Status, TaskKey},
};
use crate::workflow::definition::AgentSelector;

/// Tasks that ask for the same agents, so all items of a map are one lane. What an agent has handed over is a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    key: TaskKey,
    is_handed: bool,
}

impl Lane {
    fn of(state: &State, key: TaskKey) -> Self {
        let is_handed = state.handed_to(key).is_some();
        Self { key: if is_handed { key } else { first_of_its_kind(key) }, is_handed }
    }

    /// Who may take the tasks of the lane.
    pub(super) fn agent<'a>(&self, plan: &'a Plan, state: &'a State) -> Option<&'a AgentSelector> {
        if self.is_handed {
            state.handed_to(self.key)
        } else {
            state.definition(plan, self.key).map(|task| &task.agent)
        }
    }
}

impl State {
    /// Who may take a task as it is done now.
    pub(super) fn agent<'a>(&'a self, plan: &'a Plan, key: TaskKey) -> Option<&'a AgentSelector> {
        Lane::of(self, key).agent(plan, self)
    }
}

/// Due tasks in lanes.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    lanes: BTreeMap<Lane, VecDeque<TaskKey>>,
    /// The lane that was served last.
    served: Option<Lane>,
}

impl Due {
    /// Adds tasks, each at the end of its lane.
    pub(super) fn add(&mut self, state: &State, keys: Vec<TaskKey>) {
        for key in keys {
            self.lanes.entry(Lane::of(state, key)).or_default().push_back(key);
        }
    }

    /// All lanes, beginning behind the one that was served last.
    pub(super) fn lanes(&self) -> Vec<Lane> {
        let mut lanes: Vec<Lane> = self.lanes.keys().copied().collect();
        if let Some(served) = self.served {
            let first = lanes.partition_point(|lane| *lane <= served);
            lanes.rotate_left(first);
        }
        lanes
    }

    /// Notes that tasks of a lane were handed out.
    pub(super) const fn served(&mut self, lane: Lane) {
        self.served = Some(lane);
    }

    /// The tasks of a lane.
    pub(super) fn take(&mut self, lane: Lane) -> VecDeque<TaskKey> {
        self.lanes.remove(&lane).unwrap_or_default()
    }

    /// What is left of them.
    pub(super) fn put_back(&mut self, lane: Lane, keys: VecDeque<TaskKey>) {
        if !keys.is_empty() {
            self.lanes.insert(lane, keys);
        }
    }
}

const fn first_of_its_kind(key: TaskKey) -> TaskKey {
    match key.part {
        Part::Item(_) => TaskKey { step: key.step, part: Part::Item(0) },
        Part::Group { .. } => TaskKey { step: key.step, part: Part::Group { level: 0, group: 0 } },
        _ => key,
    }
}

/// Tells of the tasks that are due, and forgets those that are not any more.
pub(super) fn observe(plan: &Plan, state: &State, memo: &mut Memo, observe: &mut dyn FnMut(&DueTasks<'_>)) {
    memo.due.add(state, std::mem::take(&mut memo.fresh));
    for lane in memo.due.lanes() {
        let mut keys = memo.due.take(lane);
        keys.retain(|key| state.task(*key).is_some_and(|task| matches!(task.status, Status::Due(_))));
        if let Some((agent, first)) = lane.agent(plan, state).zip(keys.front()) {
            observe(&DueTasks { agent, first: plan.path(*first), tasks: keys.len() });
        }
        memo.due.put_back(lane, keys);
    }
}
