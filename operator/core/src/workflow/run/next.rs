//! What is to be done for a run now.
//!
//! `apply` leaves notes in the memo (tasks that became due, timers, decisions); `next` works them off, so that its cost is
//! that of what changed. A note may be out of date when it is read, so each is checked against the state.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Action, DueTasks, Grant, StepPhase, approval, auto, child, compensation,
    due::Due,
    flaw,
    plan::Plan,
    state::{Body, Decision, Part, State, Status, TaskKey, TaskState},
    summary,
};
use crate::{
    expression::Variable,
    id::{Name, TaskPath},
    workflow::{
        auto::Known,
        definition::{AgentSelector, FailurePolicy},
        journal::{FinalPhase, RunEvent},
    },
};

/// Notes for `next`; no part of the run's state.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    /// Tasks that became due.
    pub(super) fresh: Vec<TaskKey>,
    /// Tasks that are due and have not been handed out.
    pub(super) due: Due,
    /// Steps with a decision.
    pub(super) decisions: Vec<usize>,
    /// Steps that wait for the rules, or for what follows from the reply of their planners.
    pub(super) plans: Vec<usize>,
    /// What is known for plans.
    pub(super) known: Arc<Known>,
    timers: BTreeSet<(Timestamp, Timer)>,
    withdrawals: Vec<(TaskPath, u32, Name)>,
    /// Steps whose failure was handed out.
    failing: BTreeSet<usize>,
    /// Whether the end was handed out.
    is_finishing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Retry(TaskKey),
    StepTimeout(usize),
    WaitOver(usize),
    /// The time of a step's question, by its number.
    DecisionOver(usize, u32),
}

impl Memo {
    pub(super) fn retry_at(&mut self, at: Timestamp, key: TaskKey) {
        self.timers.insert((at, Timer::Retry(key)));
    }

    pub(super) fn time_out_at(&mut self, at: Timestamp, step: usize) {
        self.timers.insert((at, Timer::StepTimeout(step)));
    }

    pub(super) fn wait_until(&mut self, at: Timestamp, step: usize) {
        self.timers.insert((at, Timer::WaitOver(step)));
    }

    pub(super) fn decide_until(&mut self, at: Timestamp, step: usize, attempt: u32) {
        self.timers.insert((at, Timer::DecisionOver(step, attempt)));
    }

    pub(super) fn withdraw(&mut self, path: TaskPath, attempt: u32, pool: Name) {
        self.withdrawals.push((path, attempt, pool));
    }

    /// Whether the failure of a step was handed out.
    pub(super) fn is_failing(&self, step: usize) -> bool {
        self.failing.contains(&step)
    }

    /// The run is opened again: what was noted for the round before is of no use any more.
    pub(super) fn begin_round(&mut self) {
        let (withdrawals, known) = (std::mem::take(&mut self.withdrawals), Arc::clone(&self.known));
        *self = Self { known, withdrawals, ..Self::default() };
    }

    /// Nothing is to be done for the run any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The end that was handed out is not the end: the run undoes what was done.
    pub(super) fn begin_anew(&mut self) {
        self.is_finishing = false;
    }

    /// The notes that a run without any handed out actions would have.
    pub(super) fn rebuilt(plan: &Plan, state: &State, before: Self) -> Self {
        let mut memo = Self { withdrawals: before.withdrawals, known: before.known, ..Self::default() };
        for (step, of_step) in state.steps.iter().enumerate() {
            if of_step.decision.is_some() {
                memo.decisions.push(step);
            }
            if let Body::Asked(ask) = &of_step.body {
                memo.decide_until(ask.until, step, ask.attempt);
            }
            if of_step.phase != StepPhase::Running {
                continue;
            }
            if let Some(end) = state.end_of_step(plan, step) {
                memo.time_out_at(end, step);
            }
            if let Body::Wait(until) = of_step.body {
                memo.wait_until(until, step);
            }
            if let Body::Planning(planning) = &of_step.body {
                memo.note_planning(step, planning);
            }
            let judging = of_step.judging.iter().map(|judging| (Part::Judge(judging.round), &judging.task));
            for (part, task) in open_tasks(&of_step.body).into_iter().chain(judging) {
                match task.status {
                    Status::Due(None) => memo.fresh.push(TaskKey { step, part }),
                    Status::Due(Some(at)) => memo.retry_at(at, TaskKey { step, part }),
                    _ => {}
                }
            }
        }
        match compensation::due(state) {
            Some((key, None)) => memo.fresh.push(key),
            Some((key, Some(at))) => memo.retry_at(at, key),
            None => {}
        }
        memo
    }
}

