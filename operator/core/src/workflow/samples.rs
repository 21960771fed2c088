//! Small definitions for tests, built in one line each.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    approval::{Approval, Approver, ApproverKind, TimeoutDecision},
    definition::{
        AgentSelector, Branch, Definition, Exhausted, FailurePolicy, Gate, GateFailure, Gather, Judge, Late, LoopStep,
        MapStep, Nested, Reduce, Retry, ScatterStep, Stage, Step, StepKind, Task, UnknownPolicy,
    },
};
use crate::{id::Name, priority::Class};

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A task with up to two repetitions, after one and two seconds.
pub(super) fn task(input: Value) -> Task {
    Task {
        agent: AgentSelector::Pool(name("pool")),
        input,
        timeout: Duration::from_mins(1),
        retry: Retry { limit: 2, initial: Duration::from_secs(1), factor: 2, max: Duration::from_secs(30) },
        hand_over: None,
    }
}

pub(super) fn once(input: Value) -> Task {
    let mut task = task(input);
    task.retry.limit = 0;
    task
}

pub(super) fn step(of: &str, after: &[&str], kind: StepKind) -> Step {
    Step {
        name: name(of),
        after: after.iter().map(|a| name(a)).collect(),
        when: None,
        timeout: None,
        kind,
        gate: None,
        compensate: None,
    }
}

pub(super) fn task_step(of: &str, after: &[&str]) -> Step {
    step(of, after, StepKind::Task(once(json!({"step": of}))))
}

pub(super) fn map(items: Value, reduce: Reduce) -> MapStep {
    MapStep {
        items,
        items_from: None,
        nested: None,
        task: once(json!("${item}")),
        max_parallel: 2,
        min_success_percent: 100,
        reduce,
    }
}

/// A map over the outputs of another one as they come.
pub(super) fn streamed(from: &str, reduce: Reduce) -> MapStep {
    MapStep { items_from: Some(name(from)), ..map(Value::Null, reduce) }
}

/// A map over the lists that a template makes of the items of another list.
pub(super) fn nested(outer: Value, inner: Value, each: Reduce, reduce: Reduce) -> MapStep {
    MapStep { nested: Some(Nested { items: inner, reduce: each }), ..map(outer, reduce) }
}

pub(super) fn map_step(of: &str, after: &[&str], map: MapStep) -> Step {
    step(of, after, StepKind::Map(Box::new(map)))
}

pub(super) fn scatter(to: u32, gather: Gather, late: Late) -> StepKind {
    StepKind::Scatter(Box::new(ScatterStep { task: once(json!("${index}")), to, gather, late }))
}

/// At once, again and again.
pub(super) fn repeated(input: Value, until: &str, max_iterations: u32) -> LoopStep {
    let (interval, on_exhausted) = (Duration::ZERO, Exhausted::Fail);
    LoopStep { task: once(input), until: until.to_owned(), max_iterations, interval, on_exhausted }
}

/// A gate of one condition.
pub(super) fn holds(expression: &str, on_failure: GateFailure) -> Gate {
    let (schema, schema_name, judge, message, fallback) = (None, None, None, None, None);
    let escalation = (on_failure == GateFailure::Escalate).then(approval);
    let expression = Some(expression.to_owned());
    Gate { schema, schema_name, expression, judge, message, on_failure, escalation, fallback }
}

/// A gate of one judge, who wants 80.
pub(super) fn judged(on_failure: GateFailure) -> Gate {
    let judge = Judge { task: once(json!("${output}")), at_least: 80 };
    Gate { expression: None, judge: Some(Box::new(judge)), ..holds("", on_failure) }
}

pub(super) fn stage(of: &str, input: Value) -> Stage {
    Stage { name: name(of), task: once(input) }
}

pub(super) fn branch(of: &str, stages: Vec<Stage>) -> Branch {
    Branch { name: name(of), stages }
}

/// A question to the group `legal`, for ten seconds, after which the answer is no.
pub(super) fn approval() -> Approval {
    Approval {
        approvers: vec![Approver { kind: ApproverKind::Group, name: "legal".to_owned(), namespace: None }],
        message: None,
        timeout: Duration::from_secs(10),
        on_timeout: TimeoutDecision::Reject,
        require_reason: false,
        reminders_ms: Vec::new(),
    }
}

pub(super) fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        workflow: name("w"),
        generation: 1,
        class: Class::Normal,
        timeout: None,
        on_failure: FailurePolicy::Stop,
        on_unknown: UnknownPolicy::Fail,
        parameters: BTreeMap::new(),
        steps,
        output: None,
        keep_runs: 1,
        keep_runs_for: None,
        keep_outputs_for: None,
        weight: crate::fairness::WEIGHT,
        max_concurrent_runs: None,
    }
}
