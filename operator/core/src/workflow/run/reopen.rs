//! How a run that has ended is opened again: what is done stays done, and the rest waits for its turn anew.
//!
//! A step is kept when it ended well and everything before it is kept. What was undone is not done any more, so it runs
//! again, and so does what depends on it. Of a map, of branches and of a pipeline that run again over the same input, the
//! tasks that are done are kept.
//!
//! Attempts of the next round are counted from a number that no attempt of the round before reaches: whatever comes late
//! of that round is told apart.

use jiff::SignedDuration;
use serde_json::Value;

use super::{
    Run, StepPhase,
    approval::Ask,
    flaw,
    plan::Plan,
    state::{Body, Part, State, Status, StepState, TaskKey, TaskState},
    step::Fold,
    stream::keep_same_items,
};
use crate::{
    id::{Name, TaskPath},
    workflow::journal::{AttemptRef, FinalPhase, Outcome},
};

/// Attempts of one round are numbered below the next multiple of it.
const ATTEMPTS_PER_ROUND: u32 = 1_000;

impl Run {
    /// How often it was opened again.
    pub fn reopened(&self) -> u32 {
        self.state.control.round
    }

    /// Whether this request has opened it again already.
    pub fn was_reopened_by(&self, request: &str) -> bool {
        self.state.control.requests.iter().any(|known| known == request)
    }

    /// Whether it can be opened again: it has ended, not well, can be run at all, and its outputs are still there.
    pub fn can_reopen(&self) -> bool {
        self.state.can_reopen(&self.plan)
    }

    /// Attempts that were in a queue or with an agent when their steps or the run ended, and of which nothing was heard
    /// since, with their pools.
    pub fn unanswered(&self) -> Vec<(AttemptRef, Name)> {
        let steps = 0..self.state.steps.len();
        let of_steps = steps.filter_map(|step| Some((step, self.state.left_body(step)?)));
        let tasks =
            of_steps.flat_map(|(step, body)| body.tasks().into_iter().map(move |(part, task)| (step, part, task)));
        tasks
            .filter_map(|(step, part, task)| match &task.status {
                Status::InFlight(pool) => {
                    let path = self.plan.path(TaskKey { step, part });
                    Some((AttemptRef { path, attempt: task.attempt }, pool.clone()))
                }
                _ => None,
            })
            .collect()
    }
}

impl State {
    fn can_reopen(&self, plan: &Plan) -> bool {
        let is_lost = self.finished.as_ref().is_some_and(|finish| finish.phase != FinalPhase::Succeeded);
        is_lost && plan.defect.is_none() && self.outputs_removed_at.is_none()
    }

    /// The number of the attempt that follows.
    pub(super) fn next_attempt(&self, task: &TaskState) -> u32 {
        task.attempt.max(self.first_attempt()).saturating_add(1)
    }

    /// The number below the first attempt of this round.
    pub(super) fn first_attempt(&self) -> u32 {
        self.control.round.saturating_mul(ATTEMPTS_PER_ROUND)
    }

    /// The tasks of a step as they were when it, or the run, ended.
    pub(super) fn left_body(&self, step: usize) -> Option<&Body> {
        match &self.steps[step].body {
            Body::Closed => self.control.left.get(&step),
            body => Some(body),
        }
    }

    /// The steps that need not run again.
    fn kept(&self, plan: &Plan) -> Vec<bool> {
        // What failed and could not be undone is done in a way, but not well.
        let is_well = |(index, step): (usize, &StepState)| match step.phase {
            StepPhase::Succeeded => self.control.order.contains(&index) && !flaw::repeats_what_is_done(),
            StepPhase::Skipped => step.blocked_by.is_none(),
            _ => false,
        };
        let mut kept: Vec<bool> = self.steps.iter().enumerate().map(is_well).collect();
        loop {
            let lost: Vec<usize> =
                (0..kept.len()).filter(|step| kept[*step] && !follows_kept(plan, *step, &kept)).collect();
            if lost.is_empty() {
                return kept;
            }
            for step in lost {
                kept[step] = false;
            }
        }
    }
}

fn follows_kept(plan: &Plan, step: usize, kept: &[bool]) -> bool {
    are_kept(plan, plan.definition.steps[step].before(), kept)
}

fn are_kept<'n>(plan: &Plan, before: impl IntoIterator<Item = &'n Name>, kept: &[bool]) -> bool {
    before.into_iter().filter_map(|name| plan.step(name.as_str())).all(|before| kept[before])
}

