//! Folds one journal entry into the state of a run.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    StepPhase, flaw,
    next::Memo,
    plan::Plan,
    state::{Decision, Finish, Part, State, Status, TaskKey},
    step::Fold,
};
use crate::{
    id::{Name, TaskPath},
    workflow::{
        definition::Retry,
        journal::{Entry, Outcome, RunEvent},
    },
};

/// Folds an entry.
pub(super) fn apply(plan: &Plan, state: &mut State, memo: &mut Memo, entry: &Entry, at: Timestamp) {
    let mut fold = Fold { plan, state, memo, at, ready: VecDeque::new() };
    let is_emptied = fold.state.outputs_removed_at.is_some();
    let is_news = match entry {
        // Nothing that comes late is of any use.
        Entry::Dispatched { .. } | Entry::Result { .. } if is_emptied => false,
        Entry::Run(event) => fold.event(event),
        Entry::Dispatched { path, attempt, pool } => fold.dispatched(path, *attempt, pool),
        Entry::Result { path, attempt, outcome } => fold.result(path, *attempt, outcome),
    };
    fold.open_ready_steps();
    fold.go_on_with_compensation();
    if !is_news {
        state.ignored += 1;
    }
}

impl Fold<'_> {
    /// Folds an event; false when it changes nothing.
    fn event(&mut self, event: &RunEvent) -> bool {
        if let RunEvent::Reopened { request, unknown, .. } = event {
            return self.reopen(request, unknown);
        }
        if let RunEvent::OutputsRemoved { ended, steps } = event {
            return self.outputs_removed(*ended, steps);
        }
        if let RunEvent::Planned { step, plan, .. } = event {
            self.hear_of_plan(step, plan);
        }
        if self.state.finished.is_some() {
            if let RunEvent::Withdrawn { path, attempt } = event {
                self.note_late_withdrawal(path, *attempt);
            }
            return false;
        }
        match event {
            RunEvent::Accepted { .. } | RunEvent::Reopened { .. } | RunEvent::OutputsRemoved { .. } => return false,
            RunEvent::Started { deadline } => {
                if self.state.started_at.is_some() {
                    return false;
                }
                self.state.started_at = Some(self.at);
                self.state.deadline = Some(*deadline);
                self.ready =
                    (0..self.state.steps.len()).filter(|step| self.state.steps[*step].waits_for == 0).collect();
            }
            RunEvent::StepSkipped { step, reason } => {
                return self.end_on_event(step, StepPhase::Skipped, reason, |phase| phase == StepPhase::Pending);
            }
            RunEvent::StepFailed { step, reason } => {
                return self.end_on_event(step, StepPhase::Failed, reason, |phase| !phase.is_ended());
            }
            RunEvent::CancelRequested { cause, .. } => {
                if self.state.cancelled.is_some() {
                    return false;
                }
                self.state.cancelled = Some(cause.clone());
                self.end_pause();
            }
            RunEvent::Paused { cause, .. } => return self.pause(cause),
            RunEvent::Resumed { .. } => return self.end_pause(),
            RunEvent::TerminateRequested { cause, .. } => return self.terminate(cause),
            RunEvent::ChildStarted { step, attempt, .. } => return self.child_started(step, *attempt),
            RunEvent::Planned { step, round, plan } => return self.planned(step, *round, plan),
            RunEvent::PlanRefused { step, round, mistakes } => return self.plan_refused(step, *round, mistakes),
            RunEvent::WaitOver { step } => return self.wait_over(step),
            RunEvent::Decided { step, attempt, decision } => return self.decided(step, *attempt, decision),
            RunEvent::DecisionTimedOut { step, attempt, approved } => {
                return self.decision_timed_out(step, *attempt, *approved);
            }
            RunEvent::CompensationStarted { phase, message } => return self.start_compensation(*phase, message),
            RunEvent::Resolved { path, attempt, resolution, .. } => return self.resolve(path, *attempt, resolution),
            RunEvent::Withdrawn { path, attempt } => return self.withdrawn(path, *attempt),
            RunEvent::Finished { phase, message } => {
                self.state.finished = Some(Finish { phase: *phase, message: message.clone(), at: self.at });
            }
        }
        true
    }

    fn end_on_event(&mut self, step: &Name, phase: StepPhase, reason: &str, fits: fn(StepPhase) -> bool) -> bool {
        match self.plan.step(step.as_str()) {
            Some(step) if self.is_still_worked_on(step) && phase == StepPhase::Failed => {
                let is_news = !self.state.failed.contains(&step);
                if is_news {
                    self.state.failed.push(step);
                    self.state.steps[step].message = Some(reason.to_owned());
                }
                is_news
            }
            Some(step) if self.state.started_at.is_some() && fits(self.state.steps[step].phase) => {
                self.end_step(step, phase, Some(reason.to_owned()), Value::Null);
                true
            }
            _ => false,
        }
    }

    pub(super) fn dispatched(&mut self, path: &TaskPath, attempt: u32, pool: &Name) -> bool {
        let Some(key) = self.plan.key(path) else { return false };
        self.expect_late_dispatch(key, attempt);
        if key.part == Part::Only {
            let last = &mut self.state.steps[key.step].last_attempt;
            *last = attempt.max(*last);
        }
        let is_over = self.state.steps[key.step].judging.is_some() && !matches!(key.part, Part::Judge(_));
        let is_running = self.state.finished.is_none()
            && !is_over
            && (key.part == Part::Compensate || self.state.steps[key.step].phase == StepPhase::Running);
        let base = self.state.first_attempt();
        let is_next = |task: &super::state::TaskState| {
            matches!(task.status, Status::Due(_))
                && (attempt == task.attempt.max(base).saturating_add(1) || flaw::ignores_duplicates())
        };
        match self.state.task_mut(key) {
            Some(task) if is_running && is_next(task) => {
                task.status = Status::InFlight(pool.clone());
                task.attempt = attempt;
                let is_first = attempt == task.first_attempt(base);
                self.state.in_flight.insert(key);
                self.state.steps[key.step].retries += u64::from(!is_first);
                true
            }
            task => {
                let is_elsewhere = task.is_some_and(|task| {
                    task.attempt == attempt && matches!(&task.status, Status::InFlight(known) if known != pool)
                });
                self.note_late_dispatch(key, attempt, pool);
                // Another owner of the run dispatched it without knowing that the step had ended, or into another pool.
                if (!is_running || is_elsewhere || attempt <= base) && !self.plan.is_run(key) {
                    self.memo.withdraw(path.clone(), attempt, pool.clone());
                }
                false
            }
        }
    }

    /// The task at the path when this attempt of it is in flight.
    fn in_flight(&self, path: &TaskPath, attempt: u32) -> Option<TaskKey> {
        let key = self.plan.key(path).filter(|_| self.state.finished.is_none())?;
        let task = self.state.task(key)?;
        let is_current = matches!(task.status, Status::InFlight(_)) && task.attempt == attempt;
        (is_current || flaw::ignores_duplicates()).then_some(key)
    }

    /// A withdrawn attempt says nothing about the task, so it is dispatched again without counting as a failure.
    fn withdrawn(&mut self, path: &TaskPath, attempt: u32) -> bool {
        let Some(key) = self.in_flight(path, attempt) else {
            self.note_late_withdrawal(path, attempt);
            return false;
        };
        self.state.in_flight.remove(&key);
        if self.is_lost(key) {
            self.end_step(key.step, StepPhase::Cancelled, None, Value::Null);
        } else {
            self.open_task(key);
        }
        true
    }

    fn result(&mut self, path: &TaskPath, attempt: u32, outcome: &Outcome) -> bool {
        let known = self.in_flight(path, attempt);
        let Some((key, retry)) = known.and_then(|key| Some((key, self.state.retry(self.plan, key)?))) else {
            self.note_late_result(path, attempt, outcome);
            return false;
        };
        self.state.in_flight.remove(&key);
        let is_asked = matches!(outcome, Outcome::Unknown { .. }) && self.may_ask(key);
        if key.part == Part::Only && !outcome.is_agents_word() && !is_asked {
            self.state.steps[key.step].is_doubtful = true;
        }
        if matches!(outcome, Outcome::Succeeded { .. } | Outcome::HandedOver { .. }) {
            self.note_done(key);
        }
        match outcome {
            Outcome::HandedOver { to, input, reason } => {
                self.handed_over(key, retry, to, input.as_ref(), reason.as_deref());
            }
            Outcome::Succeeded { output } if matches!(key.part, Part::Judge(_)) => self.judged(key, retry, output),
            Outcome::Succeeded { output } if matches!(key.part, Part::Plan(_)) => {
                self.planner_replied(key.step, output);
            }
            Outcome::Succeeded { output } => self.attempt_succeeded(key, output),
            Outcome::Failed { reason, message } => {
                let why = format!("{reason:?}: {message}");
                self.attempt_failed(key, retry, reason.is_retryable(), &why);
            }
            Outcome::Unknown { message } if key.part == Part::Compensate => {
                let message = format!("it is not known whether its compensation, attempt {attempt}, worked: {message}");
                self.not_compensated(key.step, message, true);
            }
            // Judging and planning do nothing that could be done twice.
            Outcome::Unknown { message } if matches!(key.part, Part::Judge(_) | Part::Plan(_)) => {
                self.attempt_failed(key, retry, true, message);
            }
            Outcome::Unknown { message } if is_asked => self.ask_about(key, message),
            Outcome::Unknown { message } => {
                self.state.steps[key.step].failed += 1;
                if let Some(task) = self.state.task_mut(key) {
                    task.status = Status::Unknown(message.clone());
                }
                let message = format!("task {path}, attempt {attempt}: it is not known how it ended: {message}");
                self.end_step(key.step, StepPhase::OutcomeUnknown, Some(message), Value::Null);
            }
        }
        true
    }

    pub(super) fn attempt_succeeded(&mut self, key: TaskKey, output: &Value) {
        match self.verdict_that_retries(key, output) {
            None => self.task_succeeded(key, output),
            Some(verdict) => self.repeat_because_of(key, &verdict),
        }
    }

    /// Repeats the task, or ends it when it may not be repeated any more.
    pub(super) fn attempt_failed(&mut self, key: TaskKey, retry: Retry, may_be_repeated: bool, why: &str) {
        let (is_lost, path, base) = (self.is_lost(key), self.plan.path(key), self.state.first_attempt());
        let Some(task) = self.state.task_mut(key) else { return };
        task.failures += 1;
        if may_be_repeated && task.failures <= retry.limit && !is_lost {
            let not_before = self.at.checked_add(retry.delay(task.failures)).unwrap_or(Timestamp::MAX);
            task.status = Status::Due(Some(not_before));
            self.memo.retry_at(not_before, key);
        } else if !self.falls_back(key, why) {
            let Some(task) = self.state.task_mut(key) else { return };
            // It has been answered: nobody needs to be asked about it when the run is opened again.
            task.status = Status::Failed;
            let attempts = match task.attempt.saturating_sub(base) {
                1 => "1 attempt".to_owned(),
                attempts => format!("{attempts} attempts"),
            };
            self.task_failed(key, format!("task {path} failed after {attempts}: {why}"));
        }
    }

    /// Notes what has to be written down about a step.
    pub(super) fn decide(&mut self, step: usize, decision: Decision) {
        self.state.steps[step].decision.get_or_insert(decision);
        self.memo.decisions.push(step);
    }
}
