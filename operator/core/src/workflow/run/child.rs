//! Steps that stand for runs of other workflows.
//!
//! Such a step is one task whose agent is a run: its attempts are begun by an event instead of a dispatch, and end with a result
//! like any other. Which runs are awaited follows from the state alone, so whoever owns the run can begin, cancel and answer for
//! them at any time, any number of times: their ids and the places of their results are fixed, and each is written once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Run, auto,
    next::{self, Memo},
    plan::Plan,
    state::{Part, State, Status, TaskKey, TaskState},
    step::Fold,
};
use crate::{
    id::{Name, RunId, TaskPath},
    workflow::{
        child::{MAX_PARAMETERS, Parent, SubWorkflow, refusal, too_deep},
        definition::StepKind,
        journal::RunEvent,
    },
};

/// A run that a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child<'r> {
    /// Its id.
    pub run: RunId,
    /// Its workflow.
    pub workflow: &'r Name,
    /// The step.
    pub step: &'r Name,
    /// The attempt of the step.
    pub attempt: u32,
    /// It has to end before this time.
    pub deadline: Timestamp,
    /// Whether its work is wanted; otherwise it is only waited for.
    pub is_wanted: bool,
}

impl Child<'_> {
    /// The place of its result in the run that waits.
    pub fn path(&self) -> TaskPath {
        TaskPath::of_step(self.step)
    }
}

impl Run {
    /// The same run as part of another one.
    #[must_use]
    pub fn under(mut self, parent: Option<Parent>) -> Self {
        self.state.parent = parent;
        self
    }

    /// The step of another run that this one works for.
    pub fn parent(&self) -> Option<&Parent> {
        self.state.parent.as_ref()
    }

    /// The runs that it waits for; none after its end.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        let is_open = self.state.finished.is_none() && !self.state.steps.is_empty();
        self.plan.sub_workflows.iter().filter(move |_| is_open).filter_map(|&step| self.child(step))
    }

    fn child(&self, step: usize) -> Option<Child<'_>> {
        let key = TaskKey { step, part: Part::Only };
        let called = self.plan.sub_workflow(step)?;
        let TaskState { status: Status::InFlight(_), attempt, .. } = self.state.task(key)? else { return None };
        Some(Child {
            deadline: self.state.end_of_child(&self.plan, step),
            is_wanted: self.state.compensation.is_none()
                && self.state.cancelled.is_none()
                && !self.state.failed.contains(&step),
            ..self.unwanted_child(step, called, *attempt)
        })
    }

    /// The runs that it was waiting for when it ended, or their steps did, and of whose ends it has not heard. When it is opened
    /// again, others are begun in their places.
    pub fn left_children(&self) -> impl Iterator<Item = Child<'_>> {
        let is_left = self.state.finished.is_some() && !self.state.steps.is_empty();
        self.plan.sub_workflows.iter().filter(move |_| is_left).filter_map(|&step| {
            let called = self.plan.sub_workflow(step)?;
            let task = self.state.left_body(step)?.task(Part::Only)?;
            matches!(task.status, Status::InFlight(_)).then(|| self.unwanted_child(step, called, task.attempt))
        })
    }

    fn unwanted_child<'r>(&'r self, step: usize, called: &'r SubWorkflow, attempt: u32) -> Child<'r> {
        let name = self.plan.name(step);
        Child {
            run: RunId::of_child(&called.name, &self.id, name, attempt),
            workflow: &called.name,
            step: name,
            attempt,
            deadline: Timestamp::MAX,
            is_wanted: false,
        }
    }

    /// The parameters that a run it waits for is given; the same whenever they are asked for.
    pub fn parameters_of(&self, child: &Child<'_>) -> Result<BTreeMap<String, Value>, String> {
        let step = self.plan.step(child.step.as_str()).ok_or("there is no such step")?;
        parameters(&self.plan, &self.state, step)
    }

    /// What a run it waits for has to know of it.
    pub fn as_parent_of(&self, child: &Child<'_>) -> Parent {
        let above = self.parent().into_iter().flat_map(|parent| &parent.lineage);
        Parent {
            run: self.id.clone(),
            step: child.step.clone(),
            attempt: child.attempt,
            lineage: above.chain([&self.plan.definition.workflow]).cloned().collect(),
        }
    }

    /// The run that a step stands for, or stood for last.
    pub(super) fn run_of_step(&self, step: usize) -> Option<RunId> {
        let called = self.plan.sub_workflow(step)?;
        let attempt = self.state.steps.get(step)?.last_attempt;
        (attempt > 0).then(|| RunId::of_child(&called.name, &self.id, self.plan.name(step), attempt))
    }
}

impl Plan {
    /// What a step asks for that stands for a run.
    pub(super) fn sub_workflow(&self, step: usize) -> Option<&SubWorkflow> {
        match &self.definition.steps.get(step)?.kind {
            StepKind::Workflow(called) => Some(called),
            StepKind::Auto(_) => Some(&self.auto_plan(step)?.called),
            _ => None,
        }
    }

    /// Whether the task is a run, which no queue holds.
    pub(super) fn is_run(&self, key: TaskKey) -> bool {
        key.part == Part::Only && self.sub_workflow(key.step).is_some()
    }
}

impl Fold<'_> {
    pub(super) fn child_started(&mut self, step: &Name, attempt: u32) -> bool {
        let Some(step) = self.plan.step(step.as_str()) else { return false };
        let is_called = self.plan.sub_workflow(step).is_some();
        is_called && self.dispatched(&TaskPath::of_step(self.plan.name(step)), attempt, self.plan.name(step))
    }
}

/// The event that begins the next attempt, or why there can be none.
pub(super) fn start(plan: &Plan, state: &State, memo: &Memo, key: TaskKey) -> Option<Result<RunEvent, String>> {
    let called = plan.sub_workflow(key.step)?;
    let task @ TaskState { status: Status::Due(_), .. } = state.task(key)? else { return None };
    if memo.is_failing(key.step) {
        return None;
    }
    let lineage = state.parent.as_ref().map_or(&[][..], |parent| &parent.lineage);
    let (refused, field) = match plan.auto(key.step) {
        // A plan is below its own Workflow, and begins no further runs.
        Some(_) => (too_deep(lineage, &plan.definition.workflow, plan.name(key.step)), "auto"),
        None => (refusal(lineage, &plan.definition.workflow, &called.name), "workflow.parameters"),
    };
    if let Some(reason) = refused {
        return Some(Err(reason));
    }
    if let Err(reason) = parameters(plan, state, key.step) {
        return Some(Err(format!("{field}: {reason}")));
    }
    let (step, attempt) = (plan.name(key.step).clone(), state.next_attempt(task));
    let run = RunId::of_child(&called.name, &plan.id, &step, attempt);
    Some(Ok(RunEvent::ChildStarted { step, attempt, run }))
}

fn parameters(plan: &Plan, state: &State, step: usize) -> Result<BTreeMap<String, Value>, String> {
    let parameters = match plan.auto(step) {
        Some(_) => auto::parameters(plan, state, step)?,
        None => next::input(plan, state, TaskKey { step, part: Part::Only })?,
    };
    let Value::Object(parameters) = parameters else { return Err("they are no object".to_owned()) };
    let size = serde_json::to_vec(&parameters).map_or(0, |text| text.len());
    if size > MAX_PARAMETERS {
        return Err(format!("they have {size} bytes as JSON: give the run at most {MAX_PARAMETERS}"));
    }
    Ok(parameters.into_iter().collect())
}
