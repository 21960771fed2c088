//! What makes a definition valid: names, order, expressions and limits. All violations at once, each with its remedy.

mod auto;
mod check;
mod child;
mod cycle;
mod gate;
mod hand_over;
mod map;
mod question;
mod repeated;
mod stream;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use super::definition::{Definition, Task};

/// Most steps of a workflow; the same limit stands in the definition of the resource.
pub const MAX_STEPS: usize = 128;
/// Most entries of a step's `after`, branches of a step and stages of a branch or a pipeline.
pub const MAX_PARTS: usize = 64;
/// Fewest and most targets of a scatter.
pub const TARGETS: std::ops::RangeInclusive<u32> = 2..=100;
/// Fewest and most iterations of a loop.
pub const ITERATIONS: std::ops::RangeInclusive<u32> = 1..=1000;
/// Fewest and most outputs that one task of a tree reduces.
pub const FAN_IN: std::ops::RangeInclusive<u32> = 2..=1000;
/// Largest definition, as JSON text in bytes: it is part of each run's first journal entry.
pub const MAX_SIZE: usize = 512 * 1024;

/// A mistake in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `spec.steps[2].after[0]`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.field, self.message, self.remedy)
    }
}

/// Everything that is wrong with a definition; nothing when a run of it can be driven.
pub fn validate(definition: &Definition) -> Vec<Violation> {
    check::Checker::new(definition).run()
}

/// For each step, the steps that have ended when it starts: those it comes after, directly or through others. The one whose outputs it
/// streams has only begun, so what that one comes after has ended.
pub(super) fn upstream(definition: &Definition) -> Vec<BTreeSet<usize>> {
    let position = |name: &crate::id::Name| definition.steps.iter().position(|step| step.name == *name);
    let direct: Vec<Vec<usize>> =
        definition.steps.iter().map(|step| step.after.iter().filter_map(position).collect()).collect();
    let source: Vec<Option<usize>> =
        definition.steps.iter().map(|step| step.streams_from().and_then(position)).collect();
    (0..direct.len())
        .map(|step| {
            let mut found = BTreeSet::new();
            let mut seen = BTreeSet::new();
            let mut open = vec![step];
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    found.extend(&direct[next]);
                    open.extend(direct[next].iter().chain(&source[next]));
                }
            }
            found
        })
        .collect()
}

/// A task and where it stands; tasks are checked alike everywhere.
struct Placed<'d> {
    field: String,
    task: &'d Task,
    /// Variables that it may read beside those of every expression.
    reads: &'static [crate::expression::Variable],
}
