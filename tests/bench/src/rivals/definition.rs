//! The shapes as workflows, within what the API admits.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use tetrarch_core::{
    id::Name,
    priority::Class,
    workflow::definition::{
        AgentSelector, Branch, Definition, FailurePolicy, Gather, Late, MapStep, Reduce, Retry, ScatterStep, Stage,
        Step, StepKind, Task, UnknownPolicy,
    },
};

use super::shape::Shape;

/// Most stages of a pipeline and branches of a parallel step.
const CHAIN: usize = 32;

/// Most targets of a scatter.
const TARGETS: usize = 100;

/// A workflow of this shape.
pub fn definition(workflow: &str, shape: Shape, width: usize, millis: u64) -> Result<Definition> {
    let task = |fails| task(millis, fails);
    let steps = match shape {
        Shape::Pipeline => chained(parts(width, CHAIN).into_iter().enumerate().map(|(number, length)| {
            Ok((format!("part-{number}").parse()?, StepKind::Pipeline(stages(length, millis)?)))
        }))?,
        Shape::MapReduce => vec![step(
            "map",
            Vec::new(),
            StepKind::Map(Box::new(MapStep {
                items: Value::Array((0..width).map(|number| json!(number)).collect()),
                items_from: None,
                nested: None,
                task: task(false)?,
                max_parallel: u32::try_from(width)?,
                min_success_percent: 100,
                reduce: Reduce::Task(task(false)?),
            })),
        )?],
        Shape::ForkJoin => {
            let mut steps = vec![step("fork", Vec::new(), StepKind::Task(task(false)?))?];
            for (number, branches) in parts(width, CHAIN).into_iter().enumerate() {
                let branches = (0..branches)
                    .map(|branch| Ok(Branch { name: format!("b{branch}").parse()?, stages: stages(1, millis)? }))
                    .collect::<Result<_>>()?;
                steps.push(step(&format!("part-{number}"), vec!["fork".parse()?], StepKind::Parallel(branches))?);
            }
            let parts = steps.iter().skip(1).map(|step| step.name.clone()).collect();
            steps.push(step("join", parts, StepKind::Task(task(false)?))?);
            steps
        }
        Shape::ScatterGather => parts(width, TARGETS)
            .into_iter()
            .enumerate()
            .map(|(number, targets)| {
                let to = u32::try_from(targets)?;
                let scatter = ScatterStep {
                    task: task(false)?,
                    to,
                    gather: Gather::Consensus { at_least: to / 2 + 1, compare: None },
                    late: Late::Collect,
                };
                step(&format!("part-{number}"), Vec::new(), StepKind::Scatter(Box::new(scatter)))
            })
            .collect::<Result<_>>()?,
        Shape::Saga => {
            let mut steps = chained(
                (0..width)
                    .map(|number| Ok((format!("s{number}").parse()?, StepKind::Task(task(number + 1 == width)?)))),
            )?;
            for step in &mut steps {
                step.compensate = Some(task(false)?);
            }
            steps
        }
    };
    Ok(Definition {
        workflow: workflow.parse()?,
        generation: 1,
        class: Class::Normal,
        timeout: None,
        on_failure: if shape == Shape::Saga { FailurePolicy::Compensate } else { FailurePolicy::Stop },
        on_unknown: UnknownPolicy::Fail,
        parameters: BTreeMap::new(),
        steps,
        output: Some(json!("done")),
        keep_runs: 3,
        keep_runs_for: None,
        keep_outputs_for: None,
        weight: tetrarch_core::fairness::WEIGHT,
        max_concurrent_runs: None,
    })
}

/// As few parts as possible that differ by one at most.
fn parts(total: usize, most: usize) -> Vec<usize> {
    let count = total.div_ceil(most).max(1);
    (0..count).map(|part| total / count + usize::from(part < total % count)).collect()
}

/// Steps of which each waits for the one before.
fn chained(kinds: impl Iterator<Item = Result<(Name, StepKind)>>) -> Result<Vec<Step>> {
    let mut before = Vec::new();
    kinds
        .map(|kind| {
            let (name, kind) = kind?;
            let step = step(name.as_str(), std::mem::replace(&mut before, vec![name.clone()]), kind)?;
            Ok(step)
        })
        .collect()
}

fn step(name: &str, after: Vec<Name>, kind: StepKind) -> Result<Step> {
    Ok(Step { name: name.parse()?, after, when: None, timeout: None, kind, gate: None, compensate: None })
}

fn stages(length: usize, millis: u64) -> Result<Vec<Stage>> {
    (0..length).map(|number| Ok(Stage { name: format!("s{number}").parse()?, task: task(millis, false)? })).collect()
}

fn task(millis: u64, fails: bool) -> Result<Task> {
    let second = Duration::from_secs(1);
    Ok(Task {
        agent: AgentSelector::Capability("noop".parse()?),
        input: json!({"millis": millis, "fails": fails}),
        timeout: Duration::from_mins(1),
        retry: Retry { limit: 3, initial: second, factor: 2, max: 30 * second },
        hand_over: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_and_even() {
        assert_eq!(parts(1, 32), [1]);
        assert_eq!(parts(100, 100), [100]);
        assert_eq!(parts(150, 100), [75, 75]);
        assert_eq!(parts(1_000, 32).len(), 32);
        assert_eq!(parts(1_000, 32).iter().sum::<usize>(), 1_000);
    }

    #[test]
    fn what_the_api_admits_is_not_exceeded() {
        for shape in Shape::ALL {
            let width = if shape == Shape::Saga { 64 } else { 1_000 };
            let wide = definition("wide", shape, width, 0).expect("valid names");
            assert!(wide.steps.len() <= 64, "{shape}: {} steps", wide.steps.len());
        }
    }
}