fn open_tasks(body: &Body) -> Vec<(Part, &TaskState)> {
    match body {
        // While it is reduced, items may still be open.
        Body::Map(map) => {
            // Those of a stream open as they come.
            let reached = if map.incoming.is_some() { map.tasks.len() } else { map.opened };
            let items = map.tasks.iter().take(reached).enumerate().map(|(index, task)| (Part::Item(index), task));
            let groups = map.tree.iter().flat_map(|tree| {
                let opened = tree.groups.iter().take(tree.opened).enumerate();
                opened.map(|(group, (task, _))| (Part::Group { level: tree.level, group }, task))
            });
            items.chain(map.reduce.iter().map(|(task, _)| (Part::Reduce, task))).chain(groups).collect()
        }
        body => body.tasks(),
    }
}

/// Lists what is due; of the tasks, as many as are granted.
pub(super) fn next(plan: &Plan, state: &State, memo: &mut Memo, now: Timestamp, grant: Grant<'_>) -> Vec<Action> {
    let mut actions: Vec<Action> =
        memo.withdrawals.drain(..).map(|(path, attempt, pool)| Action::Withdraw { path, attempt, pool }).collect();
    if state.finished.is_some() || memo.is_finishing {
        return actions;
    }
    if let Some((phase, message)) = end(plan, state, now) {
        memo.is_finishing = true;
        let is_terminated = state.control.terminated.is_some();
        let is_lost = phase != FinalPhase::Succeeded && state.compensation.is_none() && !is_terminated;
        if is_lost && state.has_to_be_undone(plan) {
            actions.push(Action::Append(RunEvent::CompensationStarted { phase, message }));
            return actions;
        }
        actions.extend(state.in_flight.iter().filter_map(|key| withdrawal(plan, state, *key)));
        actions.push(Action::Append(RunEvent::Finished { phase, message }));
        return actions;
    }
    if state.started_at.is_none() {
        return actions;
    }
    fire_timers(plan, state, memo, now, &mut actions);
    if state.compensation.is_none() {
        write_decisions(plan, state, memo, &mut actions);
    }
    if !state.is_paused() || flaw::ignores_pauses() {
        auto::write_plans(plan, state, memo, &mut actions);
        dispatch(plan, state, memo, grant, &mut actions);
    }
    let timer = memo.timers.first().map(|(at, _)| *at);
    actions.extend(timer.into_iter().chain(state.end_of_time()).min().map(Action::WakeAt));
    actions
}

/// How the run ends when it has to end now.
fn end(plan: &Plan, state: &State, now: Timestamp) -> Option<(FinalPhase, String)> {
    let failed = |message: String| {
        Some((if state.is_anything_unknown() { FinalPhase::OutcomeUnknown } else { FinalPhase::Failed }, message))
    };
    if state.control.terminated.is_some() {
        return state.end_of_termination(plan);
    }
    if state.compensation.is_some() {
        return state.end_of_compensation(plan, now);
    }
    if let Some(defect) = &plan.defect {
        return failed(format!("the run cannot start: {defect}"));
    }
    if let Some(cause) = &state.cancelled {
        let (phase, _) = failed(String::new())?;
        let is_unknown = phase == FinalPhase::OutcomeUnknown;
        let phase = if is_unknown { phase } else { FinalPhase::Cancelled };
        return Some((
            phase,
            format!(
                "cancelled: {cause}{}",
                summary::failures(plan, state).map_or_else(String::new, |f| format!("; {f}"))
            ),
        ));
    }
    state.started_at?;
    if state.ended == state.steps.len() || state.is_stopping(plan) {
        return match (summary::failures(plan, state), state.output(plan)) {
            (Some(failures), _) => failed(failures),
            (None, Err(error)) => failed(format!("output: {error}")),
            (None, Ok(_)) => Some((FinalPhase::Succeeded, summary::successes(state))),
        };
    }
    let deadline = state.end_of_time().filter(|deadline| *deadline <= now)?;
    let open: Vec<&str> = (0..state.steps.len())
        .filter(|step| state.steps[*step].phase == StepPhase::Running)
        .map(|step| plan.name(step).as_str())
        .collect();
    let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
    failed(format!("the run's time was over at {deadline}; steps still running: {open}"))
}

