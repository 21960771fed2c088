//! Steps and tasks: exactly one kind for each step, one selector for each task, durations, numbers.

use std::time::Duration;

use serde_json::Value;
use tetrarch_core::workflow::{
    child::SubWorkflow,
    definition::{AgentSelector, Branch, Gather, Late, Retry, ScatterStep, Stage, Step, StepKind, Task, Wait},
};
use tetrarch_crds::{shared::DurationText, workflow as written};

use super::{approval::approval, auto, gate, hand_over, map, optional_duration, repeated};
use crate::{
    duration,
    parse::{at_least, name},
    violation::Violations,
};

/// Longest time of one attempt when a task does not say.
pub const TASK_TIMEOUT: Duration = Duration::from_mins(1);

/// All steps, or none when one could not be read.
pub fn steps(spec: &written::WorkflowSpec, violations: &mut Violations) -> Option<Vec<Step>> {
    gate::check_schemas(&spec.schemas, violations);
    all(&spec.steps, "spec.steps", violations, |written, path, violations| {
        step(written, &spec.schemas, path, violations)
    })
}

/// Every task with its path, wherever in a step it stands.
pub fn tasks(steps: &[written::Step]) -> impl Iterator<Item = (String, &written::Task)> {
    steps.iter().enumerate().flat_map(|(index, step)| {
        let path = format!("spec.steps[{index}]");
        let mut found: Vec<(String, &written::Task)> = Vec::new();
        if let Some(task) = &step.task {
            found.push((format!("{path}.task"), task));
        }
        if let Some(gate) = &step.gate {
            found.extend(gate.judge.as_ref().map(|judge| (format!("{path}.gate.judge.task"), &judge.task)));
            found.extend(gate.fallback.as_ref().map(|task| (format!("{path}.gate.fallback"), task)));
        }
        found.extend(step.compensate.as_ref().map(|task| (format!("{path}.compensate"), task)));
        if let Some(map) = &step.map {
            found.push((format!("{path}.map.task"), &map.task));
            found.extend(map.reduce.task.as_ref().map(|task| (format!("{path}.map.reduce.task"), task)));
        }
        if let Some(parallel) = &step.parallel {
            for (at, branch) in parallel.branches.iter().enumerate() {
                found.extend(stage_tasks(format!("{path}.parallel.branches[{at}].stages"), &branch.stages));
            }
        }
        if let Some(pipeline) = &step.pipeline {
            found.extend(stage_tasks(format!("{path}.pipeline.stages"), &pipeline.stages));
        }
        found.extend(step.scatter.as_ref().map(|scatter| (format!("{path}.scatter.task"), &scatter.task)));
        found.extend(step.r#loop.as_ref().map(|repeated| (format!("{path}.loop.task"), &repeated.task)));
        found
    })
}

fn stage_tasks(path: String, stages: &[written::Stage]) -> impl Iterator<Item = (String, &written::Task)> {
    stages.iter().enumerate().map(move |(index, stage)| (format!("{path}[{index}].task"), &stage.task))
}

/// Reads every element, also after one that could not be read, so that all violations are found at once.
pub(super) fn all<W, T>(
    list: &[W],
    path: &str,
    violations: &mut Violations,
    read: impl Fn(&W, &str, &mut Violations) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = list
        .iter()
        .enumerate()
        .map(|(index, element)| read(element, &format!("{path}[{index}]"), violations))
        .collect();
    read.into_iter().collect()
}

fn step(
    step: &written::Step,
    schemas: &[written::HandoffSchema],
    path: &str,
    violations: &mut Violations,
) -> Option<Step> {
    let name_read = name(&format!("{path}.name"), &step.name, violations);
    let after =
        all(&step.after, &format!("{path}.after"), violations, |text, path, violations| name(path, text, violations));
    let timeout = optional_duration(&format!("{path}.timeout"), step.timeout.as_ref(), violations);
    let kind = kind(step, path, violations);
    let compensate = match &step.compensate {
        Some(written) => Some(task(written, &format!("{path}.compensate"), violations)?),
        None => None,
    };
    let gate = match &step.gate {
        Some(written) => Some(gate::read(written, step, schemas, &format!("{path}.gate"), violations)?),
        None => None,
    };
    if step.approval.is_some() && step.timeout.is_some() {
        violations.add(format!("{path}.timeout"), "an approval has a time of its own: write approval.timeout instead");
    }
    Some(Step { name: name_read?, after: after?, when: step.when.clone(), timeout, kind: kind?, gate, compensate })
}

fn kind(step: &written::Step, path: &str, violations: &mut Violations) -> Option<StepKind> {
    let kinds: Vec<&str> = [
        ("task", step.task.is_some()),
        ("map", step.map.is_some()),
        ("parallel", step.parallel.is_some()),
        ("pipeline", step.pipeline.is_some()),
        ("scatter", step.scatter.is_some()),
        ("loop", step.r#loop.is_some()),
        ("wait", step.wait.is_some()),
        ("approval", step.approval.is_some()),
        ("workflow", step.workflow.is_some()),
        ("auto", step.auto.is_some()),
    ]
    .into_iter()
    .filter_map(|(kind, present)| present.then_some(kind))
    .collect();
    if kinds.len() > 1 {
        violations.add(
            path,
            format!("has {}: a step has exactly one kind, split it into {} steps", kinds.join(" and "), kinds.len()),
        );
        return None;
    }
    if let Some(written) = &step.task {
        return task(written, &format!("{path}.task"), violations).map(StepKind::Task);
    }
    if let Some(written) = &step.map {
        return map::read(written, &format!("{path}.map"), violations).map(Box::new).map(StepKind::Map);
    }
    if let Some(written) = &step.parallel {
        let path = format!("{path}.parallel.branches");
        return all(&written.branches, &path, violations, branch).map(StepKind::Parallel);
    }
    if let Some(written) = &step.pipeline {
        return all(&written.stages, &format!("{path}.pipeline.stages"), violations, stage).map(StepKind::Pipeline);
    }
    if let Some(written) = &step.scatter {
        return scatter(written, &format!("{path}.scatter"), violations).map(Box::new).map(StepKind::Scatter);
    }
    if let Some(written) = &step.r#loop {
        return repeated::read(written, &format!("{path}.loop"), violations).map(Box::new).map(StepKind::Loop);
    }
    if let Some(written) = &step.wait {
        return wait(written, &format!("{path}.wait"), violations).map(StepKind::Wait);
    }
    if let Some(written) = &step.approval {
        return approval(written, &format!("{path}.approval"), violations).map(StepKind::Approval);
    }
    if let Some(written) = &step.workflow {
        let read = sub_workflow(written, &format!("{path}.workflow"), violations);
        return read.map(Box::new).map(StepKind::Workflow);
    }
    if let Some(written) = &step.auto {
        return auto::read(written, &format!("{path}.auto"), violations).map(Box::new).map(StepKind::Auto);
    }
    violations.add(
        path,
        "has no kind: write one of task, map, parallel, pipeline, scatter, loop, wait, approval, workflow or auto",
    );
    None
}

fn wait(wait: &written::WaitStep, path: &str, violations: &mut Violations) -> Option<Wait> {
    match (&wait.duration, &wait.until) {
        (Some(duration), None) => {
            optional_duration(&format!("{path}.duration"), Some(duration), violations).map(Wait::For)
        }
        (None, Some(moment)) => Some(Wait::Until(Value::String(moment.clone()))),
        _ => {
            violations.add(path, "needs one end: write either duration, such as 10m, or until, a moment");
            None
        }
    }
}

fn sub_workflow(called: &written::SubWorkflow, path: &str, violations: &mut Violations) -> Option<SubWorkflow> {
    let name = name(&format!("{path}.name"), &called.name, violations);
    let once = written::Retry { limit: 0, ..written::Retry::default() };
    let retry = retry(called.retry.as_ref().unwrap_or(&once), &format!("{path}.retry"), violations);
    let parameters = called.parameters.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    Some(SubWorkflow { name: name?, parameters, retry: retry? })
}

fn branch(branch: &written::Branch, path: &str, violations: &mut Violations) -> Option<Branch> {
    let name = name(&format!("{path}.name"), &branch.name, violations);
    let stages = all(&branch.stages, &format!("{path}.stages"), violations, stage);
    Some(Branch { name: name?, stages: stages? })
}

fn stage(stage: &written::Stage, path: &str, violations: &mut Violations) -> Option<Stage> {
    let name = name(&format!("{path}.name"), &stage.name, violations);
    let task = task(&stage.task, &format!("{path}.task"), violations);
    Some(Stage { name: name?, task: task? })
}

fn scatter(scatter: &written::ScatterStep, path: &str, violations: &mut Violations) -> Option<ScatterStep> {
    let task = task(&scatter.task, &format!("{path}.task"), violations);
    let to = at_least(&format!("{path}.to"), scatter.to, 2, violations);
    let gather = gather(&scatter.gather, &format!("{path}.gather"), violations);
    let late = match scatter.late {
        written::LatePolicy::Withdraw => Late::Withdraw,
        written::LatePolicy::Collect => Late::Collect,
    };
    Some(ScatterStep { task: task?, to: to?, gather: gather?, late })
}

fn gather(gather: &written::Gather, path: &str, violations: &mut Violations) -> Option<Gather> {
    let mut number = |way: &str, written: i32| at_least(&format!("{path}.{way}.atLeast"), written, 1, violations);
    match (&gather.first, &gather.quorum, &gather.best, &gather.weighted, &gather.consensus) {
        (Some(_), None, None, None, None) => Some(Gather::First),
        (None, Some(quorum), None, None, None) => {
            Some(Gather::Quorum { at_least: number("quorum", quorum.at_least)?, compare: quorum.compare.clone() })
        }
        (None, None, Some(best), None, None) => Some(Gather::Best {
            score: best.score.clone(),
            at_least: number("best", best.at_least)?,
            compare: best.compare.clone(),
        }),
        (None, None, None, Some(weighted), None) => Some(Gather::Weighted {
            weight: weighted.weight.clone(),
            at_least: number("weighted", weighted.at_least)?,
            compare: weighted.compare.clone(),
        }),
        (None, None, None, None, Some(consensus)) => Some(Gather::Consensus {
            at_least: number("consensus", consensus.at_least)?,
            compare: consensus.compare.clone(),
        }),
        _ => {
            violations.add(path, "needs one way to gather: write one of first, quorum, best, weighted or consensus");
            None
        }
    }
}

pub(super) fn task(task: &written::Task, path: &str, violations: &mut Violations) -> Option<Task> {
    let agent = selector(&task.agent, &format!("{path}.agent"), violations);
    let timeout = task_timeout(task.timeout.as_ref(), &format!("{path}.timeout"), violations);
    let retry = retry(&task.retry, &format!("{path}.retry"), violations);
    let input = task.input.as_ref().map_or(Value::Null, |input| input.0.clone());
    let hand_over = match &task.hand_over {
        Some(written) => Some(hand_over::read(written, &format!("{path}.handOver"), violations)?),
        None => None,
    };
    Some(Task { agent: agent?, input, timeout: timeout?, retry: retry?, hand_over })
}

pub(super) fn task_timeout(
    written: Option<&DurationText>,
    path: &str,
    violations: &mut Violations,
) -> Option<Duration> {
    match written {
        Some(_) => optional_duration(path, written, violations),
        None => Some(TASK_TIMEOUT),
    }
}

pub(super) fn selector(
    agent: &written::AgentSelector,
    path: &str,
    violations: &mut Violations,
) -> Option<AgentSelector> {
    match (&agent.pool, &agent.capability) {
        (Some(pool), None) => name(&format!("{path}.pool"), pool, violations).map(AgentSelector::Pool),
        (None, Some(capability)) => {
            name(&format!("{path}.capability"), capability, violations).map(AgentSelector::Capability)
        }
        _ => {
            violations.add(
                path,
                "needs one selector: write either pool (an AgentPool by name) or capability (any pool that has it)",
            );
            None
        }
    }
}

pub(super) fn retry(retry: &written::Retry, path: &str, violations: &mut Violations) -> Option<Retry> {
    let limit = at_least(&format!("{path}.limit"), retry.limit, 0, violations);
    let factor = at_least(&format!("{path}.backoff.factor"), retry.backoff.factor, 1, violations);
    let initial =
        violations.check(&format!("{path}.backoff.initial"), duration::parse_up_to_an_hour(&retry.backoff.initial.0));
    let max = violations.check(&format!("{path}.backoff.max"), duration::parse_up_to_an_hour(&retry.backoff.max.0));
    if let (Some(initial), Some(max)) = (initial, max)
        && initial > max
    {
        violations.add(
            format!("{path}.backoff.initial"),
            format!(
                "is {}, longer than max, {}: write an initial that is at most max",
                retry.backoff.initial.0, retry.backoff.max.0
            ),
        );
    }
    Some(Retry { limit: limit?, initial: initial?, factor: factor?, max: max? })
}
