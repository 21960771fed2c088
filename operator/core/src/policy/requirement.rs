//! What a policy can require, and its rules.

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::Kind;
use crate::expression::{self, Expression, Scope, Vocabulary};

/// A rule of a policy: an expression that must hold, compiled once. Compared by its text and message; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rule(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    text: String,
    message: String,
    compiled: Expression,
}

impl Rule {
    /// Compiles a rule. An empty message stands for "the rule does not hold" and its text.
    pub fn compile(text: &str, message: &str) -> Result<Self, expression::Error> {
        let compiled = Expression::compile(text, Vocabulary::Policy)?;
        Ok(Self(Arc::new(Parts { text: text.to_owned(), message: message.to_owned(), compiled })))
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What is told when it does not hold, as it was written; may be empty.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The compiled expression.
    pub fn expression(&self) -> &Expression {
        &self.0.compiled
    }

    /// Whether the expression yields true. An error is to be taken as "does not hold" for a rule and as "holds" for what
    /// needs an approval, so that a mistake in it never admits anything.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, expression::Error> {
        self.0.compiled.evaluate_condition(scope)
    }

    fn key(&self) -> (&str, &str) {
        (&self.0.text, &self.0.message)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rule {}

impl PartialOrd for Rule {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rule {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.key().cmp(&other.key()) }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Rule", 2)?;
        fields.serialize_field("expression", self.text())?;
        fields.serialize_field("message", self.message())?;
        fields.end()
    }
}

/// Displayed as its message, or as its text when it has none.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message().is_empty() { self.text() } else { self.message() })
    }
}

/// Something that a policy requires; all requirements of all levels hold together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Requirement {
    /// The object has this label, with any value.
    Label(String),
    /// Images are referred to by digest.
    ImageDigest,
    /// Images are signed by this key.
    SignedBy(String),
    /// When the expression holds, a person must approve the object, whatever the action of the policy.
    ApprovalFor(Rule),
    /// Every admitted change is recorded.
    Audit,
    /// Pods in the Domain's namespace that belong to no pool and no Supervisor are refused.
    PoolsOnly,
}

impl Requirement {
    /// Its field in `require`.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Label(_) => "labels",
            Self::ImageDigest => "imageDigest",
            Self::SignedBy(_) => "signedBy",
            Self::ApprovalFor(_) => "approvalFor",
            Self::Audit => "audit",
            Self::PoolsOnly => "poolsOnly",
        }
    }

    /// The kinds of objects that can be required to have this.
    pub const fn kinds(&self) -> &'static [Kind] {
        match self {
            Self::Label(_) | Self::ApprovalFor(_) | Self::Audit => &Kind::ALL,
            Self::ImageDigest | Self::SignedBy(_) => &[Kind::AgentPool, Kind::Pod],
            Self::PoolsOnly => &[Kind::Pod],
        }
    }

    /// Its value as a manifest holds it.
    pub fn value(&self) -> &str {
        match self {
            Self::Label(name) | Self::SignedBy(name) => name,
            Self::ApprovalFor(rule) => rule.text(),
            Self::ImageDigest | Self::Audit | Self::PoolsOnly => "true",
        }
    }
}

/// In a sentence, such as `label "owner"`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(name) => write!(f, "label {name:?}"),
            Self::ImageDigest => f.write_str("images by digest"),
            Self::SignedBy(key) => write!(f, "images signed by {key:?}"),
            Self::ApprovalFor(rule) => write!(f, "approval when {}", rule.text()),
            Self::Audit => f.write_str("a record of every change"),
            Self::PoolsOnly => f.write_str("no pods beside the pools"),
        }
    }
}
