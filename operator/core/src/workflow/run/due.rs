//! The tasks of a run that are due and wait to be handed out, by what they ask for.

use std::collections::{BTreeMap, VecDeque};

use super::{
    DueTasks,
    next::Memo,
    plan::Plan,
    state::{Part, State, Status, TaskKey},
};

/// Due tasks in lanes: those of a lane ask for the same agents, so all items of a map are one lane.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    lanes: BTreeMap<TaskKey, VecDeque<TaskKey>>,
    /// The lane that was served last.
    served: Option<TaskKey>,
}

impl Due {
    /// Adds tasks, each at the end of its lane.
    pub(super) fn add(&mut self, keys: Vec<TaskKey>) {
        for key in keys {
            self.lanes.entry(lane(key)).or_default().push_back(key);
        }
    }

    /// All lanes, beginning behind the one that was served last.
    pub(super) fn lanes(&self) -> Vec<TaskKey> {
        let mut lanes: Vec<TaskKey> = self.lanes.keys().copied().collect();
        if let Some(served) = self.served {
            let first = lanes.partition_point(|lane| *lane <= served);
            lanes.rotate_left(first);
        }
        lanes
    }

    /// Notes that tasks of a lane were handed out.
    pub(super) const fn served(&mut self, lane: TaskKey) {
        self.served = Some(lane);
    }

    /// The tasks of a lane.
    pub(super) fn take(&mut self, lane: TaskKey) -> VecDeque<TaskKey> {
        self.lanes.remove(&lane).unwrap_or_default()
    }

    /// What is left of them.
    pub(super) fn put_back(&mut self, lane: TaskKey, keys: VecDeque<TaskKey>) {
        if !keys.is_empty() {
            self.lanes.insert(lane, keys);
        }
    }
}

const fn lane(key: TaskKey) -> TaskKey {
    match key.part {
        Part::Item(_) => TaskKey { step: key.step, part: Part::Item(0) },
        Part::Group { .. } => TaskKey { step: key.step, part: Part::Group { level: 0, group: 0 } },
        _ => key,
    }
}

/// Tells of the tasks that are due, and forgets those that are not any more.
pub(super) fn observe(plan: &Plan, state: &State, memo: &mut Memo, observe: &mut dyn FnMut(&DueTasks<'_>)) {
    memo.due.add(std::mem::take(&mut memo.fresh));
    for lane in memo.due.lanes() {
        let mut keys = memo.due.take(lane);
        keys.retain(|key| state.task(*key).is_some_and(|task| matches!(task.status, Status::Due(_))));
        if let Some((task, first)) = state.definition(plan, lane).zip(keys.front()) {
            observe(&DueTasks { agent: &task.agent, first: plan.path(*first), tasks: keys.len() });
        }
        memo.due.put_back(lane, keys);
    }
}