fn withdrawal(plan: &Plan, state: &State, key: TaskKey) -> Option<Action> {
    match state.task(key)? {
        TaskState { status: Status::InFlight(pool), attempt, .. } if !plan.is_run(key) => {
            Some(Action::Withdraw { path: plan.path(key), attempt: *attempt, pool: pool.clone() })
        }
        _ => None,
    }
}

fn fire_timers(plan: &Plan, state: &State, memo: &mut Memo, now: Timestamp, actions: &mut Vec<Action>) {
    while let Some(&(at, timer)) = memo.timers.first() {
        let is_valid = match timer {
            Timer::Retry(key) => state.task(key).is_some_and(|task| task.status == Status::Due(Some(at))),
            Timer::StepTimeout(step) => {
                let is_told = memo.failing.contains(&step) || state.failed.contains(&step);
                // The end of a pause sets the timers anew.
                let is_current = !state.is_paused() && state.end_of_step(plan, step).is_some_and(|end| end <= at);
                state.steps[step].phase == StepPhase::Running && !is_told && is_current
            }
            Timer::WaitOver(step) => state.steps[step].phase == StepPhase::Running,
            Timer::DecisionOver(step, attempt) => state.is_asking(step, attempt),
        };
        if is_valid && at > now {
            break;
        }
        memo.timers.pop_first();
        match timer {
            _ if !is_valid => {}
            Timer::Retry(key) => memo.fresh.push(key),
            Timer::WaitOver(step) => {
                actions.push(Action::Append(RunEvent::WaitOver { step: plan.name(step).clone() }));
            }
            Timer::DecisionOver(step, attempt) => {
                actions.extend(approval::timed_out(plan, step, attempt).map(Action::Append));
            }
            Timer::StepTimeout(step) => {
                let timeout = plan.definition.steps[step].timeout.unwrap_or_default();
                fail_step(plan, memo, step, format!("the step took longer than its timeout of {timeout:?}"), actions);
            }
        }
    }
}

pub(super) fn fail_step(plan: &Plan, memo: &mut Memo, step: usize, reason: String, actions: &mut Vec<Action>) {
    if memo.failing.insert(step) {
        actions.push(Action::Append(RunEvent::StepFailed { step: plan.name(step).clone(), reason }));
    }
}

fn write_decisions(plan: &Plan, state: &State, memo: &mut Memo, actions: &mut Vec<Action>) {
    for step in std::mem::take(&mut memo.decisions) {
        let name = plan.name(step);
        match &state.steps[step].decision {
            Some(Decision::Skip(reason)) => {
                actions.push(Action::Append(RunEvent::StepSkipped { step: name.clone(), reason: reason.clone() }));
            }
            Some(Decision::Fail(reason)) => fail_step(plan, memo, step, reason.clone(), actions),
            None => {}
        }
    }
}

fn dispatch(plan: &Plan, state: &State, memo: &mut Memo, grant: Grant<'_>, actions: &mut Vec<Action>) {
    let (runs, tasks): (Vec<_>, Vec<_>) =
        std::mem::take(&mut memo.fresh).into_iter().partition(|key| plan.is_run(*key));
    memo.due.add(state, tasks);
    for key in runs {
        match child::start(plan, state, memo, key) {
            Some(Ok(event)) => actions.push(Action::Append(event)),
            Some(Err(reason)) => fail_step(plan, memo, key.step, reason, actions),
            None => {}
        }
    }
    for lane in memo.due.lanes() {
        let mut keys = memo.due.take(lane);
        let Some((agent, first)) = lane.agent(plan, state).zip(keys.front()) else { continue };
        let mut granted = grant(&DueTasks { agent, first: plan.path(*first), tasks: keys.len() });
        if granted > 0 {
            memo.due.served(lane);
        }
        while granted > 0
            && let Some(key) = keys.pop_front()
        {
            if let Some(action) = dispatch_one(plan, state, memo, (key, agent), actions) {
                actions.push(action);
                granted -= 1;
            }
        }
        memo.due.put_back(lane, keys);
    }
}

