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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The pattern.
    pub pattern: Pattern,
    /// The class of the work.
    pub complexity: Complexity,
    /// Runs that ended.
    pub runs: u32,
    /// Runs that succeeded.
    pub succeeded: u32,
    /// How long those took together, in milliseconds.
    pub took_ms: u64,
}

impl Past {
    /// Adds a run that has ended, which took so many milliseconds. The list stays in the order of patterns and classes.
    pub fn note(past: &mut Vec<Self>, (pattern, complexity): (Pattern, Complexity), has_succeeded: bool, took_ms: u64) {
        let found = past.binary_search_by_key(&(pattern, complexity), |of| (of.pattern, of.complexity));
        let at = found.unwrap_or_else(|at| {
            past.insert(at, Self { pattern, complexity, runs: 0, succeeded: 0, took_ms: 0 });
            at
        });
        if let Some(of) = past.get_mut(at) {
            of.runs = of.runs.saturating_add(1);
            of.succeeded = of.succeeded.saturating_add(u32::from(has_succeeded));
            of.took_ms = of.took_ms.saturating_add(if has_succeeded { took_ms } else { 0 });
        }
    }

    /// How long a run took that succeeded, in milliseconds.
    fn mean_ms(&self) -> Option<u64> {
        self.took_ms.checked_div(u64::from(self.succeeded)).filter(|mean| *mean > 0)
    }
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

/// The pattern that the structure asks for, unless another one that can hold the same steps was clearly better in the past: it succeeded
/// more often, or as often in at most four fifths of the time.
pub(super) fn recommend(
    steps: &[PlannedStep],
    levels: &[Vec<usize>],
    complexity: Complexity,
    past: &[Past],
) -> Recommendation {
    let (own, reason, others) = by_structure(steps, levels);
    let of = |pattern: Pattern| {
        let found = past.iter().find(|past| past.pattern == pattern && past.complexity == complexity);
        found.filter(|past| past.runs >= ENOUGH)
    };
    let Some(ours) = of(own).filter(|_| !others.is_empty()) else {
        return Recommendation { pattern: own, reason: reason.to_owned() };
    };
    let known = || others.iter().filter_map(|other| of(*other));
    let more_often = known()
        .filter(|theirs| success(theirs).0 > success(ours).1)
        .max_by_key(|theirs| u64::from(theirs.succeeded) * 1_000 / u64::from(theirs.runs));
    if let Some(theirs) = more_often {
        return Recommendation {
            pattern: theirs.pattern,
            reason: format!(
                "{} of {} runs of {} work succeeded as {}, and {} of {} as {}, which the steps alone would suggest: {reason}",
                theirs.succeeded,
                theirs.runs,
                complexity.as_str(),
                theirs.pattern.as_str(),
                ours.succeeded,
                ours.runs,
                own.as_str()
            ),
        };
    }
    let sooner = known().filter(|theirs| is_sooner(theirs, ours)).min_by_key(|theirs| theirs.mean_ms());
    if let Some((theirs, (took, instead))) = sooner.and_then(|of| Some((of, of.mean_ms().zip(ours.mean_ms())?))) {
        return Recommendation {
            pattern: theirs.pattern,
            reason: format!(
                "runs of {} work took {took} ms on average as {}, and {instead} ms as {}, which the steps alone would suggest: {reason}",
                complexity.as_str(),
                theirs.pattern.as_str(),
                own.as_str()
            ),
        };
    }
    Recommendation {
        pattern: own,
        reason: format!("{reason}; {} of {} such runs succeeded", ours.succeeded, ours.runs),
    }
}

/// Whether one succeeded at least as often as another one, in at most four fifths of the time.
fn is_sooner(theirs: &Past, ours: &Past) -> bool {
    let as_often =
        u64::from(theirs.succeeded) * u64::from(ours.runs) >= u64::from(ours.succeeded) * u64::from(theirs.runs);
    let times = theirs.mean_ms().zip(ours.mean_ms());
    as_often && times.is_some_and(|(took, instead)| took.saturating_mul(5) <= instead.saturating_mul(4))
}

/// The pattern for the structure, why, and other patterns that hold the same steps.
fn by_structure(steps: &[PlannedStep], levels: &[Vec<usize>]) -> (Pattern, &'static str, &'static [Pattern]) {
    let is_plain = |step: &PlannedStep| step.over.is_none() && step.votes.is_none();
    if steps.iter().any(|step| step.undone_by.is_some()) && steps.len() > 1 {
        return (Pattern::Saga, "a step changes the world, and what it did has to go when a later one fails", &[]);
    }
    match steps {
        [only] if only.over.is_some() => {
            return (Pattern::MapReduce, "the same is done for each item of a list", &[]);
        }
        [only] if only.votes.is_some() => {
            return (Pattern::ScatterGather, "several agents have to agree on the answer", &[]);
        }
        [_] => return (Pattern::Task, "it is one task", &[]),
        _ => {}
    }
    let is_chain = levels.iter().all(|level| level.len() == 1);
    if steps.iter().all(is_plain) && is_chain {
        return (Pattern::Pipeline, "each step takes what the one before it made", &[Pattern::Dag]);
    }
    if steps.iter().all(is_plain) && levels.len() == 1 {
        return (Pattern::ForkJoin, "no step waits for another one", &[Pattern::Dag, Pattern::Pipeline]);
    }
    (Pattern::Dag, "the steps wait for each other in a way that only a graph shows", &[])
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
