//! Numbers that are held down at run time because a level above was tightened after they were written.

use std::time::Duration;

use tetrarch_core::{
    policy::{Bound, Effective, Limit},
    priority::{Class, ClassLimits},
    workflow::definition::{Definition, StepKind, Task},
};
use tetrarch_protocol::snapshot::WorkflowLimits;

use crate::parse::agent_pool::{Pool, Size};

/// One number that is held down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Its field, such as `spec.scaling.max`.
    pub field: String,
    /// What is written.
    pub from: String,
    /// What holds.
    pub to: String,
    /// The policy that bounds it.
    pub by: String,
}

impl Clamp {
    fn new(field: impl Into<String>, from: &impl ToString, to: &impl ToString, bound: &Bound) -> Self {
        Self { field: field.into(), from: from.to_string(), to: to.to_string(), by: bound.origin().to_string() }
    }
}

impl std::fmt::Display for Clamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is held at {} instead of {} by {}", self.field, self.to, self.from, self.by)
    }
}

/// Holds the size and the concurrency of a pool down, and tells what was changed. Tasks at once in the whole pool bound its
/// agents first; the tasks of one agent only where a single agent would already have too many.
pub fn pool(pool: &mut Pool, effective: &Effective) -> Vec<Clamp> {
    let mut clamps = Vec::new();
    let whole = effective.clamp(Limit::ConcurrentTasks);
    let each = [effective.clamp(Limit::TasksPerAgent), whole].into_iter().flatten().min_by_key(|bound| bound.value());
    if let Some(bound) = each.filter(|bound| u64::from(pool.concurrency) > bound.value()) {
        let to = u32::try_from(bound.value()).unwrap_or(u32::MAX).max(1);
        clamps.push(Clamp::new("spec.concurrency", &pool.concurrency, &to, bound));
        pool.concurrency = to;
    }
    let largest = effective.clamp(Limit::Agents).map(|bound| (bound.value(), bound));
    let shared = whole.map(|bound| (bound.value() / u64::from(pool.concurrency.max(1)), bound));
    let Some((most, bound)) = [largest, shared].into_iter().flatten().min_by_key(|(most, _)| *most) else {
        return clamps;
    };
    let most = i32::try_from(most).unwrap_or(i32::MAX).max(1);
    let mut hold = |field: &str, number: &mut i32| {
        if *number > most {
            clamps.push(Clamp::new(field, number, &most, bound));
            *number = most;
        }
    };
    match &mut pool.size {
        Size::Fixed(replicas) => hold("spec.replicas", replicas),
        Size::Automatic(scaling) => {
            hold("spec.scaling.max", &mut scaling.max);
            hold("spec.scaling.min", &mut scaling.min);
        }
    }
    clamps
}

