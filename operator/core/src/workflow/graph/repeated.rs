//! What a loop must be like.

use std::collections::BTreeSet;

use super::{ITERATIONS, Placed, check::Checker};
use crate::{expression::Variable, workflow::definition::LoopStep};

/// What the task of an iteration reads.
const OF_TASK: [Variable; 2] = [Variable::Index, Variable::Previous];
/// What the condition reads after an iteration.
const OF_CONDITION: [Variable; 3] = [Variable::Output, Variable::Index, Variable::Previous];

impl Checker<'_> {
    pub(super) fn check_loop<'t>(
        &mut self,
        field: &str,
        repeated: &'t LoopStep,
        upstream: &BTreeSet<usize>,
    ) -> Vec<Placed<'t>> {
        if !ITERATIONS.contains(&repeated.max_iterations) {
            let message = format!("{} iterations are no bound", repeated.max_iterations);
            let remedy = format!("write {} to {}", ITERATIONS.start(), ITERATIONS.end());
            self.add(format!("{field}.maxIterations"), message, remedy);
        }
        let until = format!("{field}.until");
        self.check_condition(&until, &repeated.until, &OF_CONDITION, upstream);
        vec![Placed { field: format!("{field}.task"), task: &repeated.task, reads: &OF_TASK }]
    }
}
