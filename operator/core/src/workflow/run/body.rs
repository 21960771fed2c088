//! The tasks of a running step, by what kind of step it is.

use super::state::{Body, Part, TaskState};

impl Body {
    /// The task at a place, while it is there.
    pub(super) fn task(&self, part: Part) -> Option<&TaskState> {
        match (self, part) {
            (Self::Task(task), Part::Only) => Some(task),
            (Self::Planning(planning), Part::Plan(round)) => (planning.round == round).then_some(&planning.task),
            (Self::Map(map), Part::Item(index)) => map.tasks.get(index),
            (Self::Scatter(scatter), Part::Item(index)) => scatter.tasks.get(index),
            (Self::Loop(repeated), Part::Item(index)) => (repeated.index == index).then_some(&repeated.task),
            (Self::Map(map), Part::Reduce) => map.reduce.as_ref().map(|(task, _)| task),
            (Self::Map(map), Part::Group { level, group }) => {
                let tree = map.tree.as_ref().filter(|tree| tree.level == level)?;
                tree.groups.get(group).map(|(task, _)| task)
            }
            (Self::Chains(chains), Part::Stage { chain, stage }) => {
                chains.get(chain).filter(|chain| chain.stage == stage && !chain.is_done).map(|chain| &chain.task)
            }
            _ => None,
        }
    }

    /// The same, to change it.
    pub(super) fn task_mut(&mut self, part: Part) -> Option<&mut TaskState> {
        match (self, part) {
            (Self::Task(task), Part::Only) => Some(task),
            (Self::Planning(planning), Part::Plan(round)) => (planning.round == round).then_some(&mut planning.task),
            (Self::Map(map), Part::Item(index)) => map.tasks.get_mut(index),
            (Self::Scatter(scatter), Part::Item(index)) => scatter.tasks.get_mut(index),
            (Self::Loop(repeated), Part::Item(index)) => (repeated.index == index).then_some(&mut repeated.task),
            (Self::Map(map), Part::Reduce) => map.reduce.as_mut().map(|(task, _)| task),
            (Self::Map(map), Part::Group { level, group }) => {
                let tree = map.tree.as_mut().filter(|tree| tree.level == level)?;
                tree.groups.get_mut(group).map(|(task, _)| task)
            }
            (Self::Chains(chains), Part::Stage { chain, stage }) => chains
                .get_mut(chain)
                .filter(|chain| chain.stage == stage && !chain.is_done)
                .map(|chain| &mut chain.task),
            _ => None,
        }
    }

    /// All that do work of the step. When a map is reduced, the outputs of its items are with the reduction.
    pub(super) fn tasks(&self) -> Vec<(Part, &TaskState)> {
        match self {
            Self::Closed | Self::Wait(_) | Self::Asked(_) | Self::Planning(_) => Vec::new(),
            Self::Task(task) => vec![(Part::Only, task)],
            Self::Map(map) => match (&map.reduce, &map.tree) {
                (Some((task, _)), _) => vec![(Part::Reduce, task)],
                (None, Some(tree)) => {
                    let groups = tree.groups.iter().enumerate();
                    groups.map(|(group, (task, _))| (Part::Group { level: tree.level, group }, task)).collect()
                }
                (None, None) => map.tasks.iter().enumerate().map(|(index, task)| (Part::Item(index), task)).collect(),
            },
            Self::Scatter(scatter) => {
                scatter.tasks.iter().enumerate().map(|(target, task)| (Part::Item(target), task)).collect()
            }
            Self::Loop(repeated) => vec![(Part::Item(repeated.index), &repeated.task)],
            Self::Chains(chains) => chains
                .iter()
                .enumerate()
                .filter(|(_, state)| !state.is_done)
                .map(|(chain, state)| (Part::Stage { chain, stage: state.stage }, &state.task))
                .collect(),
        }
    }
}
