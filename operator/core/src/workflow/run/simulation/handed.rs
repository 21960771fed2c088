//! Tasks of simulated runs that agents hand to their peers. Which attempt is handed over, and to whom, follows from its path
//! and number alone.

use serde_json::json;

use super::{judged::is_judgement, world::Random};
use crate::{
    id::{Name, TaskPath},
    workflow::{
        definition::{Definition, Step, StepKind, Task},
        hand_over::HandOver,
        journal::Outcome,
        samples::name,
    },
};

/// Capabilities that agents know of, by how likely they name them; the last one is in no definition.
const KNOWN: [&str; 5] = ["billing", "refunds", "billing", "billing", "nobody"];

/// Lets some tasks of some definitions be handed over.
pub(super) fn allow(random: &mut Random, definition: &mut Definition) {
    if random.is(60) {
        return;
    }
    for step in &mut definition.steps {
        let tasks: Vec<&mut Task> = match &mut step.kind {
            StepKind::Task(task) => vec![task],
            StepKind::Map(map) => vec![&mut map.task],
            StepKind::Scatter(scatter) => vec![&mut scatter.task],
            StepKind::Loop(repeated) => vec![&mut repeated.task],
            StepKind::Pipeline(stages) => stages.iter_mut().map(|stage| &mut stage.task).collect(),
            _ => Vec::new(),
        };
        for task in tasks {
            let limit = 1 + u32::try_from(random.below(2)).unwrap();
            let to = if random.is(50) { vec![name("billing")] } else { vec![name("refunds"), name("billing")] };
            task.hand_over = random.is(40).then_some(HandOver { to, limit });
        }
    }
}

/// What an agent answers that wants somebody else to go on.
pub(super) fn answer(path: &TaskPath, attempt: u32) -> Option<Outcome> {
    let mixed = path.as_str().bytes().map(u32::from).sum::<u32>() + attempt * 7;
    let is_work = !is_judgement(path) && path.parts().nth(1) != Some("compensate");
    let to: Name = name(KNOWN[mixed as usize / 3 % KNOWN.len()]);
    let handed = || Outcome::HandedOver { to, input: mixed.is_multiple_of(2).then(|| json!(mixed)), reason: None };
    (is_work && !mixed.is_multiple_of(3)).then(handed)
}

/// Whether some task of a step may be handed over.
pub(super) fn may_be(step: &Step) -> bool {
    let allows = |task: &Task| task.hand_over.is_some();
    match &step.kind {
        StepKind::Task(task) => allows(task),
        StepKind::Map(map) => allows(&map.task),
        StepKind::Scatter(scatter) => allows(&scatter.task),
        StepKind::Loop(repeated) => allows(&repeated.task),
        StepKind::Pipeline(stages) => stages.iter().any(|stage| allows(&stage.task)),
        _ => false,
    }
}
