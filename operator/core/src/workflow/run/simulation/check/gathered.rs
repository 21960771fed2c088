//! What a scatter must have come to, read from the journal alone. Targets with even numbers agree, and those with odd ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Facts, handed::is_allowed};
use crate::workflow::{
    definition::{Gather, Late, ScatterStep, Step},
    journal::Outcome,
};

/// Targets of a scatter that came to a good end, as the journal tells.
pub(super) struct Gathered {
    /// In the order of their answers.
    pub(super) answers: Vec<usize>,
    failed: usize,
}

/// What the journal tells before a position; none while the scatter is not decided, or when it cannot be known.
pub(super) fn gathered(facts: &Facts<'_>, step: &Step, scatter: &ScatterStep, position: usize) -> Option<Gathered> {
    let mut told: Vec<(usize, usize, &Outcome)> = facts
        .results
        .iter()
        .filter(|((path, _), _)| path.parts().next() == Some(step.name.as_str()))
        .filter(|(task, (at, _))| *at < position && !facts.is_withdrawn_before(task, *at))
        .filter_map(|((path, _), (at, outcome))| Some((*at, path.parts().nth(1)?.parse().ok()?, *outcome)))
        .collect();
    told.sort_unstable_by_key(|(at, ..)| *at);
    let mut gathered = Gathered { answers: Vec::new(), failed: 0 };
    let mut failures: BTreeMap<usize, u32> = BTreeMap::new();
    let mut handed: BTreeMap<usize, u32> = BTreeMap::new();
    for (_, target, outcome) in told {
        match outcome {
            Outcome::Succeeded { .. } => gathered.answers.push(target),
            Outcome::HandedOver { to, .. } if is_allowed(&scatter.task, handed.entry(target).or_default(), to) => {}
            Outcome::HandedOver { .. } => {
                let failures = failures.entry(target).or_default();
                *failures += 1;
                gathered.failed += usize::from(*failures > scatter.task.retry.limit);
            }
            Outcome::Failed { reason, .. } => {
                let failures = failures.entry(target).or_default();
                *failures += 1;
                gathered.failed += usize::from(!reason.is_retryable() || *failures > scatter.task.retry.limit);
            }
            Outcome::Unknown { .. } if facts.is_asking => {}
            Outcome::Unknown { .. } => return None,
        }
        if gathered.is_decided(scatter) {
            return Some(gathered);
        }
    }
    None
}

impl Gathered {
    fn is_decided(&self, scatter: &ScatterStep) -> bool {
        let is_over = self.answers.len() + self.failed == scatter.to as usize;
        let is_enough = match &scatter.gather {
            Gather::First => !self.answers.is_empty(),
            Gather::Quorum { at_least, .. } => self.answers.len() >= *at_least as usize,
            Gather::Best { at_least, .. } | Gather::Weighted { at_least, .. } => {
                is_over && self.answers.len() >= *at_least as usize
            }
            Gather::Consensus { at_least, .. } => self.of_parity(0).max(self.of_parity(1)) >= *at_least as usize,
        };
        is_enough && (is_over || scatter.late == Late::Withdraw)
    }

    fn of_parity(&self, parity: usize) -> usize {
        self.answers.iter().filter(|target| *target % 2 == parity).count()
    }

    /// The output when each target answered with its path.
    pub(super) fn output(&self, step: &crate::id::Name, scatter: &ScatterStep) -> Value {
        let mut sorted = self.answers.clone();
        sorted.sort_unstable();
        let lowest = |parity: usize| sorted.iter().copied().find(|target| target % 2 == parity);
        let weight = |parity: usize| sorted.iter().filter(|t| *t % 2 == parity).map(|t| t + 1).sum::<usize>();
        // Of two equal groups the one with the lowest target.
        let larger = |of: &dyn Fn(usize) -> usize| match of(0).cmp(&of(1)) {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Greater => 0,
            std::cmp::Ordering::Equal => sorted[0] % 2,
        };
        let count = |parity: usize| self.of_parity(parity);
        let chosen = match &scatter.gather {
            Gather::First => Some(self.answers[0]),
            Gather::Best { .. } => sorted.iter().copied().rev().max_by_key(|target| target * 7 % 5),
            Gather::Quorum { .. } => lowest(larger(&count)),
            Gather::Weighted { .. } => lowest(larger(&weight)),
            Gather::Consensus { at_least, .. } => {
                let mut counts = [0, 0];
                let first = self.answers.iter().find(|target| {
                    counts[*target % 2] += 1;
                    counts[*target % 2] >= *at_least
                });
                first.and_then(|first| lowest(first % 2))
            }
        };
        let chosen = chosen.unwrap_or_default();
        let agreement = match &scatter.gather {
            // Whole answers are compared, and no two are equal.
            Gather::First => 100 / sorted.len(),
            Gather::Weighted { .. } => 100 * weight(chosen % 2) / (weight(0) + weight(1)),
            _ => 100 * count(chosen % 2) / sorted.len(),
        };
        let path = |target: usize| format!("{step}:{target}");
        json!({
            "chosen": path(chosen),
            "agreement": agreement,
            "results": sorted.iter().map(|target| path(*target)).collect::<Vec<_>>(),
            "failed": self.failed,
        })
    }
}
