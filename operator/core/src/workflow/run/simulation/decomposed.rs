//! Decomposition in simulated runs. Whether a planner replies with a plan follows from the path of its task.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    definitions::{random_question, random_task},
    world::Random,
};
use crate::{
    id::TaskPath,
    workflow::{
        auto::AutoStep,
        definition::{Step, StepKind},
        samples::{name, once},
    },
};

/// Whether a task plans its step.
pub(super) fn is_planning(path: &TaskPath) -> bool {
    path.parts().nth(1) == Some("plan")
}

/// Whether what a planner replies is a plan.
pub(super) fn is_plan(path: &TaskPath) -> bool {
    path.as_str().bytes().map(usize::from).sum::<usize>() % 3 != 0
}

/// What a planner replies.
pub(super) fn reply(path: &TaskPath) -> Value {
    let capability = if is_plan(path) { "work" } else { "fly" };
    json!({"steps": [{"name": "only", "capability": capability, "instruction": "Do it."}]})
}

/// Some have a planner, some ask people, some do both.
pub(super) fn random_auto(random: &mut Random) -> StepKind {
    let retry = random_task(random).retry;
    // No further draws, so that the seeds of the other tests stay what they are.
    let mut own = random.clone();
    StepKind::Auto(Box::new(AutoStep {
        text: "[work] Look, then [work] leap.".to_owned(),
        inputs: Map::from_iter([("run".to_owned(), json!("${run.id}"))]),
        capabilities: vec![name("work")],
        planner: own.is(60).then(|| {
            let mut planner = once(Value::Null);
            planner.retry = retry;
            planner
        }),
        approval: own.is(60).then(|| random_question(&mut own)),
        max_steps: 4,
        max_parallel: 2,
        task_timeout: Duration::from_mins(1),
        retry,
    }))
}

/// Whether people have to approve the plan of a step.
pub(super) fn is_approved(step: &Step) -> bool {
    matches!(&step.kind, StepKind::Auto(auto) if auto.approval.is_some())
}
