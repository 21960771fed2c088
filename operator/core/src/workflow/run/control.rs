//! What people ask of a run on its way: to pause, to go on, to end at once.
//!
//! While a run is paused nothing new is handed to agents; what they work on goes on and is folded as ever. The time of a
//! pause does not count: the run's end, the end of its undoing and the ends of its steps move by it. A cancel ends a pause.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Run, StepPhase,
    compensation::to_be_undone_by_hand,
    plan::Plan,
    state::{Body, Part, State, TaskKey},
    step::Fold,
    waits_for::moment,
};
use crate::workflow::{auto::Planned, journal::FinalPhase};

/// What was asked of a run, as far as its journal tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Control {
    pub(super) pause: Option<Pause>,
    /// Who or what asked to end it at once.
    pub(super) terminated: Option<String>,
    /// Time of the pauses since a step started; none when there was no pause.
    held: BTreeMap<usize, Duration>,
    /// How often the run was opened again.
    pub(super) round: u32,
    /// The requests that did so.
    pub(super) requests: Vec<String>,
    /// Tasks of steps that did not end well, as they were left.
    pub(super) left: BTreeMap<usize, Body>,
    /// Steps that ended well, in the order in which they did.
    pub(super) order: Vec<usize>,
    /// Tasks that wait until a person says how they ended.
    pub(super) doubts: BTreeSet<TaskKey>,
    /// The last plan of each step that the journal tells of.
    pub(super) plans: BTreeMap<usize, Arc<Planned>>,
}

/// A pause that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pause {
    pub(super) since: Timestamp,
    /// Who or what asked for it.
    pub(super) cause: String,
}

impl Run {
    /// Since when it is paused.
    pub fn paused_since(&self) -> Option<Timestamp> {
        Some(self.state.control.pause.as_ref()?.since)
    }

    /// Whether somebody asked to end it at once.
    pub fn is_terminate_requested(&self) -> bool {
        self.state.control.terminated.is_some()
    }
}

impl Control {
    /// Nothing of what was asked of the round before holds for the next one.
    pub(super) fn begin_round(&mut self, round: u32, request: &str) {
        (self.pause, self.terminated) = (None, None);
        self.held.clear();
        self.doubts.clear();
        self.round = round;
        self.requests.push(request.to_owned());
    }
}

impl Fold<'_> {
    pub(super) fn pause(&mut self, cause: &str) -> bool {
        let state = &mut *self.state;
        if state.is_paused() || state.cancelled.is_some() || state.control.terminated.is_some() {
            return false;
        }
        state.control.pause = Some(Pause { since: self.at, cause: cause.to_owned() });
        true
    }

    pub(super) fn end_pause(&mut self) -> bool {
        let Some(pause) = self.state.control.pause.take() else { return false };
        self.ask_on_after_pause(pause.since);
        let since = |moment: Timestamp| Duration::try_from(self.at.duration_since(moment)).unwrap_or_default();
        let length = since(pause.since);
        let later = |end: &mut Timestamp| *end = end.checked_add(length).unwrap_or(Timestamp::MAX);
        self.state.deadline.iter_mut().for_each(later);
        self.state.compensation.iter_mut().map(|compensation| &mut compensation.deadline).for_each(later);
        for step in 0..self.state.steps.len() {
            let of_step = &self.state.steps[step];
            if let (StepPhase::Running, Some(started)) = (of_step.phase, of_step.started_at) {
                *self.state.control.held.entry(step).or_default() += since(started.max(pause.since));
                if let Some(end) = self.state.end_of_step(self.plan, step) {
                    self.memo.time_out_at(end, step);
                }
            }
        }
        true
    }

    /// The time since a moment does not count for a step, nor does that of a pause, which is added at its end.
    pub(super) fn hold_step(&mut self, step: usize, since: Timestamp) {
        let until = self.state.control.pause.as_ref().map_or(self.at, |pause| pause.since.max(since));
        let length = Duration::try_from(until.duration_since(since)).unwrap_or_default();
        *self.state.control.held.entry(step).or_default() += length;
        if let Some(end) = self.state.end_of_step(self.plan, step) {
            self.memo.time_out_at(end, step);
        }
    }

    pub(super) fn terminate(&mut self, cause: &str) -> bool {
        if self.state.control.terminated.is_some() {
            return false;
        }
        self.state.control.terminated = Some(cause.to_owned());
        self.end_pause();
        true
    }
}

impl State {
    pub(super) fn is_paused(&self) -> bool {
        self.control.pause.is_some()
    }

    /// When a step that runs has to end; the time of pauses does not count.
    pub(super) fn end_of_step(&self, plan: &Plan, step: usize) -> Option<Timestamp> {
        let (timeout, started) = plan.definition.steps[step].timeout.zip(self.steps[step].started_at)?;
        let held = self.control.held.get(&step).copied().unwrap_or_default();
        Some(started.checked_add(timeout.saturating_add(held)).unwrap_or(Timestamp::MAX))
    }

    /// How the run ends when somebody asked to end it at once: nothing is undone, and what would have been is named.
    pub(super) fn end_of_termination(&self, plan: &Plan) -> Option<(FinalPhase, String)> {
        let message = format!("terminated: {}", self.control.terminated.as_ref()?);
        let why = "the run was terminated";
        if let Some((phase, undone)) =
            self.what_is_undone(plan, "the run was terminated before its compensation ended", why)
        {
            return Some((phase, format!("{message}; {undone}")));
        }
        let phase = if self.is_anything_unknown() { FinalPhase::OutcomeUnknown } else { FinalPhase::Cancelled };
        let at_work = |step: &usize| {
            self.in_flight.contains(&TaskKey { step: *step, part: Part::Only }) && plan.is_compensable(*step)
        };
        let may_be = (0..self.steps.len()).filter(at_work).map(|step| format!("{} (it may be done)", plan.name(step)));
        let done = self.done.iter().rev().map(|step| format!("{} ({why})", plan.name(*step)));
        let left: Vec<String> = may_be.chain(done).collect();
        Some((phase, format!("{message}{}", to_be_undone_by_hand(&left))))
    }

    /// What a paused run says.
    pub(super) fn pause_message(&self) -> Option<String> {
        let pause = self.control.pause.as_ref()?;
        let since = moment(pause.since);
        let at_work = match self.in_flight.len() {
            0 => "no agent works on it".to_owned(),
            1 => "1 task that was handed out goes on".to_owned(),
            more => format!("{more} tasks that were handed out go on"),
        };
        Some(format!("paused since {since} ({}): nothing new starts, {at_work}", pause.cause))
    }
}
