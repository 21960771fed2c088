//! What the server asks of a decision, and what a decision is.

use std::{collections::BTreeMap, future::Future};

use serde_json::Value;

use super::wire::Request;

/// Which of the two webhooks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The object may still be changed.
    Mutate,
    /// The object is final.
    Validate,
}

/// Decides about objects before they are stored.
pub trait Admission: Send + Sync + 'static {
    /// The decision about one request.
    fn decide(&self, phase: Phase, request: &Request<'_>) -> impl Future<Output = Answer> + Send;
}

/// Why an object is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A policy or a right forbids it.
    Forbidden,
    /// The object contradicts itself.
    Invalid,
    /// Something else happened at the same time; the same request may succeed.
    Conflict,
    /// Something that is needed for the decision does not answer.
    Unavailable,
}

impl Class {
    /// The HTTP status that the asking person gets.
    pub const fn code(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::Conflict => 409,
            Self::Unavailable => 503,
        }
    }

    /// The reason in the status of Kubernetes.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::Conflict => "Conflict",
            Self::Unavailable => "ServiceUnavailable",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal.
    pub class: Class,
    /// What is wrong and what to write instead, as people read it.
    pub message: String,
}

/// A decision as API servers get it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Why the object is refused; none if it is admitted.
    pub refusal: Option<Refusal>,
    /// What the asking person is told although the object is admitted.
    pub warnings: Vec<String>,
    /// A JSON patch of the object.
    pub patch: Option<Value>,
    /// Facts for the audit log of the API server.
    pub audit_annotations: BTreeMap<String, String>,
}

impl Answer {
    /// Admits the object as it is.
    pub fn admitted() -> Self {
        Self::default()
    }

    /// Refuses the object.
    pub fn refused(class: Class, message: impl Into<String>) -> Self {
        Self { refusal: Some(Refusal { class, message: message.into() }), ..Self::default() }
    }
}