/// The bounds on the times of a Workflow, and what they hold down of its definition. A run without a time of its own has
/// that of its class.
pub fn workflow(
    definition: &Definition,
    classes: &[ClassLimits],
    effective: &Effective,
) -> (WorkflowLimits, Vec<Clamp>) {
    let time = |bound: &Bound| Duration::from_millis(bound.value());
    let (task, run) = (effective.clamp(Limit::TaskTimeout), effective.clamp(Limit::RunTimeout));
    let limits = WorkflowLimits { task_timeout: task.map(time), run_timeout: run.map(time) };
    let mut clamps = Vec::new();
    let mut hold = |field: String, limit: Limit, written: Duration, bound: &Bound| {
        let millis = u64::try_from(written.as_millis()).unwrap_or(u64::MAX);
        if millis > bound.value() {
            clamps.push(Clamp::new(field, &limit.quantity(millis), &limit.quantity(bound.value()), bound));
        }
    };
    if let Some(bound) = run {
        let of_class = |class: Class| classes.iter().find(|limits| limits.class == class).map(|limits| limits.timeout);
        let written = definition.timeout.or_else(|| of_class(definition.class));
        hold("spec.timeout".to_owned(), Limit::RunTimeout, written.unwrap_or_default(), bound);
    }
    if let Some(bound) = task {
        for (index, step) in definition.steps.iter().enumerate() {
            // Told once for each step, by its longest task.
            if let Some(longest) = tasks(&step.kind).into_iter().map(|task| task.timeout).max() {
                hold(format!("spec.steps[{index}].{}.timeout", place(&step.kind)), Limit::TaskTimeout, longest, bound);
            }
            if let StepKind::Auto(auto) = &step.kind {
                let planner = auto.planner.as_ref().map(|planner| ("planner.timeout", planner.timeout));
                for (field, timeout) in [("taskTimeout", auto.task_timeout)].into_iter().chain(planner) {
                    hold(format!("spec.steps[{index}].auto.{field}"), Limit::TaskTimeout, timeout, bound);
                }
            }
            let gate = step.gate.as_ref();
            let judge = gate.and_then(|gate| gate.judge.as_ref()).map(|judge| ("judge.task", &judge.task));
            let fallback = gate.and_then(|gate| gate.fallback.as_deref()).map(|task| ("fallback", task));
            for (field, task) in judge.into_iter().chain(fallback) {
                hold(format!("spec.steps[{index}].gate.{field}.timeout"), Limit::TaskTimeout, task.timeout, bound);
            }
            if let Some(task) = &step.compensate {
                hold(format!("spec.steps[{index}].compensate.timeout"), Limit::TaskTimeout, task.timeout, bound);
            }
        }
    }
    (limits, clamps)
}

/// Holds down how often tasks may be handed on, in the definition of the runs that begin from now on.
pub fn hand_overs(definition: &mut Definition, effective: &Effective) -> Vec<Clamp> {
    let Some(bound) = effective.clamp(Limit::HandOvers) else { return Vec::new() };
    let most = u32::try_from(bound.value()).unwrap_or(u32::MAX);
    let mut clamps = Vec::new();
    for (index, step) in definition.steps.iter_mut().enumerate() {
        for (path, task) in step.tasks_mut() {
            let Some(hand_over) = task.hand_over.as_mut().filter(|hand_over| hand_over.limit > most) else { continue };
            let field = format!("spec.steps[{index}].{path}.handOver.limit");
            clamps.push(Clamp::new(field, &hand_over.limit, &most, bound));
            hand_over.limit = most;
            if most == 0 {
                task.hand_over = None;
            }
        }
    }
    clamps
}

fn tasks(kind: &StepKind) -> Vec<&Task> {
    use tetrarch_core::workflow::definition::Reduce;
    match kind {
        StepKind::Task(task) => vec![task],
        StepKind::Map(map) => match &map.reduce {
            Reduce::Task(reduce) | Reduce::Tree { task: reduce, .. } => vec![&map.task, reduce],
            _ => vec![&map.task],
        },
        StepKind::Parallel(branches) => {
            branches.iter().flat_map(|branch| &branch.stages).map(|stage| &stage.task).collect()
        }
        StepKind::Scatter(scatter) => vec![&scatter.task],
        StepKind::Loop(repeated) => vec![&repeated.task],
        StepKind::Wait(_) | StepKind::Approval(_) | StepKind::Workflow(_) | StepKind::Auto(_) => Vec::new(),
        StepKind::Pipeline(stages) => stages.iter().map(|stage| &stage.task).collect(),
    }
}

const fn place(kind: &StepKind) -> &'static str {
    match kind {
        StepKind::Task(_) => "task",
        StepKind::Map(_) => "map.task",
        StepKind::Scatter(_) => "scatter.task",
        StepKind::Loop(_) => "loop.task",
        StepKind::Wait(_) => "wait",
        StepKind::Approval(_) => "approval",
        StepKind::Workflow(_) => "workflow",
        StepKind::Auto(_) => "auto",
        StepKind::Parallel(_) => "parallel",
        StepKind::Pipeline(_) => "pipeline",
    }
}
