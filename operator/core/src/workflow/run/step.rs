//! How a step starts, goes on when one of its tasks ends, and ends. Each change costs what it changes, not what the run holds.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    StepPhase,
    approval::Ask,
    flaw,
    map::is_enough,
    next::Memo,
    plan::{BodyPlan, Plan, WaitPlan},
    state::{Body, ChainState, Decision, LoopState, Part, ScatterState, State, Status, TaskKey, TaskState},
};
use crate::{
    expression::Expression,
    id::Name,
    workflow::definition::{Reduce, StepKind},
};

/// The fold of one entry.
pub(super) struct Fold<'f> {
    pub(super) plan: &'f Plan,
    pub(super) state: &'f mut State,
    pub(super) memo: &'f mut Memo,
    pub(super) at: Timestamp,
    /// Steps whose dependencies have all ended well by this entry.
    pub(super) ready: VecDeque<usize>,
}

impl Fold<'_> {
    /// Starts what this entry made ready. Starting may end a step (a map over nothing) and make others ready.
    pub(super) fn open_ready_steps(&mut self) {
        while let Some(step) = self.ready.pop_front() {
            let is_open = self.state.steps[step].phase == StepPhase::Pending
                && self.state.finished.is_none()
                && self.state.compensation.is_none()
                && self.state.steps[step].blocked_by.is_none()
                && !self.state.is_stopping(self.plan);
            if is_open {
                self.open_step(step);
            }
        }
    }

    fn open_step(&mut self, step: usize) {
        let plan = self.plan;
        if let Some(reason) = self.has_no_stream(step) {
            return self.decide(step, Decision::Skip(reason));
        }
        match plan.steps[step].when.as_ref().map(|when| self.holds(when)) {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => return self.decide(step, Decision::Skip("its condition is false".to_owned())),
            Some(Err(error)) => return self.decide(step, Decision::Fail(format!("when: {error}"))),
        }
        if matches!(plan.steps[step].body, BodyPlan::Approval) {
            self.state.steps[step].started_at = Some(self.at);
            return self.ask(step, None);
        }
        let left = match self.take_up(step) {
            // The output is there: what its gate said of it is asked again.
            Some(Body::Asked(ask)) => {
                return self.gate_once_more(step, *ask);
            }
            left => left,
        };
        let is_taken_up = left.is_some();
        let body = match left.map_or_else(|| self.body(step), Ok) {
            Ok(body) => body,
            Err(reason) => return self.decide(step, Decision::Fail(reason)),
        };
        let state = &mut self.state.steps[step];
        state.phase = StepPhase::Running;
        state.started_at = Some(self.at);
        state.body = body;
        self.begin_stream(step);
        let state = &mut self.state.steps[step];
        state.tasks = count_of_tasks(&plan.definition.steps[step].kind, &state.body);
        if let Some(timeout) = plan.definition.steps[step].timeout {
            self.memo.time_out_at(self.at.checked_add(timeout).unwrap_or(Timestamp::MAX), step);
        }
        match &self.state.steps[step].body {
            Body::Closed | Body::Asked(_) => {}
            Body::Planning(_) => self.memo.plans.push(step),
            Body::Task(_) => self.memo.fresh.push(TaskKey { step, part: Part::Only }),
            Body::Map(map) if map.reduce.is_some() => self.memo.fresh.push(TaskKey { step, part: Part::Reduce }),
            Body::Map(map) if map.tree.is_some() => self.take_up_tree(step),
            Body::Map(_) => self.go_on_with_map(step),
            Body::Scatter(scatter) => {
                let due = scatter.tasks.iter().enumerate().filter(|(_, task)| matches!(task.status, Status::Due(_)));
                self.memo.fresh.extend(due.map(|(target, _)| TaskKey { step, part: Part::Item(target) }));
            }
            Body::Loop(repeated) => {
                let iteration = repeated.index;
                self.state.steps[step].tasks = iteration as u64 + 1;
                self.state.steps[step].succeeded += iteration as u64;
                self.memo.fresh.push(TaskKey { step, part: Part::Item(iteration) });
            }
            Body::Wait(until) => {
                let until = *until;
                self.memo.wait_until(until, step);
                self.state.steps[step].message = Some(format!("waits until {until}"));
            }
            Body::Chains(chains) => {
                let open = chains.iter().enumerate().filter(|(_, state)| !state.is_done);
                let stages = open.map(|(chain, state)| Part::Stage { chain, stage: state.stage });
                self.memo.fresh.extend(stages.map(|part| TaskKey { step, part }));
            }
        }
        if is_taken_up {
            self.end_what_is_done(step);
        }
    }

    fn holds(&self, when: &Expression) -> Result<bool, String> {
        let scope = self.state.scope(self.plan, when.references());
        when.evaluate_condition(&scope).map_err(|error| error.to_string())
    }

    fn body(&self, step: usize) -> Result<Body, String> {
        Ok(match &self.plan.steps[step].body {
            BodyPlan::Task(_) => Body::Task(TaskState::DUE),
            BodyPlan::Map(map) => Body::Map(self.map(step, map)?),
            BodyPlan::Scatter(_) => {
                let targets = self.plan.scatter(step).map_or(0, |(scatter, _)| scatter.to as usize);
                Body::Scatter(ScatterState { tasks: vec![TaskState::DUE; targets], answers: Vec::new(), failed: 0 })
            }
            BodyPlan::Loop(_) => Body::Loop(LoopState { index: 0, task: TaskState::DUE, previous: Value::Null }),
            BodyPlan::Wait(wait) => Body::Wait(self.end_of_wait(wait)?),
            BodyPlan::Approval => Body::Closed,
            BodyPlan::Auto(_) => Body::Planning(Box::default()),
            BodyPlan::Chains(chains) => {
                let chain = ChainState { stage: 0, task: TaskState::DUE, previous: Value::Null, is_done: false };
                Body::Chains(vec![chain; chains.len()])
            }
        })
    }

    fn end_of_wait(&self, wait: &WaitPlan) -> Result<Timestamp, String> {
        let moment = match wait {
            WaitPlan::For(duration) => return Ok(self.at.checked_add(*duration).unwrap_or(Timestamp::MAX)),
            WaitPlan::Until(moment) => moment,
        };
        let scope = self.state.scope(self.plan, moment.references());
        let found = moment.evaluate(&scope).map_err(|error| format!("wait.until: {error}"))?;
        let parsed = found.as_str().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| format!("wait.until: {found} is no moment: write one such as 2026-11-21T17:00:00Z"))
    }

    pub(super) fn wait_over(&mut self, step: &Name) -> bool {
        let Some(step) = self.plan.step(step.as_str()) else { return false };
        let state = &mut self.state.steps[step];
        if state.phase != StepPhase::Running || !matches!(state.body, Body::Wait(_)) {
            return false;
        }
        state.message = None;
        self.succeed(step, Value::Null);
        true
    }

    /// Makes a task due at once.
    pub(super) fn open_task(&mut self, key: TaskKey) {
        if let Some(task) = self.state.task_mut(key) {
            task.status = Status::Due(None);
            self.memo.fresh.push(key);
        }
    }

    pub(super) fn task_succeeded(&mut self, key: TaskKey, output: &Value) {
        if key.part == Part::Compensate {
            return self.compensated(key.step);
        }
        if let (Part::Item(target), Body::Scatter(_)) = (key.part, &self.state.steps[key.step].body) {
            return self.target_answered(key.step, target, output);
        }
        // What is still to be judged is not done.
        let is_judged = key.part == Part::Only && self.is_to_be_judged(key.step);
        self.state.steps[key.step].succeeded += u64::from(!is_judged);
        if let (Part::Item(index), Body::Loop(_)) = (key.part, &self.state.steps[key.step].body) {
            return self.iteration_done(key.step, index, output);
        }
        match key.part {
            Part::Only | Part::Reduce => self.succeed(key.step, output.clone()),
            Part::Item(index) => self.item_succeeded(key.step, index, output),
            Part::Stage { chain, stage } => self.end_stage(key.step, chain, stage, output),
            Part::Group { group, .. } => self.group_reduced(key.step, group, output),
            Part::Judge(_) | Part::Plan(_) | Part::Compensate => {}
        }
    }

    pub(super) fn task_failed(&mut self, key: TaskKey, message: String) {
        if key.part == Part::Compensate {
            return self.not_compensated(key.step, message, false);
        }
        if matches!(key.part, Part::Judge(_)) {
            return self.not_judged(key.step, &message);
        }
        let step = &mut self.state.steps[key.step];
        step.failed += 1;
        if let (Part::Item(target), Body::Scatter(_)) = (key.part, &step.body) {
            return self.target_failed(key.step, target, message);
        }
        let failed = step.failed;
        match (key.part, self.plan.map(key.step), &step.body) {
            (Part::Item(index), Some(map), Body::Map(tasks)) if is_enough(map, failed, tasks) => {
                self.item_failed(key.step, index, message);
            }
            _ => self.end_step(key.step, StepPhase::Failed, Some(message), Value::Null),
        }
    }

    fn end_stage(&mut self, step: usize, chain: usize, stage: usize, output: &Value) {
        let (BodyPlan::Chains(templates), Body::Chains(chains)) =
            (&self.plan.steps[step].body, &mut self.state.steps[step].body)
        else {
            return;
        };
        let current = &mut chains[chain];
        current.previous = output.clone();
        if stage + 1 < templates[chain].len() {
            current.stage += 1;
            current.task = TaskState::DUE;
            self.memo.fresh.push(TaskKey { step, part: Part::Stage { chain, stage: stage + 1 } });
            return;
        }
        current.is_done = true;
        if chains.iter().all(|chain| chain.is_done) {
            let mut outputs = chains.iter_mut().map(|chain| std::mem::take(&mut chain.previous));
            let output = match &self.plan.definition.steps[step].kind {
                StepKind::Parallel(branches) => {
                    let names = branches.iter().map(|branch| branch.name.as_str().to_owned());
                    Value::Object(names.zip(outputs).collect::<Map<_, _>>())
                }
                _ => outputs.next().unwrap_or_default(),
            };
            self.succeed(step, output);
        }
    }

    pub(super) fn succeed(&mut self, step: usize, output: Value) {
        match self.verdict(step, &output) {
            Some((on_failure, verdict)) => self.gate_lost(step, on_failure, verdict, output),
            None if self.is_to_be_judged(step) => self.ask_judge(step, output),
            None => {
                // A message of a tolerated failure stays readable.
                let message = self.state.steps[step].message.take();
                self.end_step(step, StepPhase::Succeeded, message, output);
            }
        }
    }

    pub(super) fn end_step(&mut self, step: usize, phase: StepPhase, message: Option<String>, output: Value) {
        let only = TaskKey { step, part: Part::Only };
        let was_in_flight = self.state.in_flight.contains(&only) || self.state.control.doubts.contains(&only);
        let phase = self.settle_doubts(step, phase);
        self.withdraw_tasks(step);
        self.stop_asking(step);
        let state = &mut self.state.steps[step];
        let may_be_done = phase == StepPhase::Succeeded || state.is_doubtful || was_in_flight;
        if may_be_done && self.plan.is_compensable(step) && !self.state.done.contains(&step) {
            self.state.done.push(step);
        }
        state.phase = phase;
        state.message = message;
        state.decision = None;
        state.ended_at = Some(self.at);
        let mut body = std::mem::replace(&mut state.body, Body::Closed);
        if let Some(judging) = state.judging.take() {
            body = Body::Asked(Box::new(Ask::unasked(String::new(), judging.output)));
        }
        state.view = Value::Object(Map::from_iter([
            ("output".to_owned(), output),
            ("phase".to_owned(), Value::from(phase.as_str())),
        ]));
        let is_well = match phase {
            StepPhase::Succeeded => true,
            StepPhase::Skipped => state.blocked_by.is_none(),
            _ => false,
        };
        self.state.ended += 1;
        self.leave(step, phase, body);
        if matches!(phase, StepPhase::Failed | StepPhase::OutcomeUnknown) && !self.state.failed.contains(&step) {
            self.state.failed.push(step);
        }
        let plan = self.plan;
        for &dependent in &plan.steps[step].dependents {
            if is_well {
                self.goes_on(dependent);
            } else {
                self.block(dependent, step);
            }
        }
        for &to in &plan.steps[step].streams {
            self.stream_ended(to, step, is_well);
        }
    }

    /// One of the steps that this one waits for is not waited for any more.
    pub(super) fn goes_on(&mut self, step: usize) {
        let state = &mut self.state.steps[step];
        state.waits_for = state.waits_for.saturating_sub(1);
        if state.blocked_by.is_none() && (state.waits_for == 0 || flaw::ignores_dependencies()) {
            self.ready.push_back(step);
        }
    }

    /// A step that waits for one that did not end well never starts.
    pub(super) fn block(&mut self, step: usize, by: usize) {
        let state = &mut self.state.steps[step];
        if state.phase == StepPhase::Pending && state.blocked_by.is_none() {
            state.blocked_by = Some(by);
            let reason = self.how_it_ended(by);
            self.decide(step, Decision::Skip(reason));
        }
    }

    /// How a step that did not end well has ended, in words for those that need it.
    pub(super) fn how_it_ended(&self, step: usize) -> String {
        let how = match self.state.steps[step].phase {
            StepPhase::Skipped => "was skipped after a failure",
            StepPhase::Cancelled => "was cancelled",
            _ => "failed",
        };
        format!("step {} {how}", self.plan.name(step))
    }

    /// Tasks of a step that ends before them are of no use any more.
    pub(super) fn withdraw_tasks(&mut self, step: usize) {
        let first = TaskKey { step, part: Part::Only };
        let of_step: Vec<TaskKey> =
            self.state.in_flight.range(first..).take_while(|key| key.step == step).copied().collect();
        for key in of_step {
            self.state.in_flight.remove(&key);
            // A run is in no queue; it is cancelled because nobody waits for it any more.
            if self.plan.is_run(key) {
                continue;
            }
            if let Some(TaskState { status: Status::InFlight(pool), attempt, .. }) = self.state.task(key) {
                self.memo.withdraw(self.plan.path(key), *attempt, pool.clone());
            }
        }
    }
}

fn count_of_tasks(kind: &StepKind, body: &Body) -> u64 {
    let count = match (kind, body) {
        // A loop counts its iterations as they begin.
        (StepKind::Task(_) | StepKind::Workflow(_) | StepKind::Loop(_) | StepKind::Auto(_), _) => 1,
        (StepKind::Map(map), Body::Map(tasks)) => tasks.count() + usize::from(matches!(map.reduce, Reduce::Task(_))),
        (StepKind::Map(_) | StepKind::Wait(_) | StepKind::Approval(_), _) => 0,
        (StepKind::Parallel(branches), _) => branches.iter().map(|branch| branch.stages.len()).sum(),
        (StepKind::Pipeline(stages), _) => stages.len(),
        (StepKind::Scatter(scatter), _) => scatter.to as usize,
    };
    count as u64
}
