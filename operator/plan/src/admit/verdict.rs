//! What is decided about a write, and what the shell has to do before it may say so.

use serde::Serialize;
use serde_json::Value;
use tetrarch_core::{capacity::Claim, policy::Kind};
use tetrarch_protocol::{
    request::{Ask, Stamped},
    snapshot::StepDecision,
};

use super::{
    Review,
    finding::{Code, Finding},
};
use crate::request::Way;

/// The decision about a write. It is let through when nothing denies it, every check is answered with yes, and the booking
/// is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why it is refused; empty when it is not.
    pub denials: Vec<Finding>,
    /// Why it is stored but held until somebody approves it.
    pub held: Vec<Finding>,
    /// What the writer is told although it is admitted.
    pub warnings: Vec<Finding>,
    /// What is only recorded.
    pub audits: Vec<Finding>,
    /// Whether a policy asks for a record even when nothing was found.
    pub record: bool,
    /// Permissions that the API server must confirm.
    pub checks: Vec<Check>,
    /// What must be booked, last of all and never for a dry run.
    pub booking: Option<Booking>,
}

impl Verdict {
    /// Whether nothing in here refuses the write.
    pub fn is_allowed(&self) -> bool {
        self.denials.is_empty()
    }

    /// Whether it is refused only for what is wrong with the object in itself.
    pub fn is_invalid(&self) -> bool {
        let own = |finding: &Finding| matches!(finding.code, Code::InvalidSpec | Code::Contradiction);
        !self.denials.is_empty() && self.denials.iter().all(own)
    }

    /// What the writer is told although the object is stored: why it is held, and the warnings.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        let held = self.held.iter().map(|finding| format!("held for an approval: {finding}"));
        held.chain(self.warnings.iter().map(Finding::to_string))
    }

    /// The verdict of one that is refused.
    pub fn refused(finding: Finding) -> Self {
        Self { denials: vec![finding], ..Self::default() }
    }
}

/// A question to the API server, as a `SubjectAccessReview` about the writer.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The verb.
    pub verb: &'static str,
    /// Kind of the object; the group is `tetrarch.dev`.
    pub kind: Kind,
    /// Namespace of the object; empty for kinds of the whole cluster.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Why the write is refused when the answer is no.
    pub otherwise: Finding,
}

impl Check {
    /// Whether the writer may approve the object under review; the field is where they say so, the remedy what helps when
    /// they may not.
    pub(super) fn to_approve(review: &Review, field: impl Into<String>, remedy: &str) -> Self {
        let (kind, name) = (review.kind, &review.name);
        let problem = format!("user {:?} has not the right to approve {kind} {name:?}", review.user.name);
        Self {
            verb: "approve",
            kind,
            namespace: review.namespace.clone(),
            name: name.clone(),
            otherwise: Finding::denied(Code::Permission, field, problem, remedy),
        }
    }

    /// Whether the writer may ask this of runs of the Workflow under review.
    pub(super) fn to_ask(review: &Review, way: &Way, ask: Ask) -> Self {
        let (kind, name, verb) = (review.kind, &review.name, way.verb);
        let (user, what) = (&review.user.name, ask.as_str());
        let problem = if what == verb {
            format!("user {user:?} has not the right to {verb} {kind} {name:?}")
        } else {
            format!("user {user:?} has not the right to {verb} {kind} {name:?}, which is needed to {what} its runs")
        };
        let field = format!("metadata.annotations[{}]", way.annotation);
        let remedy = format!("have the verb {verb} granted, for example as an admin of the Domain");
        Self {
            verb,
            kind,
            namespace: review.namespace.clone(),
            name: name.clone(),
            otherwise: Finding::denied(Code::Permission, field, problem, remedy),
        }
    }
}

/// What must be booked before a write is let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// The Orchestrator whose ledger it goes to.
    pub orchestrator: String,
    /// What the object takes from the levels above, and what it gives to those below.
    pub claim: Claim,
}

/// The answer to a mutating review. It is refused when something denies it or a check is answered with no.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mutation {
    /// Why it is refused; empty when it is not.
    pub denials: Vec<Finding>,
    /// Changes to the object.
    pub patch: Vec<Change>,
    /// Permissions that the API server must confirm.
    pub checks: Vec<Check>,
    /// What the writer decides about a step of a run by this write.
    pub decision: Option<StepDecision>,
    /// What the writer asks of runs by this write.
    pub asked: Vec<Stamped>,
}

/// One change, as in a JSON patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Change {
    /// Sets a field.
    Add {
        /// Where, as a JSON pointer.
        path: String,
        /// To what.
        value: Value,
    },
    /// Removes a field.
    Remove {
        /// Where, as a JSON pointer.
        path: String,
    },
}
