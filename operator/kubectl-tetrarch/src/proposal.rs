//! Turns a goal that was taken apart into the Workflow that people read, check and apply.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value, json};
use tetrarch_core::decompose::{Decomposition, Over, Pattern, PlannedStep};
use tetrarch_plan::names;

#[cfg(test)]
mod tests;

/// Where the Workflow is to live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// Name of the Workflow.
    pub name: &'p str,
    /// Its namespace.
    pub namespace: &'p str,
    /// Its Supervisor; none where the hierarchy has one only.
    pub supervisor: Option<&'p str>,
}

/// The manifest of a plan.
pub fn manifest(plan: &Decomposition, inputs: &BTreeMap<String, Value>, place: Place<'_>) -> Value {
    let pattern = plan.recommendation.pattern;
    let steps = match pattern {
        Pattern::Pipeline => json!([{"name": "pipeline", "pipeline": {"stages": stages(plan, inputs)}}]),
        Pattern::ForkJoin => json!([{"name": "branches", "parallel": {"branches": branches(plan, inputs)}}]),
        Pattern::Task | Pattern::MapReduce | Pattern::ScatterGather | Pattern::Saga | Pattern::Dag => {
            plan.steps.iter().map(|step| graph_step(plan, step, inputs)).collect()
        }
    };
    let mut spec = Map::new();
    if let Some(supervisor) = place.supervisor {
        spec.insert("supervisorRef".to_owned(), json!({"name": supervisor}));
    }
    if !inputs.is_empty() {
        let parameters: Value = inputs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        spec.insert("parameters".to_owned(), parameters);
    }
    if pattern == Pattern::Saga {
        spec.insert("onFailure".to_owned(), json!("Compensate"));
    }
    spec.insert("steps".to_owned(), steps);
    json!({
        "apiVersion": format!("{}/{}", tetrarch_crds::GROUP, tetrarch_crds::VERSION),
        "kind": "Workflow",
        "metadata": {
            "name": place.name,
            "namespace": place.namespace,
            "annotations": {
                (names::ANNOTATION_PLANNED_PATTERN): pattern.as_str(),
                (names::ANNOTATION_PLANNED_COMPLEXITY): plan.complexity.as_str(),
            },
        },
        "spec": spec,
    })
}

/// What a reader has to know of a plan, line by line.
pub fn explanation(plan: &Decomposition) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{} work: {}.", plan.complexity.as_str(), plan.evidence.join(", "));
    let _ = writeln!(text, "Pattern {}: {}.", plan.recommendation.pattern.as_str(), plan.recommendation.reason);
    for (number, level) in plan.levels.iter().enumerate() {
        let steps: Vec<String> = level.iter().map(|step| told(plan, &plan.steps[*step])).collect();
        let _ = writeln!(text, "Level {}: {}.", number + 1, steps.join("; "));
    }
    for note in &plan.notes {
        let _ = writeln!(text, "Look at this: {note}.");
    }
    text
}

fn told(plan: &Decomposition, step: &PlannedStep) -> String {
    let over = match &step.over {
        Some(Over::Input(name)) => format!(", for each of {name}"),
        Some(Over::Step(before)) => format!(", for each result of {}", plan.steps[*before].name),
        None => String::new(),
    };
    let votes = step.votes.map_or(String::new(), |votes| format!(", by {votes} agents that agree"));
    let undone = step.undone_by.as_ref().map_or(String::new(), |by| format!(", undone by {by}"));
    format!("{} ({}){over}{votes}{undone}", step.name, step.instruction)
}

/// A step of a graph.
fn graph_step(plan: &Decomposition, step: &PlannedStep, inputs: &BTreeMap<String, Value>) -> Value {
    let mut made = Map::new();
    made.insert("name".to_owned(), json!(step.name));
    if !step.after.is_empty() {
        let after: Vec<&str> = step.after.iter().map(|before| plan.steps[*before].name.as_str()).collect();
        made.insert("after".to_owned(), json!(after));
    }
    let mut input = instruction(step);
    let is_of_item = step.over.is_some();
    // An item of a list needs no copy of the lists.
    for name in inputs.iter().filter(|(_, value)| !is_of_item || !value.is_array()).map(|(name, _)| name) {
        input.insert(name.clone(), json!(format!("${{params.{name}}}")));
    }
    if !is_of_item && !step.after.is_empty() {
        let results: Map<String, Value> = step
            .after
            .iter()
            .map(|before| &plan.steps[*before].name)
            .map(|name| (name.to_string(), output_of(name.as_str())))
            .collect();
        input.insert("results".to_owned(), Value::Object(results));
    }
    let agent = json!({"capability": step.capability});
    if let Some(over) = &step.over {
        let items = match over {
            Over::Input(name) => json!(format!("${{params.{name}}}")),
            Over::Step(before) => output_of(plan.steps[*before].name.as_str()),
        };
        input.insert("item".to_owned(), json!("${item}"));
        made.insert("map".to_owned(), json!({"items": items, "task": {"agent": agent, "input": input}}));
    } else if let Some(votes) = step.votes {
        let gather = json!({"consensus": {"atLeast": votes / 2 + 1}});
        let task = json!({"agent": agent, "input": input});
        made.insert("scatter".to_owned(), json!({"to": votes, "task": task, "gather": gather}));
    } else {
        made.insert("task".to_owned(), json!({"agent": agent, "input": input}));
        if let Some(undone_by) = step.undone_by.as_ref().filter(|_| plan.recommendation.pattern == Pattern::Saga) {
            let undo = json!({"instruction": format!("Undo: {}", escaped(&step.instruction)), "run": "${run.id}"});
            made.insert("compensate".to_owned(), json!({"agent": {"capability": undone_by}, "input": undo}));
        }
    }
    Value::Object(made)
}

/// The steps as stages that hand their outputs on.
fn stages(plan: &Decomposition, inputs: &BTreeMap<String, Value>) -> Value {
    let stage = |(at, step): (usize, &PlannedStep)| {
        let mut task = plain_task(step, inputs);
        if at > 0 {
            task["input"]["previous"] = json!("${previous}");
        }
        json!({"name": step.name, "task": task})
    };
    plan.steps.iter().enumerate().map(stage).collect()
}

/// The steps as branches of one stage each.
fn branches(plan: &Decomposition, inputs: &BTreeMap<String, Value>) -> Value {
    let branch = |step: &PlannedStep| json!({"name": step.name, "stages": [{"name": step.name, "task": plain_task(step, inputs)}]});
    plan.steps.iter().map(branch).collect()
}

fn plain_task(step: &PlannedStep, inputs: &BTreeMap<String, Value>) -> Value {
    let mut input = instruction(step);
    for name in inputs.keys() {
        input.insert(name.clone(), json!(format!("${{params.{name}}}")));
    }
    json!({"agent": {"capability": step.capability}, "input": input})
}

fn instruction(step: &PlannedStep) -> Map<String, Value> {
    Map::from_iter([("instruction".to_owned(), json!(escaped(&step.instruction)))])
}

/// Text that a template leaves as it is.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

fn output_of(step: &str) -> Value {
    json!(format!("${{steps['{step}'].output}}"))
}
