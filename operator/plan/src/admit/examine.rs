//! Whether an object complies with the policies in effect. The same for a write, and for what is stored already.

mod agent_pool;
mod domain;
pub mod image;
mod label;
pub mod pod;
mod rule;
mod workflow;

pub use agent_pool::size_field;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_core::policy::{Allowance, Effective, Limit};
use tetrarch_crds::OrchestratorSpec;

use super::{
    finding::{Against, Code, Finding},
    review::{Manifest, Operation, User},
};
use crate::{object::to_json, parse::signature::PublicKey};

/// What the compliance of an object depends on, beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// What holds for the object.
    pub effective: &'a Effective,
    /// The Orchestrator: its keys and its priority classes.
    pub orchestrator: Option<&'a OrchestratorSpec>,
    /// The keys of the Orchestrator.
    pub keys: Option<&'a BTreeMap<String, PublicKey>>,
    /// What expressions read as `domain`.
    pub domain: Option<&'a Value>,
    /// The write; none when it is about what is stored. Rules that read what only a write has are not asked then.
    pub write: Option<Write<'a>>,
}

/// What expressions read of a write.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user: &'a User,
    /// When.
    pub now: Timestamp,
    /// The object as it is written.
    pub document: &'a Value,
    /// The object before, null when there was none.
    pub old: &'a Value,
}

/// Everything in which the object does not comply.
pub fn examine(manifest: &Manifest, standard: &Standard<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if standard.effective.is_empty() {
        return found;
    }
    label::examine(manifest.metadata().labels.as_ref(), standard.effective, &mut found);
    match manifest {
        Manifest::Domain(object) => domain::examine(object, standard.effective, &mut found),
        Manifest::AgentPool(object) => agent_pool::examine(object, standard, &mut found),
        Manifest::Workflow(object) => workflow::examine(object, standard, &mut found),
        Manifest::Orchestrator(_) | Manifest::Supervisor(_) | Manifest::Pod(_) => {}
    }
    let document =
        || standard.write.map_or_else(|| Cow::Owned(document(manifest)), |write| Cow::Borrowed(write.document));
    rule::examine(document, standard, &mut found);
    found
}

/// The object as expressions read it.
fn document(manifest: &Manifest) -> Value {
    match manifest {
        Manifest::Orchestrator(object) => to_json(object),
        Manifest::Domain(object) => to_json(object),
        Manifest::Supervisor(object) => to_json(object),
        Manifest::AgentPool(object) => to_json(object),
        Manifest::Workflow(object) => to_json(object),
        Manifest::Pod(object) => to_json(object),
    }
}

/// Whether a number is within its limit.
fn check_limit(
    limit: Limit,
    value: u64,
    field: &str,
    problem: impl FnOnce(&str) -> String,
    effective: &Effective,
    found: &mut Vec<Finding>,
) {
    let Some(breach) = effective.exceeded(limit, value) else { return };
    let (written, bound) = (limit.quantity(value).to_string(), breach.constraint.value());
    found.push(Finding::of_policy(
        field,
        &*written,
        problem(&written),
        Against {
            code: Code::Limit,
            action: breach.action,
            origin: Some(breach.constraint.origin()),
            bound: format!("allows at most {}", limit.phrase(bound)),
            remedy: format!("write {} or less", limit.quantity(bound)),
            change: "raise the limit",
        },
    ));
}

fn is(value: &str) -> String {
    format!("is {value}")
}

/// Whether a name is allowed.
fn check_name(
    allowance: Allowance,
    name: &str,
    field: &str,
    problem: String,
    effective: &Effective,
    found: &mut Vec<Finding>,
) {
    let Some(breach) = effective.excluded(allowance, name) else { return };
    let excluding = breach.constraint.excluding(name).next();
    let (origin, allowed) =
        excluding.map_or((None, breach.constraint.patterns()), |(origin, allowed)| (Some(origin), allowed));
    found.push(Finding::of_policy(
        field,
        name,
        problem,
        Against {
            code: Code::Allowance,
            action: breach.action,
            origin,
            bound: format!("allows only {allowed}"),
            remedy: if allowed.is_empty() { "remove it".to_owned() } else { "write one of these".to_owned() },
            change: "allow it",
        },
    ));
}
