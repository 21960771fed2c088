//! What is wrong with a spec: the field and what to write instead. Parsing collects all of them at once.

use std::fmt;

use serde::Serialize;

use crate::reason::{Finding, Reason};

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Path of the field, such as `spec.steps[2].task.timeout`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Violations found so far.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes a violation.
    pub fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Violation { path: path.into(), message: message.to_string() });
    }

    /// The value, or none and a noted violation.
    pub fn check<T, E: fmt::Display>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(path, error)).ok()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations found.
    pub fn into_found(self) -> Vec<Violation> {
        self.0
    }

    /// `value` if there are none and it could be built, else the violations.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// Most violations that a condition's message lists.
const LISTED: usize = 10;

/// All violations as the reason why an object is not accepted.
pub fn finding(violations: &[Violation]) -> Finding {
    let mut message = violations.iter().take(LISTED).map(Violation::to_string).collect::<Vec<_>>();
    if violations.len() > LISTED {
        message.push(format!("and {} more", violations.len() - LISTED));
    }
    Finding::new(Reason::InvalidSpec, message.join("; "))
}
