//! Random definitions for a simulation.

use std::time::Duration;

use serde_json::{Map, json};

use super::{decomposed, handed, judged, maps, repeated, world::Random};
use crate::workflow::{
    approval::{Approval, TimeoutDecision},
    child::SubWorkflow,
    definition::{
        Definition, FailurePolicy, Gate, GateFailure, Gather, Late, ScatterStep, Step, StepKind, Task, UnknownPolicy,
        Wait,
    },
    samples::{approval, branch, definition, holds, map, map_step, name, once, stage, step},
};

pub(super) fn random_definition(random: &mut Random) -> Definition {
    let count = 1 + random.below(8);
    let mut steps: Vec<Step> = Vec::new();
    for index in 0..count {
        let after: Vec<String> =
            steps.iter().filter(|_| random.is(40)).map(|step| step.name.as_str().to_owned()).collect();
        let mut made =
            step(&format!("s{index}"), &after.iter().map(String::as_str).collect::<Vec<_>>(), random_kind(random));
        made.when = match random.below(10) {
            0 => Some("false".to_owned()),
            1 => after.first().map(|before| format!("steps.{before}.phase == 'Succeeded'")),
            _ => None,
        };
        made.timeout = random.is(10).then(|| Duration::from_secs(5));
        if matches!(made.kind, StepKind::Approval(_)) {
            made.timeout = None;
        } else if random.is(10) {
            made.gate = Some(random_gate(random));
        } else if !matches!(made.kind, StepKind::Wait(_)) && random.is(20) {
            judged::judge_step(random, &mut made);
            judged::can_be_repeated(&mut made);
        }
        // One step asks people about one thing only.
        if let (StepKind::Auto(auto), Some(_)) = (&mut made.kind, &made.gate) {
            auto.approval = None;
        }
        steps.push(made);
    }
    let mut made = definition(steps);
    made.on_failure = match random.below(3) {
        0 => FailurePolicy::Stop,
        1 => FailurePolicy::Continue,
        _ => FailurePolicy::Compensate,
    };
    if made.on_failure == FailurePolicy::Continue {
        made.steps.iter_mut().for_each(judged::undo_nothing);
    }
    if made.on_failure == FailurePolicy::Compensate || made.steps.iter().any(judged::undoes) {
        for step in &mut made.steps {
            if matches!(step.kind, StepKind::Task(_)) && random.is(80) {
                let mut task = once(json!({"undo": format!("${{steps.{}.phase}}", step.name)}));
                task.retry.limit = u32::try_from(random.below(3)).unwrap();
                step.compensate = Some(task);
            }
            // Half of the steps fail at their first failure, so that many runs are lost half way.
            if let StepKind::Task(task) = &mut step.kind
                && random.is(50)
            {
                task.retry.limit = 0;
            }
            judged::can_be_repeated(step);
        }
        if made.steps.iter().all(|step| step.compensate.is_none()) {
            made.on_failure = FailurePolicy::Stop;
            made.steps.iter_mut().for_each(judged::undo_nothing);
        }
    }
    // Without draws of its own, so that the seeds of the other tests stay what they are.
    let mut own = random.clone();
    own.below(1);
    maps::stream(&mut own, &mut made);
    maps::nest(&mut own, &mut made);
    handed::allow(&mut random.clone(), &mut made);
    if random.clone().is(30) {
        made.on_unknown = UnknownPolicy::Ask;
    }
    made
}

fn random_kind(random: &mut Random) -> StepKind {
    let stages = |random: &mut Random| {
        (0..=random.below(3))
            .map(|index| {
                let mut stage = stage(&format!("t{index}"), json!({"before": "${previous}"}));
                stage.task.retry = random_task(random).retry;
                stage
            })
            .collect()
    };
    match random.below(17) {
        15 if random.clone().is(50) => decomposed::random_auto(random),
        15 => StepKind::Workflow(Box::new(SubWorkflow {
            name: name("other"),
            parameters: Map::from_iter([("run".to_owned(), json!("${run.id}"))]),
            retry: random_task(random).retry,
        })),
        16.. => repeated::random_loop(random),
        13..15 => StepKind::Approval(random_question(random)),
        12 => StepKind::Wait(Wait::For(Duration::from_millis(random.below(3_000) as u64))),
        0..4 => StepKind::Task(random_task(random)),
        10..12 => random_scatter(random),
        4..8 => {
            let (items, reduce) = maps::random_items(random);
            let mut of_items = map(items, reduce);
            of_items.task = random_task(random);
            of_items.max_parallel = 1 + u32::try_from(random.below(4)).unwrap();
            of_items.min_success_percent = [100, 50, 0][random.below(3)];
            map_step("unused", &[], of_items).kind
        }
        8 => StepKind::Pipeline(stages(random)),
        _ => StepKind::Parallel(
            (0..=random.below(3)).map(|index| branch(&format!("b{index}"), stages(random))).collect(),
        ),
    }
}

/// For a few seconds; some count as approved afterwards.
pub(super) fn random_question(random: &mut Random) -> Approval {
    let on_timeout = if random.is(50) { TimeoutDecision::Approve } else { TimeoutDecision::Reject };
    Approval { timeout: Duration::from_millis(1 + random.below(5_000) as u64), on_timeout, ..approval() }
}

/// Lets everything pass, or asks somebody about everything.
fn random_gate(random: &mut Random) -> Gate {
    let expression = if random.is(30) { "true" } else { "false" };
    let escalation = Some(random_question(random));
    Gate { escalation, ..holds(expression, GateFailure::Escalate) }
}

/// Two groups of targets agree with each other: those with even numbers, and those with odd ones.
fn random_scatter(random: &mut Random) -> StepKind {
    let to = 2 + random.below(4);
    let number = |n: usize| u32::try_from(n).unwrap();
    let at_least = number(1 + random.below(to));
    let compare = Some("index % 2".to_owned());
    let gather = match random.below(5) {
        0 => Gather::First,
        1 => Gather::Quorum { at_least, compare },
        2 => Gather::Best { score: "index * 7 % 5".to_owned(), at_least, compare },
        3 => Gather::Weighted { weight: "index + 1".to_owned(), at_least, compare },
        _ => Gather::Consensus { at_least: number(2 + random.below(to.div_ceil(2))).min(number(to)), compare },
    };
    let late = if random.is(50) { Late::Withdraw } else { Late::Collect };
    StepKind::Scatter(Box::new(ScatterStep { task: random_task(random), to: number(to), gather, late }))
}

pub(super) fn random_task(random: &mut Random) -> Task {
    let mut task = once(json!({"run": "${run.id}"}));
    task.retry.limit = u32::try_from(random.below(3)).unwrap();
    task
}
