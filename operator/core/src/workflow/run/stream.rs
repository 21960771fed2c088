//! Streams between maps: the outputs of one are the items of another, each as soon as it is there.
//!
//! A map that others stream from keeps the outputs of its items by their places (`StepState::stream`), also when it has
//! reduced them: one that starts late, or runs again, reads them there and holds no copy of its own. An item has the same
//! place in both maps, so its tasks are called the same in whatever order the items came. What failed in the first map is no
//! item of the second, and its place stays empty.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;

use super::{
    StepPhase, flaw,
    plan::Plan,
    state::{Body, Incoming, MapState, Slot, State, Status, TaskState},
    step::Fold,
};

impl State {
    /// An item of a map.
    pub(super) fn item<'s>(&'s self, plan: &Plan, step: usize, map: &'s MapState, index: usize) -> Cow<'s, Value> {
        let item = match plan.steps[step].stream_from {
            None => map.items.get(index),
            Some(source) => match self.steps[source].stream.get(index) {
                Some(Slot::Item(output)) => Some(output),
                _ => None,
            },
        };
        item.map_or_else(Cow::default, Cow::Borrowed)
    }

    /// What is known of the items that a step gives.
    fn known_of(&self, source: usize) -> Incoming {
        let places = |is_meant: fn(&Slot) -> bool| -> BTreeSet<usize> {
            let stream = self.steps[source].stream.iter().enumerate();
            stream.filter(|(_, slot)| is_meant(slot)).map(|(place, _)| place).collect()
        };
        let is_there: fn(&Slot) -> bool =
            if flaw::streams_early() { |_| true } else { |slot| matches!(slot, Slot::Item(_)) };
        Incoming { ready: places(is_there), holes: places(|slot| matches!(slot, Slot::Hole)) }
    }
}

impl Fold<'_> {
    /// Why a step has nothing to stream from.
    pub(super) fn has_no_stream(&self, step: usize) -> Option<String> {
        let source = self.plan.steps[step].stream_from?;
        let is_skipped = self.state.steps[source].phase == StepPhase::Skipped;
        is_skipped.then(|| format!("step {} was skipped, so there are no items", self.plan.name(source)))
    }

    /// Whether a map may still get items.
    pub(super) fn may_more_come(&self, step: usize) -> bool {
        let source = self.plan.steps[step].stream_from;
        source.is_some_and(|source| self.state.steps[source].phase != StepPhase::Succeeded)
    }

    /// A map begins: it sees which of its items are there, and those that stream from it need not wait for it any more.
    pub(super) fn begin_stream(&mut self, step: usize) {
        let plan = self.plan;
        let known = plan.steps[step].stream_from.map(|source| self.state.known_of(source));
        let state = &mut self.state.steps[step];
        let Body::Map(map) = &mut state.body else { return };
        // One that goes on with its reduction has seen all of its items and keeps what it gave.
        if !map.is_reducing() {
            map.incoming = known;
            let holes = map.incoming.iter().map(|incoming| &incoming.holes).next();
            let slot = |(place, task): (usize, &TaskState)| match &task.status {
                Status::Succeeded(output) => Slot::Item(output.clone()),
                _ if holes.is_some_and(|holes| holes.contains(&place)) => Slot::Hole,
                _ => Slot::Open,
            };
            if !plan.steps[step].streams.is_empty() {
                state.stream = map.tasks.iter().enumerate().map(slot).collect();
            }
        }
        for &to in &plan.steps[step].streams {
            self.goes_on(to);
        }
    }

    /// An item of a map has ended for good: with its output, or without one.
    pub(super) fn flow(&mut self, step: usize, place: usize, output: Option<&Value>) {
        let plan = self.plan;
        if plan.steps[step].streams.is_empty() {
            return;
        }
        if let Some(slot) = self.state.steps[step].stream.get_mut(place) {
            *slot = output.map_or(Slot::Hole, |output| Slot::Item(output.clone()));
        }
        for &to in &plan.steps[step].streams {
            self.arrive(to, place, output.is_none());
        }
    }

    fn arrive(&mut self, step: usize, place: usize, is_hole: bool) {
        let state = &mut self.state.steps[step];
        // Without a body it has not begun, and will see it then, or it has ended.
        let Body::Map(map) = &mut state.body else { return };
        let Some(incoming) = map.incoming.as_mut().filter(|_| !flaw::streams_early()) else { return };
        if !is_hole {
            incoming.ready.insert(place);
            return self.go_on_with_map(step);
        }
        if incoming.holes.insert(place) {
            state.tasks = state.tasks.saturating_sub(1);
            self.flow(step, place, None);
            // There are fewer than was thought of which enough have to succeed.
            if !self.ends_without_enough(step) {
                self.go_on_with_map(step);
            }
        }
    }

    /// The map that gives a step its items has ended.
    pub(super) fn stream_ended(&mut self, step: usize, source: usize, is_well: bool) {
        match (is_well, self.state.steps[step].phase) {
            // It is skipped, too, when its turn has come.
            (true, StepPhase::Pending) if self.state.steps[source].phase == StepPhase::Skipped => self.goes_on(step),
            (true, StepPhase::Running) => self.go_on_with_map(step),
            (false, StepPhase::Pending) => self.block(step, source),
            (false, StepPhase::Running) => {
                self.state.steps[step].blocked_by = Some(source);
                let reason = self.how_it_ended(source);
                self.end_step(step, StepPhase::Cancelled, Some(reason), Value::Null);
            }
            _ => {}
        }
    }
}

/// Takes out of what maps have left that begin again what does not come from items that stay done: those of a map that
/// begins again itself.
pub(super) fn keep_same_items(plan: &Plan, kept: &[bool], left: &mut [Option<Body>]) {
    let source = |step: usize| plan.steps[step].stream_from;
    let mut streaming: Vec<(usize, usize, usize)> = (0..kept.len())
        .filter(|step| !kept[*step])
        .filter_map(|step| Some((std::iter::successors(Some(step), |at| source(*at)).count(), step, source(step)?)))
        .collect();
    // What the first of a chain leaves says what the next one does.
    streaming.sort_unstable();
    for (_, step, source) in streaming.into_iter().filter(|(_, _, source)| !kept[*source]) {
        let mut own = left[step].take();
        let is_same = match (&mut own, &left[source]) {
            (Some(_), Some(Body::Map(before))) if before.is_reducing() => true,
            (Some(Body::Map(map)), Some(Body::Map(before))) if !map.is_reducing() => {
                for (task, before) in map.tasks.iter_mut().zip(&before.tasks) {
                    if !matches!(before.status, Status::Succeeded(_)) {
                        *task = TaskState::CLOSED;
                    }
                }
                true
            }
            _ => false,
        };
        left[step] = own.filter(|_| is_same);
    }
}
