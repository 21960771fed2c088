//! Loops of simulated runs. Agents answer with the path of their task, and conditions ask for that of one iteration.

use std::time::Duration;

use super::{definitions::random_task, world::Random};
use crate::workflow::{
    definition::{Exhausted, LoopStep, StepKind},
    samples::repeated,
};

const UNTIL: &str = "output.endsWith(':";

pub(super) fn random_loop(random: &mut Random) -> StepKind {
    let until = format!("{UNTIL}{}')", random.below(5));
    let mut made = repeated(serde_json::json!({"index": "${index}", "before": "${previous}"}), &until, 1);
    made.max_iterations = 1 + u32::try_from(random.below(5)).unwrap();
    made.task.retry = random_task(random).retry;
    made.interval = Duration::from_millis([0, 700][random.below(2)]);
    made.on_exhausted = if random.is(50) { Exhausted::Fail } else { Exhausted::Continue };
    StepKind::Loop(Box::new(made))
}

/// How many iterations there are, when none fails for good; and whether the step succeeds then.
pub(super) fn expected(repeated: &LoopStep) -> (usize, bool) {
    let wanted = repeated.until.strip_prefix(UNTIL).and_then(|rest| rest.split('\'').next());
    let wanted: usize = wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(usize::MAX);
    let most = repeated.max_iterations as usize;
    if wanted < most { (wanted + 1, true) } else { (most, repeated.on_exhausted == Exhausted::Continue) }
}
