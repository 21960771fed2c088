//! Takes a goal in plain words apart into steps for known capabilities, and recommends the pattern they run in.
//!
//! Deterministic rules and no model: the same goal, inputs, capabilities and history give the same plan, and every choice
//! comes with its reason. Nothing of the text is dropped silently: a clause that no capability fits is an error, and what a
//! plan cannot express is a note for people.
//!
//! ```text
//!   text ──clauses──> steps with capabilities ──levels──> complexity ──history──> pattern
//! ```

mod clauses;
mod complexity;
mod pattern;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use self::clauses::{Clause, Join};
use crate::id::Name;

pub use self::{
    complexity::Complexity,
    pattern::{Past, Pattern, Recommendation},
};

/// Most steps of a plan.
pub const MAX_STEPS: usize = 64;

/// Targets of a step that asks for agreement and says not how many.
const VOTES: u32 = 3;

/// What is wanted, and what there is for it.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'g> {
    /// What is wanted, in sentences, as a list of points, or as a numbered list.
    pub text: &'g str,
    /// Values that the run gets as parameters; a list among them can be worked on item by item.
    pub inputs: &'g BTreeMap<String, Value>,
    /// The capabilities of the agents that may be used.
    pub capabilities: &'g [Name],
    /// How former runs of each pattern ended.
    pub past: &'g [Past],
}

/// A goal taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// The steps in the order of the text; each comes after all that it waits for.
    pub steps: Vec<PlannedStep>,
    /// The steps that can run at the same time, by position, level after level.
    pub levels: Vec<Vec<usize>>,
    /// How large the work is.
    pub complexity: Complexity,
    /// Why it is that large.
    pub evidence: Vec<String>,
    /// The pattern to run it in, and why.
    pub recommendation: Recommendation,
    /// What the plan does not express and people have to look at.
    pub notes: Vec<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Name, unique in the plan.
    pub name: Name,
    /// What its agents must be able to do.
    pub capability: Name,
    /// The clause it was made of.
    pub instruction: String,
    /// Steps that it waits for, by position.
    pub after: Vec<usize>,
    /// What it does for each of.
    pub over: Option<Over>,
    /// How many agents do it independently of each other, to agree on one answer.
    pub votes: Option<u32>,
    /// Whether it changes the world outside in a way that does not go away by itself.
    pub is_irreversible: bool,
    /// The capability that undoes it.
    pub undone_by: Option<Name>,
}

/// A list that a step works on item by item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// An input.
    Input(String),
    /// The output of a former step, by position, which is a list because that step works on one.
    Step(usize),
}

/// Why a goal cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no word in the text.
    #[error("the goal is empty: write what is to be done, such as \"classify each package, then write a report\"")]
    Empty,
    /// No capability fits a clause.
    #[error(
        "no capability fits {clause:?}: name one in it in brackets, such as [{example}]; there are: {known}",
        example = .known.first().map_or("capability", String::as_str), known = .known.join(", ")
    )]
    NoCapability {
        /// The clause.
        clause: String,
        /// The capabilities.
        known: Vec<String>,
    },
    /// Several capabilities fit a clause equally well.
    #[error("{} fit {clause:?} equally well: name one of them in it in brackets, such as [{}]", .candidates.join(" and "), .candidates[0])]
    Ambiguous {
        /// The clause.
        clause: String,
        /// The capabilities that fit.
        candidates: Vec<String>,
    },
    /// A clause names a capability that nobody has.
    #[error("nobody has the capability {name:?} that {clause:?} names; there are: {}", .known.join(", "))]
    Unknown {
        /// The clause.
        clause: String,
        /// What it names.
        name: String,
        /// The capabilities.
        known: Vec<String>,
    },
    /// The goal is too large for one plan.
    #[error("the goal has {0} steps: write at most {MAX_STEPS}, and the rest as a Workflow of its own")]
    TooLarge(usize),
}

/// Takes a goal apart.
pub fn decompose(goal: Goal<'_>) -> Result<Decomposition, Error> {
    let clauses = clauses::split(goal.text, goal.capabilities);
    match clauses.len() {
        0 => return Err(Error::Empty),
        count if count > MAX_STEPS => return Err(Error::TooLarge(count)),
        _ => {}
    }
    let mut steps: Vec<PlannedStep> = Vec::with_capacity(clauses.len());
    let mut notes = Vec::new();
    let mut front = Front::default();
    for clause in &clauses {
        let capability = capability_for(clause, goal.capabilities)?;
        let after = front.join(clause, steps.len());
        let over = over(clause, &after, &steps, goal.inputs);
        if over.is_none() && clause.is_for_each() {
            notes.push(format!(
                "{:?} is for each of something that is no list among the inputs or results: give the list as an input of that name",
                clause.text
            ));
        }
        if let Some(condition) = clause.condition() {
            notes.push(format!(
                "the condition {condition:?} of {:?} is not in the plan: write it as `when` of that step",
                clause.text
            ));
        }
        let is_irreversible = clause.is_irreversible();
        steps.push(PlannedStep {
            name: unique_name(&capability, &steps),
            undone_by: is_irreversible.then(|| undoing(&capability, goal.capabilities)).flatten(),
            instruction: clause.text.clone(),
            votes: clause.votes(VOTES),
            capability,
            after,
            over,
            is_irreversible,
        });
    }
    notes.extend(not_undone(&steps));
    Ok(Decomposition { notes, ..conclude(steps, goal.inputs, goal.past) })
}

