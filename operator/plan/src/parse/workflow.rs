//! A Workflow as the engine's definition: fields are read here, and what holds between them is checked by the engine.

mod approval;
mod auto;
mod gate;
mod hand_over;
mod map;
mod repeated;
mod schedule;
mod steps;
#[cfg(test)]
mod tests;
mod trigger;

pub use auto::plan_timeouts;
pub use schedule::Scheduled;
pub use steps::{TASK_TIMEOUT, tasks};
pub use trigger::Kind as TriggerKind;

use std::{collections::BTreeMap, time::Duration};

use kube_core::ResourceExt;
use serde_json::Value;
use tetrarch_core::workflow::{
    definition::{AgentSelector, Definition, FailurePolicy, UnknownPolicy},
    graph,
};
use tetrarch_crds::{
    Workflow,
    shared::DurationText,
    workflow::{
        self as written, FailurePolicy as WrittenPolicy, Parameter, StartPolicy, UnknownPolicy as WrittenUnknown,
        WorkflowSpec,
    },
};

use crate::{
    duration,
    parse::{at_least, object_name, orchestrator},
    violation::{Violation, Violations},
};

/// The definition, or everything that is wrong with it. Relations between steps are only checked when every single field is
/// right: half a definition would be blamed for what is missing from it.
pub fn definition(object: &Workflow) -> Result<Definition, Vec<Violation>> {
    let mut violations = Violations::default();
    let spec = &object.spec;
    let name = object_name(object, &mut violations);
    let timeout = optional_duration("spec.timeout", spec.timeout.as_ref(), &mut violations);
    let parameters = parameters(&spec.parameters, spec.start, &mut violations);
    schedule::schedule(spec, &mut violations);
    trigger::triggers(&object.name_any(), spec, &mut violations);
    let keep_runs = at_least("spec.keepRuns", spec.keep_runs, 1, &mut violations);
    let keep_runs_for = optional_duration("spec.keepRunsFor", spec.keep_runs_for.as_ref(), &mut violations);
    let keep_outputs_for = keep_outputs_for(spec, keep_runs_for, &mut violations);
    let weight = at_least("spec.weight", spec.weight, 1, &mut violations);
    let max_concurrent_runs =
        spec.max_concurrent_runs.and_then(|runs| at_least("spec.maxConcurrentRuns", runs, 1, &mut violations));
    let steps = steps::steps(spec, &mut violations);
    let definition = || {
        Some(Definition {
            workflow: name?,
            generation: object.metadata.generation.unwrap_or_default(),
            class: orchestrator::class(spec.priority),
            timeout,
            on_failure: match spec.on_failure {
                WrittenPolicy::Stop => FailurePolicy::Stop,
                WrittenPolicy::Continue => FailurePolicy::Continue,
                WrittenPolicy::Compensate => FailurePolicy::Compensate,
            },
            on_unknown: match spec.on_unknown {
                WrittenUnknown::Fail => UnknownPolicy::Fail,
                WrittenUnknown::Ask => UnknownPolicy::Ask,
            },
            parameters,
            steps: steps?,
            output: spec.output.as_ref().map(|output| output.0.clone()),
            keep_runs: keep_runs?,
            keep_runs_for,
            keep_outputs_for,
            weight: weight?,
            max_concurrent_runs,
        })
    };
    let definition = definition();
    let definition = violations.finish(definition)?;
    let mut violations = Violations::default();
    for found in graph::validate(&definition) {
        violations.add(found.field, format!("{}: {}", found.message, found.remedy));
    }
    violations.finish(Some(definition))
}

/// The schedule of a Workflow whose definition was read.
pub fn schedule(object: &Workflow) -> Option<Scheduled> {
    schedule::schedule(&object.spec, &mut Violations::default())
}

/// The triggers of a Workflow whose definition was read, each with its place in the list.
pub fn triggers(object: &Workflow) -> Vec<(usize, TriggerKind)> {
    trigger::triggers(&object.name_any(), &object.spec, &mut Violations::default())
}

fn parameters(
    written: &[Parameter],
    start: StartPolicy,
    violations: &mut Violations,
) -> BTreeMap<String, Option<Value>> {
    let mut parameters = BTreeMap::new();
    for (index, parameter) in written.iter().enumerate() {
        let value = parameter.value.as_ref().map(|value| value.0.clone());
        if value.is_none() && start == StartPolicy::OnApply {
            violations.add(
                format!("spec.parameters[{index}].value"),
                "is missing, and a run that starts on apply is given no values: write a value, or spec.start: OnRequest",
            );
        }
        if parameters.insert(parameter.name.clone(), value).is_some() {
            let path = format!("spec.parameters[{index}].name");
            violations.add(path, format!("{:?} is listed twice: write each parameter once", parameter.name));
        }
    }
    parameters
}

fn optional_duration(path: &str, written: Option<&DurationText>, violations: &mut Violations) -> Option<Duration> {
    violations.check(path, duration::parse_positive(&written?.0))
}

/// How long outputs are kept: not longer than the runs that they are of.
fn keep_outputs_for(
    spec: &WorkflowSpec,
    keep_runs_for: Option<Duration>,
    violations: &mut Violations,
) -> Option<Duration> {
    let path = "spec.keepOutputsFor";
    let written = &spec.keep_outputs_for.as_ref()?.0;
    let keep = violations.check(path, duration::parse_from_zero(written))?;
    if let (Some(runs), Some(of_runs)) = (keep_runs_for, &spec.keep_runs_for)
        && keep > runs
    {
        let most = &of_runs.0;
        violations.add(
            path,
            format!("{written:?} is longer than spec.keepRunsFor, with which the outputs go as well: write at most {most}, or keep the runs longer"),
        );
    }
    Some(keep)
}

/// What the tasks ask for, or may be handed to, each with the path of its field.
pub fn selectors(object: &Workflow) -> Vec<(String, AgentSelector)> {
    let mut found = Vec::new();
    for (path, task) in tasks(&object.spec.steps) {
        found.extend(of_agent(&path, &task.agent));
        let named = task.hand_over.iter().flat_map(|hand_over| &hand_over.to).enumerate();
        found.extend(named.filter_map(|(index, name)| {
            Some((format!("{path}.handOver.to[{index}]"), AgentSelector::Capability(name.parse().ok()?)))
        }));
    }
    found.extend(auto::selectors(&object.spec.steps));
    found
}

/// What a task asks for, with the path of its field.
fn of_agent(path: &str, agent: &written::AgentSelector) -> Option<(String, AgentSelector)> {
    let (field, selector) = match (&agent.pool, &agent.capability) {
        (Some(pool), None) => ("pool", AgentSelector::Pool(pool.parse().ok()?)),
        (None, Some(capability)) => ("capability", AgentSelector::Capability(capability.parse().ok()?)),
        _ => return None,
    };
    Some((format!("{path}.agent.{field}"), selector))
}