impl Fold<'_> {
    /// Notes how a step has ended, for a time when the run is opened again.
    pub(super) fn leave(&mut self, step: usize, phase: StepPhase, body: Body) {
        let control = &mut self.state.control;
        control.left.remove(&step);
        control.order.retain(|done| *done != step);
        match phase {
            StepPhase::Succeeded => control.order.push(step),
            StepPhase::Skipped => {}
            _ if matches!(body, Body::Closed) => {}
            _ => {
                control.left.insert(step, body);
            }
        }
    }

    /// An attempt that another owner dispatched when the step or the run had ended: an agent may work on it all the same.
    pub(super) fn note_late_dispatch(&mut self, key: TaskKey, attempt: u32, pool: &Name) {
        let base = self.state.first_attempt();
        let Some(task) = self.ended_task(key) else { return };
        if attempt == task.attempt.max(base).saturating_add(1) && matches!(task.status, Status::Closed | Status::Due(_))
        {
            (task.status, task.attempt) = (Status::InFlight(pool.clone()), attempt);
        }
    }

    /// An attempt that no agent had taken: nobody has to be asked about it.
    pub(super) fn note_late_withdrawal(&mut self, path: &TaskPath, attempt: u32) {
        let Some(task) = self.plan.key(path).and_then(|key| self.ended_task(key)) else { return };
        if task.attempt == attempt && matches!(task.status, Status::InFlight(_)) {
            task.status = Status::Due(None);
        }
    }

    /// A task whose step or run has ended.
    fn ended_task(&mut self, key: TaskKey) -> Option<&mut TaskState> {
        let step = self.state.steps.get_mut(key.step)?;
        let body = match &mut step.body {
            Body::Closed if step.phase.is_ended() || self.state.finished.is_some() => {
                self.state.control.left.get_mut(&key.step)?
            }
            Body::Closed => return None,
            body => Some(body).filter(|_| self.state.finished.is_some())?,
        };
        body.task_mut(key.part)
    }

    /// A result that came when its step or its run had ended: it changes nothing any more, but what is done is not begun
    /// again when the run is opened again.
    pub(super) fn note_late_result(&mut self, path: &TaskPath, attempt: u32, outcome: &Outcome) {
        let plan = self.plan;
        let Some(key) = plan.key(path) else { return };
        let Some(task) = self.ended_task(key) else { return };
        if task.attempt != attempt || !matches!(task.status, Status::InFlight(_)) {
            return;
        }
        task.status = match outcome {
            Outcome::Succeeded { output } => Status::Succeeded(output.clone()),
            Outcome::HandedOver { to, input, .. } => {
                let allowed = plan.permission(key, task.is_fallback);
                match task.hand_over(allowed, to, input.as_ref()) {
                    Ok(()) => Status::Due(None),
                    Err(_) => Status::Failed,
                }
            }
            Outcome::Failed { .. } => Status::Failed,
            Outcome::Unknown { message } => Status::Unknown(message.clone()),
        };
    }

    pub(super) fn reopen(&mut self, request: &str, unknown: &[AttemptRef]) -> bool {
        if !self.state.can_reopen(self.plan) {
            return false;
        }
        let kept = self.state.kept(self.plan);
        let round = self.state.control.round + 1;
        let steps = &self.plan.definition.steps;
        // Whether the items of a stream are the same is seen item by item.
        let left = |step: usize| {
            self.what_is_left(step, are_kept(self.plan, &steps[step].after, &kept), unknown).filter(|_| !kept[step])
        };
        let mut every_left: Vec<Option<Body>> = (0..kept.len()).map(left).collect();
        keep_same_items(self.plan, &kept, &mut every_left);
        for (step, left) in every_left.into_iter().enumerate().filter(|(step, _)| !kept[*step]) {
            let before = steps[step].before();
            let waits_for = before.filter(|name| self.plan.step(name.as_str()).is_none_or(|step| !kept[step]));
            let waits_for = waits_for.count();
            let before = &mut self.state.steps[step];
            // What is reduced again has given all that it gives.
            let keeps_stream = matches!(&left, Some(Body::Map(map)) if map.is_reducing());
            let stream = if keeps_stream { std::mem::take(&mut before.stream) } else { Vec::new() };
            let fresh = StepState {
                is_doubtful: before.is_doubtful && before.phase != StepPhase::Compensated,
                last_attempt: round.saturating_mul(ATTEMPTS_PER_ROUND),
                asked: before.asked,
                judged: before.judged,
                // What was to be done is begun again; what was still to be approved is planned anew.
                planned: before.planned.clone().filter(|_| matches!(left, Some(Body::Task(_)))),
                stream,
                ..StepState::pending(waits_for)
            };
            self.state.steps[step] = fresh;
            self.state.control.left.remove(&step);
            if let Some(left) = left {
                self.state.control.left.insert(step, left);
            }
        }
        let state = &mut *self.state;
        (state.started_at, state.deadline, state.cancelled) = (None, None, None);
        (state.finished, state.compensation) = (None, None);
        state.is_to_be_undone = false;
        (state.questions, state.asking_since, state.waited) = (0, None, SignedDuration::ZERO);
        state.control.begin_round(round, request);
        state.control.order.retain(|step| kept[*step]);
        state.done = state.control.order.iter().copied().filter(|step| self.plan.is_compensable(*step)).collect();
        state.ended = kept.iter().filter(|is_kept| **is_kept).count();
        state.failed.clear();
        state.in_flight.clear();
        self.memo.begin_round();
        true
    }

    /// What a step that runs again goes on with.
    fn what_is_left(&self, step: usize, has_same_input: bool, unknown: &[AttemptRef]) -> Option<Body> {
        let state = &self.state.steps[step];
        let left = self.state.left_body(step).filter(|_| has_same_input);
        if let Some(judging) = state.judging.as_ref().filter(|_| has_same_input) {
            return Some(Body::Asked(Box::new(Ask::unasked(String::new(), judging.output.clone()))));
        }
        let mut body = match (state.phase, left) {
            (StepPhase::Compensated, _) => return None,
            (_, Some(body)) if state.phase != StepPhase::Compensating => body.clone(),
            // Whether it was undone is not known.
            (StepPhase::OutcomeUnknown | StepPhase::Compensating, _) if self.plan.is_compensable(step) => {
                let why = state.message.as_deref().unwrap_or("it may be undone");
                let status = Status::Unknown(format!("{why}; done means that it is still done"));
                Body::Task(TaskState { status, attempt: state.last_attempt, ..TaskState::CLOSED })
            }
            _ => return None,
        };
        let is_map = matches!(&body, Body::Map(map) if map.reduce.is_none());
        let parts: Vec<Part> = body.tasks().into_iter().map(|(part, _)| part).collect();
        for part in parts {
            let path = self.plan.path(TaskKey { step, part });
            let Some(task) = body.task_mut(part) else { continue };
            let is_unknown = unknown.iter().any(|of| of.attempt == task.attempt && of.path == path);
            let status = std::mem::replace(&mut task.status, Status::Closed);
            task.status = match status {
                Status::Succeeded(_) | Status::Unknown(_) => status,
                Status::InFlight(_) if is_unknown => {
                    Status::Unknown("an agent may have worked on it when the run ended".to_owned())
                }
                _ if is_map => Status::Closed,
                _ => Status::Due(None),
            };
            (task.failures, task.verdict, task.is_fallback) = (0, None, false);
        }
        match &mut body {
            Body::Closed | Body::Wait(_) | Body::Planning(_) => return None,
            Body::Asked(ask) if !ask.is_about_an_output() => return None,
            Body::Map(map) if is_map => (map.opened, map.closed) = (0, 0),
            Body::Scatter(scatter) => self.ask_again(step, scatter),
            _ => {}
        }
        Some(body)
    }

    /// Goes on with what a step has left of the round before.
    pub(super) fn take_up(&mut self, step: usize) -> Option<Body> {
        let body = self.state.control.left.remove(&step)?;
        let tasks = body.tasks();
        let done = tasks.iter().filter(|(_, task)| matches!(task.status, Status::Succeeded(_))).count();
        self.state.steps[step].succeeded = done as u64;
        Some(body)
    }

    /// Ends those tasks of a step that was taken up of which a late result has told that they are done.
    pub(super) fn end_what_is_done(&mut self, step: usize) {
        let body = &self.state.steps[step].body;
        let is_counted = |part: Part| match (body, part) {
            (Body::Map(_), Part::Item(_) | Part::Group { .. }) => true,
            (Body::Scatter(scatter), Part::Item(target)) => {
                scatter.answers.iter().any(|answer| answer.target == target)
            }
            _ => false,
        };
        let done: Vec<(TaskKey, Value)> = body
            .tasks()
            .into_iter()
            .filter_map(|(part, task)| match &task.status {
                Status::Succeeded(output) if !is_counted(part) => Some((TaskKey { step, part }, output.clone())),
                _ => None,
            })
            .collect();
        for (key, output) in done {
            if self.state.steps[step].phase == StepPhase::Running {
                self.state.steps[step].succeeded = self.state.steps[step].succeeded.saturating_sub(1);
                self.note_done(key);
                self.task_succeeded(key, &output);
            }
        }
        self.note_unknown(step);
    }
}
