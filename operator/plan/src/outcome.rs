//! What became of a plan's effects, told by the shell to the report.

use crate::object::ObjectKey;

/// What became of a plan's effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All were done.
    Done(Vec<Applied>),
    /// One failed, and those after it were not tried.
    Stopped(Failure),
}

impl Outcome {
    /// Generation that an applied object has now, when it was applied and the kind has generations.
    pub fn generation_of(&self, key: &ObjectKey) -> Option<i64> {
        match self {
            Self::Done(applied) => applied.iter().find(|a| a.key == *key)?.generation,
            Self::Stopped(_) => None,
        }
    }
}

/// An object that was applied. What was observed before may be older than it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which object.
    pub key: ObjectKey,
    /// `metadata.generation` as the API server answered.
    pub generation: Option<i64>,
}

/// Why an effect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the effect in the plan.
    pub at: usize,
    /// What kind of failure.
    pub class: FailureClass,
    /// What the API server or the bus said; never holds a secret.
    pub message: String,
}

/// What kind of failure, which decides when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The API server refuses the object as invalid.
    Invalid,
    /// Somebody else wrote at the same time.
    Conflict,
    /// The API server did not answer, or asks to come back later.
    Transient,
    /// The operator lacks permission.
    Forbidden,
    /// The object exists and is controlled by someone else.
    NotOwned,
    /// The bus did not answer or refused.
    Bus,
}