fn dispatch_one(
    plan: &Plan,
    state: &State,
    memo: &mut Memo,
    (key, agent): (TaskKey, &AgentSelector),
    actions: &mut Vec<Action>,
) -> Option<Action> {
    if memo.failing.contains(&key.step) && key.part != Part::Compensate {
        return None;
    }
    let (task, of_task @ TaskState { status: Status::Due(_), .. }) =
        state.definition(plan, key).zip(state.task(key))?
    else {
        return None;
    };
    // Who had it before is in its lane as well.
    if state.agent(plan, key) != Some(agent) {
        return None;
    }
    let input = match input(plan, state, key) {
        Ok(input) => input,
        // Such a compensation was given up when it was folded.
        Err(_) if key.part == Part::Compensate => return None,
        Err(error) => {
            fail_step(plan, memo, key.step, format!("input of task {}: {error}", plan.path(key)), actions);
            return None;
        }
    };
    let end_of_step = state.end_of_step(plan, key.step).filter(|_| key.part != Part::Compensate);
    let deadline = end_of_step.into_iter().chain(state.end_of_time()).min().unwrap_or(Timestamp::MAX);
    Some(Action::Dispatch {
        path: plan.path(key),
        attempt: state.next_attempt(of_task),
        agent: agent.clone(),
        input,
        timeout: task.timeout,
        deadline,
    })
}

/// The input of a task that is due, or why it cannot be made.
pub(super) fn input(plan: &Plan, state: &State, key: TaskKey) -> Result<Value, String> {
    if let Some(input) = state.handed_input(key) {
        return Ok(input.clone());
    }
    if let Part::Plan(_) = key.part {
        return auto::input(plan, state, key.step);
    }
    let template = state.template(plan, key).ok_or("there is no such task")?;
    let mut scope = state.scope(plan, template.references());
    if let (Part::Judge(_), Some(judging)) = (key.part, &state.steps[key.step].judging) {
        scope = scope.with(Variable::Output, Cow::Borrowed(&judging.output));
    }
    match (&state.steps[key.step].body, key.part) {
        (Body::Map(map), Part::Item(index)) => {
            scope = scope
                .with(Variable::Item, state.item(plan, key.step, map, index))
                .with(Variable::Index, Cow::Owned(Value::from(index)));
            if let Some(outer) = map.outer(index) {
                scope = scope.with(Variable::Outer, Cow::Borrowed(outer));
            }
        }
        (Body::Task(task), Part::Only) => {
            scope = scope.with(Variable::Verdict, Cow::Owned(Value::from(task.verdict.as_deref().unwrap_or_default())));
        }
        (Body::Scatter(_), Part::Item(target)) => {
            scope = scope.with(Variable::Index, Cow::Owned(Value::from(target)));
        }
        (Body::Loop(repeated), Part::Item(index)) => {
            scope = scope
                .with(Variable::Previous, Cow::Borrowed(&repeated.previous))
                .with(Variable::Index, Cow::Owned(Value::from(index)));
        }
        (Body::Map(map), Part::Reduce) => {
            if let Some((_, results)) = &map.reduce {
                scope = scope.with(Variable::Results, Cow::Borrowed(results));
            }
        }
        (Body::Map(map), Part::Group { group, .. }) => {
            if let Some((_, results)) = map.tree.as_ref().and_then(|tree| tree.groups.get(group)) {
                scope = scope.with(Variable::Results, Cow::Borrowed(results));
            }
        }
        (Body::Chains(chains), Part::Stage { chain, .. }) => {
            scope = scope.with(Variable::Previous, Cow::Borrowed(&chains[chain].previous));
        }
        _ => {}
    }
    template.evaluate(&scope).map_err(|error| error.to_string())
}

impl State {
    /// When the run that a step stands for has to end at the latest.
    pub(super) fn end_of_child(&self, plan: &Plan, step: usize) -> Timestamp {
        self.end_of_step(plan, step).into_iter().chain(self.end_of_time()).min().unwrap_or(Timestamp::MAX)
    }

    /// When the run has to end at the latest, as far as that is known.
    fn end_of_time(&self) -> Option<Timestamp> {
        if self.is_paused() {
            return None;
        }
        self.compensation.as_ref().map(|compensation| compensation.deadline).or_else(|| self.end_of_run())
    }

    /// Whether a failure keeps further steps from starting.
    pub(super) fn is_stopping(&self, plan: &Plan) -> bool {
        !self.failed.is_empty() && plan.definition.on_failure != FailurePolicy::Continue
    }
}