/// What follows from steps of which each comes after all that it waits for: levels, class and pattern.
pub fn conclude(steps: Vec<PlannedStep>, inputs: &BTreeMap<String, Value>, past: &[Past]) -> Decomposition {
    let levels = levels(&steps);
    let (complexity, evidence) = complexity::assess(&steps, &levels, inputs);
    let recommendation = pattern::recommend(&steps, &levels, complexity, past);
    Decomposition { steps, levels, complexity, evidence, recommendation, notes: Vec::new() }
}

/// The steps that the next clause follows or stands beside.
#[derive(Default)]
struct Front {
    before: Vec<usize>,
    now: Vec<usize>,
}

impl Front {
    /// What the next step waits for.
    fn join(&mut self, clause: &Clause, step: usize) -> Vec<usize> {
        match clause.join {
            Join::Beside if !clause.refers_back() => self.now.push(step),
            Join::Beside | Join::Then => {
                self.before = std::mem::take(&mut self.now);
                self.now.push(step);
            }
        }
        self.before.clone()
    }
}

/// The capability that a clause names in brackets, or whose name has most words in common with it, the earlier the better.
fn capability_for(clause: &Clause, known: &[Name]) -> Result<Name, Error> {
    let names = || known.iter().map(ToString::to_string).collect::<Vec<_>>();
    if let Some(named) = &clause.named {
        let found = known.iter().find(|capability| capability.as_str() == named);
        return found.cloned().ok_or_else(|| Error::Unknown {
            clause: clause.text.clone(),
            name: named.clone(),
            known: names(),
        });
    }
    let fit = |capability: &Name| {
        let parts: Vec<&str> = capability.as_str().split('-').collect();
        let place = |part: &&str| clause.words.iter().position(|word| words::are_akin(word, part));
        let places: Vec<usize> = parts.iter().filter_map(place).collect();
        // In tenths of the name, so that a name that is met in full comes before one that is met in part. Of names that are met
        // alike, the one that is met first: what is to be done stands before what it is done to.
        let first = places.iter().min().copied().unwrap_or(usize::MAX);
        (places.len() * 10 / parts.len().max(1), places.len(), std::cmp::Reverse(first))
    };
    let best = known.iter().map(|capability| (fit(capability), capability)).filter(|((share, ..), _)| *share >= 5);
    let best: Vec<_> = best.collect();
    let Some(top) = best.iter().map(|(fit, _)| *fit).max() else {
        return Err(Error::NoCapability { clause: clause.text.clone(), known: names() });
    };
    match best.iter().filter(|(fit, _)| *fit == top).map(|(_, capability)| *capability).collect::<Vec<_>>()[..] {
        [only] => Ok(only.clone()),
        ref several => Err(Error::Ambiguous {
            clause: clause.text.clone(),
            candidates: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// What a clause that says "each" is for each of: a list among the inputs that it names, or what the one step before it made
/// of a list.
fn over(clause: &Clause, after: &[usize], steps: &[PlannedStep], inputs: &BTreeMap<String, Value>) -> Option<Over> {
    if !clause.is_for_each() {
        return None;
    }
    let is_named = |name: &str| {
        let mut parts = name.split(['_', '-']);
        parts.all(|part| clause.words.iter().any(|word| words::are_akin(word, &part.to_lowercase())))
    };
    let input = inputs.iter().find(|(name, value)| value.is_array() && is_named(name));
    match (input, after) {
        (Some((name, _)), _) => Some(Over::Input(name.clone())),
        (None, [before]) if steps[*before].over.is_some() => Some(Over::Step(*before)),
        _ => None,
    }
}

fn unique_name(capability: &Name, steps: &[PlannedStep]) -> Name {
    let is_free = |name: &Name| steps.iter().all(|step| step.name != *name);
    let numbered = (2..).filter_map(|number| {
        let mut base = capability.as_str();
        let suffix = format!("-{number}");
        // A name has 63 characters at most.
        base = &base[..base.len().min(63 - suffix.len())];
        format!("{base}{suffix}").parse::<Name>().ok()
    });
    std::iter::once(capability.clone())
        .chain(numbered.take(MAX_STEPS))
        .find(is_free)
        .unwrap_or_else(|| capability.clone())
}

/// The capability that undoes another one: `cancel-booking` for `booking`, also for `flight-booking` when there is none of its own.
fn undoing(capability: &Name, known: &[Name]) -> Option<Name> {
    let of = |base: &str| {
        let candidates =
            words::UNDOING.iter().flat_map(move |verb| [format!("{verb}-{base}"), format!("{base}-{verb}")]);
        candidates.into_iter().find_map(|candidate| known.iter().find(|name| name.as_str() == candidate).cloned())
    };
    of(capability.as_str()).or_else(|| of(capability.as_str().rsplit('-').next()?))
}

/// What is done to the world and would stay when a later step fails.
fn not_undone(steps: &[PlannedStep]) -> Option<String> {
    let left: Vec<&str> = steps
        .iter()
        .enumerate()
        .filter(|(index, step)| step.is_irreversible && step.undone_by.is_none() && index + 1 < steps.len())
        .map(|(_, step)| step.name.as_str())
        .collect();
    (!left.is_empty()).then(|| {
        format!(
            "nothing undoes {} when a later step fails: add an agent with the capability cancel-{}, or write `compensate`",
            left.join(", "),
            left[0]
        )
    })
}

/// The steps by the longest chain of steps before them.
fn levels(steps: &[PlannedStep]) -> Vec<Vec<usize>> {
    let mut level_of: Vec<usize> = Vec::with_capacity(steps.len());
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let level = step.after.iter().map(|before| level_of[*before] + 1).max().unwrap_or_default();
        level_of.push(level);
        if levels.len() <= level {
            levels.resize_with(level + 1, Vec::new);
        }
        levels[level].push(index);
    }
    levels
}
