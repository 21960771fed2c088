//! How large a piece of work is: five classes by rules that name their evidence.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Over, PlannedStep};

/// How large a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Complexity {
    /// One task.
    Atomic,
    /// A few tasks.
    Simple,
    /// Several tasks, or one task for some items, or several opinions.
    Moderate,
    /// Many tasks or items, or changes of the world that belong together.
    Complex,
    /// More than one team would do by hand.
    Enterprise,
}

impl Complexity {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Atomic => "Atomic",
            Self::Simple => "Simple",
            Self::Moderate => "Moderate",
            Self::Complex => "Complex",
            Self::Enterprise => "Enterprise",
        }
    }
}

/// Largest value of each class up to `Complex`; what is above is `Enterprise`.
struct Bounds {
    atomic: usize,
    simple: usize,
    moderate: usize,
    complex: usize,
}

const STEPS: Bounds = Bounds { atomic: 1, simple: 3, moderate: 8, complex: 20 };
const LEVELS: Bounds = Bounds { atomic: 1, simple: 3, moderate: 6, complex: 12 };
const CAPABILITIES: Bounds = Bounds { atomic: 1, simple: 3, moderate: 6, complex: 12 };
const ITEMS: Bounds = Bounds { atomic: 1, simple: 10, moderate: 1_000, complex: 10_000 };

impl Bounds {
    const fn class(&self, value: usize) -> Complexity {
        if value <= self.atomic {
            Complexity::Atomic
        } else if value <= self.simple {
            Complexity::Simple
        } else if value <= self.moderate {
            Complexity::Moderate
        } else if value <= self.complex {
            Complexity::Complex
        } else {
            Complexity::Enterprise
        }
    }
}

/// The highest class that any of the measures asks for, and the measures that ask for it.
pub(super) fn assess(
    steps: &[PlannedStep],
    levels: &[Vec<usize>],
    inputs: &BTreeMap<String, Value>,
) -> (Complexity, Vec<String>) {
    let capabilities: BTreeSet<&str> = steps.iter().map(|step| step.capability.as_str()).collect();
    let items = |step: &PlannedStep| match &step.over {
        Some(Over::Input(name)) => inputs.get(name).and_then(Value::as_array).map(Vec::len),
        Some(Over::Step(_)) | None => None,
    };
    let items = steps.iter().filter_map(items).max().unwrap_or_default();
    let votes = steps.iter().filter(|step| step.votes.is_some()).count();
    let changes = steps.iter().filter(|step| step.is_irreversible).count();
    let mut measures = vec![
        (STEPS.class(steps.len()), counted(steps.len(), "step")),
        (LEVELS.class(levels.len()), format!("{} after each other", counted(levels.len(), "level"))),
        (CAPABILITIES.class(capabilities.len()), format!("{} capabilities", capabilities.len())),
    ];
    if items > 0 {
        measures.push((ITEMS.class(items).max(Complexity::Simple), format!("a list of {}", counted(items, "item"))));
    }
    if votes > 0 {
        measures
            .push((Complexity::Moderate, format!("{} that several agents have to agree on", counted(votes, "step"))));
    }
    match changes {
        0 => {}
        1 => measures.push((Complexity::Simple, "a change of the world outside".to_owned())),
        _ => measures.push((Complexity::Complex, format!("{changes} changes of the world that belong together"))),
    }
    let class = measures.iter().map(|(class, _)| *class).max().unwrap_or(Complexity::Atomic);
    let evidence = measures.into_iter().filter(|(asked, _)| *asked == class).map(|(_, told)| told).collect();
    (class, evidence)
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
