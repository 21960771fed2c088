//! How a lost run undoes what was done: a saga (Garcia-Molina and Salem, 1987).
//!
//! From `CompensationStarted` on no step starts. A task that an agent may be working on is waited for when its step can be
//! undone: what it does would have to be undone, too. Then the steps are undone one at a time, the last one first. A step
//! that ended without its agent's own word (a timeout, a lost connection, an unknown outcome) may have been done, so it is
//! undone as well. What cannot be undone keeps nothing else from being undone and is named in the end.

use jiff::Timestamp;

use super::{
    StepPhase, flaw, next,
    plan::Plan,
    state::{Body, Compensation, Part, Remainder, State, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::workflow::{definition::FailurePolicy, journal::FinalPhase};

impl Fold<'_> {
    pub(super) fn start_compensation(&mut self, phase: FinalPhase, message: &str) -> bool {
        let (Some(started), None) = (self.state.started_at, &self.state.compensation) else { return false };
        // The time of a pause, which moves this end when it is over, does not count.
        let from = self.state.control.pause.as_ref().map_or(self.at, |pause| pause.since);
        let time = self.state.deadline.map_or(jiff::SignedDuration::ZERO, |deadline| deadline.duration_since(started));
        self.memo.begin_anew();
        self.state.compensation = Some(Compensation {
            phase,
            message: message.to_owned(),
            deadline: from.checked_add(time).unwrap_or(Timestamp::MAX),
            current: None,
            undone: Vec::new(),
            remaining: Vec::new(),
        });
        for step in 0..self.state.steps.len() {
            let is_waited_for = self.is_still_worked_on(step) && !flaw::forgets_late_work();
            let is_open = matches!(self.state.steps[step].phase, StepPhase::Running | StepPhase::Waiting);
            if is_open && !is_waited_for {
                self.end_step(step, StepPhase::Cancelled, None, serde_json::Value::Null);
            }
        }
        true
    }

    /// What an agent did is done, whatever its gate will say: it is undone in the reverse order of the last time that it was done.
    pub(super) fn note_done(&mut self, key: TaskKey) {
        if key.part == Part::Only && self.plan.is_compensable(key.step) {
            self.state.done.retain(|done| *done != key.step);
            self.state.done.push(key.step);
        }
    }

    /// Whether an agent may be working on a step that would have to be undone: it is lost, but not at its end.
    pub(super) fn is_still_worked_on(&self, step: usize) -> bool {
        let key = TaskKey { step, part: Part::Only };
        // A run that is cancelled may undo what it did, which comes before what was done before it is undone.
        let is_saga = self.state.has_to_compensate(self.plan);
        self.state.in_flight.contains(&key) && is_saga && (self.plan.is_run(key) || self.plan.is_compensable(step))
    }

    /// Whether the task belongs to work that is not wanted any more.
    pub(super) fn is_lost(&self, key: TaskKey) -> bool {
        self.state.compensation.is_some() && key.part != Part::Compensate
    }

    /// An owner that had not read that the step is over has dispatched another attempt of it: what an agent does with it has
    /// to be undone, so it is waited for like those that were in flight.
    pub(super) fn expect_late_dispatch(&mut self, key: TaskKey, attempt: u32) {
        let is_lost = self.state.compensation.is_some() || !self.state.failed.is_empty();
        let is_saga = self.state.finished.is_none() && self.state.has_to_compensate(self.plan);
        let is_wanted = is_saga && key.part == Part::Only && self.plan.is_compensable(key.step);
        let step = &mut self.state.steps[key.step];
        if !is_lost || !is_wanted || attempt <= step.last_attempt || flaw::forgets_late_work() {
            return;
        }
        match (step.phase, &mut self.state.compensation) {
            (StepPhase::Cancelled | StepPhase::Failed, _) => {
                self.state.ended = self.state.ended.saturating_sub(1);
                step.phase = StepPhase::Running;
                let before = TaskState { attempt: attempt.saturating_sub(1), ..TaskState::DUE };
                step.body = Body::Task(before);
            }
            (StepPhase::Compensating | StepPhase::Compensated, Some(compensation)) => {
                let why = "an attempt of it was dispatched when it was about to be undone".to_owned();
                if compensation.remaining.iter().all(|known| known.step != key.step) {
                    compensation.remaining.push(Remainder { step: key.step, why, is_unknown: true });
                }
            }
            _ => {}
        }
    }

    /// Undoes the next step when nothing is under way any more.
    pub(super) fn go_on_with_compensation(&mut self) {
        loop {
            let Some(compensation) = &mut self.state.compensation else { return };
            let is_waiting = compensation.current.is_some() || !self.state.in_flight.is_empty();
            if is_waiting || self.state.finished.is_some() || self.state.done.is_empty() {
                return;
            }
            let at = if flaw::compensates_forwards() { 0 } else { self.state.done.len() - 1 };
            let step = self.state.done.remove(at);
            let key = TaskKey { step, part: Part::Compensate };
            compensation.current = Some((step, TaskState::DUE));
            self.state.steps[step].phase = StepPhase::Compensating;
            match next::input(self.plan, self.state, key) {
                Ok(_) => return self.memo.fresh.push(key),
                Err(error) => self.not_compensated(step, format!("the input of its compensation: {error}"), false),
            }
        }
    }

    pub(super) fn compensated(&mut self, step: usize) {
        let Some(compensation) = &mut self.state.compensation else { return };
        compensation.current = None;
        compensation.undone.push(step);
        let state = &mut self.state.steps[step];
        state.phase = StepPhase::Compensated;
        state.message = Some("undone".to_owned());
    }

    pub(super) fn not_compensated(&mut self, step: usize, why: String, is_unknown: bool) {
        let Some(compensation) = &mut self.state.compensation else { return };
        compensation.current = None;
        let state = &mut self.state.steps[step];
        state.phase = if is_unknown { StepPhase::OutcomeUnknown } else { StepPhase::Succeeded };
        state.message = Some(format!("not undone: {why}"));
        compensation.remaining.push(Remainder { step, why, is_unknown });
    }
}

impl State {
    /// Whether the run undoes what was done when it is lost: by its policy, or because a gate says so.
    pub(super) fn has_to_compensate(&self, plan: &Plan) -> bool {
        self.is_to_be_undone || plan.definition.on_failure == FailurePolicy::Compensate
    }

    /// Whether something was done, or may be done yet, that the run would have to undo. Another owner may have dispatched what
    /// is only due here.
    pub(super) fn has_to_be_undone(&self, plan: &Plan) -> bool {
        let is_open = |step: usize| matches!(self.steps[step].phase, StepPhase::Running | StepPhase::Waiting);
        let may_be_done = |step: usize| plan.is_compensable(step) && is_open(step);
        self.has_to_compensate(plan) && (!self.done.is_empty() || (0..self.steps.len()).any(may_be_done))
    }

    /// How the run ends when everything is undone, or the time for it is over.
    pub(super) fn end_of_compensation(&self, plan: &Plan, now: Timestamp) -> Option<(FinalPhase, String)> {
        let compensation = self.compensation.as_ref()?;
        let is_over = now >= compensation.deadline && !self.is_paused();
        let is_waiting = compensation.current.is_some() || !self.in_flight.is_empty() || !self.done.is_empty();
        if is_waiting && !is_over {
            return None;
        }
        self.what_is_undone(plan, "its compensation was not finished in time", "the time for compensation was over")
    }

    /// What would be the end of a run that is being undone when nothing more came of it.
    pub(super) fn what_is_undone(&self, plan: &Plan, unfinished: &str, why: &str) -> Option<(FinalPhase, String)> {
        let compensation = self.compensation.as_ref()?;
        let mut remaining = compensation.remaining.clone();
        let mut add = |step, why: &str, is_unknown| remaining.push(Remainder { step, why: why.to_owned(), is_unknown });
        if let Some((step, _)) = &compensation.current {
            add(*step, unfinished, true);
        }
        for key in self.in_flight.iter().filter(|key| key.part == Part::Only) {
            add(key.step, "it is not known whether it was done", true);
        }
        for step in self.done.iter().rev() {
            add(*step, why, false);
        }
        let is_unknown = remaining.iter().any(|remainder| remainder.is_unknown)
            || self
                .failed
                .iter()
                .any(|step| self.steps[*step].phase == StepPhase::OutcomeUnknown && !plan.is_compensable(*step));
        let phase = match compensation.phase {
            _ if is_unknown => FinalPhase::OutcomeUnknown,
            _ if !remaining.is_empty() => FinalPhase::Failed,
            FinalPhase::Cancelled => FinalPhase::Cancelled,
            _ => FinalPhase::Compensated,
        };
        let left = remaining.iter().map(|left| format!("{} ({})", plan.name(left.step), left.why));
        let left = to_be_undone_by_hand(&left.collect::<Vec<_>>());
        Some((phase, format!("{}; {}{left}", compensation.message, compensation.undone_steps(plan))))
    }

    /// What a run that is being undone says.
    pub(super) fn progress_of_compensation(&self, plan: &Plan) -> Option<String> {
        let compensation = self.compensation.as_ref()?;
        let now = match &compensation.current {
            Some((step, _)) => format!("undoes step {}", plan.name(*step)),
            None => "waits for what agents still work on".to_owned(),
        };
        Some(format!("{}; {now}; {}", compensation.message, compensation.undone_steps(plan)))
    }
}

impl Compensation {
    fn undone_steps(&self, plan: &Plan) -> String {
        let names: Vec<&str> = self.undone.iter().map(|step| plan.name(*step).as_str()).collect();
        if names.is_empty() { "nothing undone".to_owned() } else { format!("undone: {}", names.join(", ")) }
    }
}

/// How a run that has ended says what it left undone; nothing when there is nothing.
pub(super) fn to_be_undone_by_hand(left: &[String]) -> String {
    if left.is_empty() { String::new() } else { format!("; still to be undone by hand: {}", left.join(", ")) }
}

/// Whether the task of the current compensation has to be dispatched, now or later.
pub(super) fn due(state: &State) -> Option<(TaskKey, Option<Timestamp>)> {
    let (step, task) = state.compensation.as_ref()?.current.as_ref()?;
    match task.status {
        Status::Due(at) => Some((TaskKey { step: *step, part: Part::Compensate }, at)),
        _ => None,
    }
}
