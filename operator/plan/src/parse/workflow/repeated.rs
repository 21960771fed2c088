//! Loops as they are read.

use std::time::Duration;

use tetrarch_core::workflow::definition::{Exhausted, LoopStep};
use tetrarch_crds::workflow as written;

use super::{optional_duration, steps};
use crate::{parse::at_least, violation::Violations};

pub(super) fn read(repeated: &written::LoopStep, path: &str, violations: &mut Violations) -> Option<LoopStep> {
    let task = steps::task(&repeated.task, &format!("{path}.task"), violations);
    let max_iterations = at_least(&format!("{path}.maxIterations"), repeated.max_iterations, 1, violations);
    let interval = match &repeated.interval {
        Some(_) => optional_duration(&format!("{path}.interval"), repeated.interval.as_ref(), violations),
        None => Some(Duration::ZERO),
    };
    let on_exhausted = match repeated.on_exhausted {
        written::ExhaustedPolicy::Fail => Exhausted::Fail,
        written::ExhaustedPolicy::Continue => Exhausted::Continue,
    };
    let until = repeated.until.clone();
    Some(LoopStep { task: task?, until, max_iterations: max_iterations?, interval: interval?, on_exhausted })
}
