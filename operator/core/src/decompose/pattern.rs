//! Which pattern a plan runs in: the one its structure asks for, or one that served the same kind of work clearly better.

use serde::{Deserialize, Serialize};

use super::{Complexity, PlannedStep};

/// A pattern of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pattern {
    /// One task.
    Task,
    /// One task for each item of a list, and a reduction.
    MapReduce,
    /// Stages that each take the output of the one before.
    Pipeline,
    /// Branches side by side.
    ForkJoin,
    /// The same task to several agents, and one answer.
    ScatterGather,
    /// Steps that are undone in reverse when a later one fails.
    Saga,
    /// Steps that name what they wait for.
    Dag,
}

impl Pattern {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::MapReduce => "MapReduce",
            Self::Pipeline => "Pipeline",
            Self::ForkJoin => "ForkJoin",
            Self::ScatterGather => "ScatterGather",
            Self::Saga => "Saga",
            Self::Dag => "Dag",
        }
    }
}

/// How former runs of a pattern ended, for work of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The pattern.
    pub pattern: Pattern,
    /// The class of the work.
    pub complexity: Complexity,
    /// Runs that ended.
    pub runs: u32,
    /// Runs that succeeded.
    pub succeeded: u32,
}

/// A pattern with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// The pattern.
    pub pattern: Pattern,
    /// Why, in a sentence.
    pub reason: String,
}

/// Runs without which the past says nothing.
const ENOUGH: u32 = 5;

/// The pattern that the structure asks for, unless another one that can hold the same steps was clearly better in the past.
pub(super) fn recommend(
    steps: &[PlannedStep],
    levels: &[Vec<usize>],
    complexity: Complexity,
    past: &[Past],
) -> Recommendation {
    let (own, reason, other) = by_structure(steps, levels);
    let of = |pattern: Pattern| {
        let found = past.iter().find(|past| past.pattern == pattern && past.complexity == complexity);
        found.filter(|past| past.runs >= ENOUGH)
    };
    let Some(other) = other else { return Recommendation { pattern: own, reason: reason.to_owned() } };
    match (of(own), of(other)) {
        (Some(ours), Some(theirs)) if success(theirs).0 > success(ours).1 => Recommendation {
            pattern: other,
            reason: format!(
                "{} of {} runs of {} work succeeded as {}, and {} of {} as {}, which the steps alone would suggest: {reason}",
                theirs.succeeded,
                theirs.runs,
                complexity.as_str(),
                other.as_str(),
                ours.succeeded,
                ours.runs,
                own.as_str()
            ),
        },
        (Some(ours), _) => Recommendation {
            pattern: own,
            reason: format!("{reason}; {} of {} such runs succeeded", ours.succeeded, ours.runs),
        },
        _ => Recommendation { pattern: own, reason: reason.to_owned() },
    }
}

/// The pattern for the structure, why, and another pattern that holds the same steps.
fn by_structure(steps: &[PlannedStep], levels: &[Vec<usize>]) -> (Pattern, &'static str, Option<Pattern>) {
    let is_plain = |step: &PlannedStep| step.over.is_none() && step.votes.is_none();
    if steps.iter().any(|step| step.undone_by.is_some()) && steps.len() > 1 {
        return (Pattern::Saga, "a step changes the world, and what it did has to go when a later one fails", None);
    }
    match steps {
        [only] if only.over.is_some() => {
            return (Pattern::MapReduce, "the same is done for each item of a list", None);
        }
        [only] if only.votes.is_some() => {
            return (Pattern::ScatterGather, "several agents have to agree on the answer", None);
        }
        [_] => return (Pattern::Task, "it is one task", None),
        _ => {}
    }
    let is_chain = levels.iter().all(|level| level.len() == 1);
    if steps.iter().all(is_plain) && is_chain {
        return (Pattern::Pipeline, "each step takes what the one before it made", Some(Pattern::Dag));
    }
    if steps.iter().all(is_plain) && levels.len() == 1 {
        return (Pattern::ForkJoin, "no step waits for another one", Some(Pattern::Dag));
    }
    (Pattern::Dag, "the steps wait for each other in a way that only a graph shows", None)
}

/// Bounds of the share of successes with 95 % confidence (score interval: E. B. Wilson, 1927).
fn success(past: &Past) -> (f64, f64) {
    let (runs, share) = (f64::from(past.runs), f64::from(past.succeeded.min(past.runs)) / f64::from(past.runs));
    let z = 1.96_f64;
    let centre = share + z * z / (2.0 * runs);
    let spread = z * (share * (1.0 - share) / runs + z * z / (4.0 * runs * runs)).sqrt();
    let scale = 1.0 + z * z / runs;
    ((centre - spread) / scale, (centre + spread) / scale)
}
