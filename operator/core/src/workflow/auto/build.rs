//! A plan as a definition, which is run and checked like any other.
//!
//! What comes from the text, or from a planner, goes into parameters and never into expressions: `${…}` in a text stays what
//! it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{AutoStep, List, Planned, PlannedStep};
use crate::{
    id::Name,
    workflow::definition::{
        AgentSelector, Definition, FailurePolicy, Gather, Late, MapStep, Reduce, ScatterStep, Step, StepKind, Task,
    },
};

/// Parameters of a plan's run: the text, the inputs, and the instructions of the steps in their order.
pub const PARAMETERS: [&str; 3] = ["text", "inputs", "instructions"];

/// The definition of a run of the plan, below a run of `parent`. A run of it stops at the first failure, or undoes what was done when the
/// plan says how; its output is that of its last step, or those of its last steps by name.
pub fn definition(planned: &Planned, step: &AutoStep, parent: &Definition) -> Definition {
    let steps: Vec<Step> =
        planned.steps.iter().enumerate().map(|(index, planned)| build_step(index, planned, step)).collect();
    let is_last = |step: &&PlannedStep| !planned.steps.iter().any(|other| other.after.contains(&step.name));
    let mut last = planned.steps.iter().filter(is_last);
    let output = match (last.next(), last.next()) {
        (Some(only), None) => Some(output_of(&only.name)),
        _ => None,
    };
    let has_undo = steps.iter().any(|step| step.compensate.is_some());
    Definition {
        timeout: None,
        on_failure: if has_undo { FailurePolicy::Compensate } else { FailurePolicy::Stop },
        parameters: PARAMETERS.into_iter().map(|name| (name.to_owned(), None)).collect::<BTreeMap<_, _>>(),
        steps,
        output,
        max_concurrent_runs: None,
        ..parent.clone()
    }
}

fn build_step(index: usize, planned: &PlannedStep, auto: &AutoStep) -> Step {
    let task = build_task(&planned.capability, input(index, planned, auto), auto);
    let is_task = planned.for_each.is_none() && planned.votes.is_none();
    let undo = planned.undone_by.as_ref().filter(|_| is_task).map(|undone_by| {
        let input = json!({
            "instruction": format!("${{'Undo: ' + params.instructions[{index}]}}"),
            "result": output_of(&planned.name),
            "run": "${run.id}",
        });
        build_task(undone_by, input, auto)
    });
    let kind = match (&planned.for_each, planned.votes) {
        (Some(list), _) => StepKind::Map(Box::new(MapStep {
            items: match list {
                List::Input(name) => input_of(name),
                List::Step(name) => output_of(name),
            },
            items_from: None,
            nested: None,
            task,
            max_parallel: auto.max_parallel,
            min_success_percent: 100,
            reduce: Reduce::Collect,
        })),
        (None, Some(votes)) => StepKind::Scatter(Box::new(ScatterStep {
            task,
            to: votes,
            gather: Gather::Consensus { at_least: votes / 2 + 1, compare: None },
            late: Late::Withdraw,
        })),
        (None, None) => StepKind::Task(task),
    };
    Step {
        name: planned.name.clone(),
        after: planned.after.clone(),
        when: None,
        timeout: None,
        kind,
        gate: None,
        compensate: undo,
    }
}

fn build_task(capability: &Name, input: Value, auto: &AutoStep) -> Task {
    let agent = AgentSelector::Capability(capability.clone());
    Task { agent, input, timeout: auto.task_timeout, retry: auto.retry, hand_over: None }
}

fn input(index: usize, planned: &PlannedStep, auto: &AutoStep) -> Value {
    // One item does not need the whole list.
    let list = planned.for_each.as_ref();
    let others = auto.inputs.keys().filter(|name| !matches!(list, Some(List::Input(list)) if list == *name));
    let inputs: Map<String, Value> = others.map(|name| (name.clone(), input_of(name))).collect();
    let before = planned.after.iter().filter(|name| !matches!(list, Some(List::Step(list)) if list == *name));
    let results: Map<String, Value> = before.map(|name| (name.to_string(), output_of(name))).collect();
    let mut input = json!({
        "instruction": format!("${{params.instructions[{index}]}}"),
        "text": "${params.text}",
        "inputs": inputs,
        "results": results,
    });
    if list.is_some() {
        input["item"] = Value::String("${item}".to_owned());
    }
    input
}

fn input_of(name: &str) -> Value {
    Value::String(format!("${{params.inputs['{name}']}}"))
}

fn output_of(step: &Name) -> Value {
    Value::String(format!("${{steps['{step}'].output}}"))
}
