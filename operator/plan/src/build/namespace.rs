//! The namespace of a Domain, and the release of one that was only taken over.

use serde_json::{Value, json};
use tetrarch_crds::Domain;

use crate::{
    hierarchy,
    names::{self, Component, Position},
    object::{Object, ObjectKey, controller_ref, to_json},
};

/// How a Domain has come to its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// The Domain made it and deletes it.
    Created,
    /// It existed and allowed the Domain in; it outlives the Domain.
    Adopted,
}

/// The namespace with the Pod Security level `restricted`. Only one that the Domain made itself gets an owner, because the
/// garbage collector deletes what has one.
pub fn namespace(domain: &Domain, name: &str, tenure: Tenure) -> Object {
    let mut labels = labels(domain, name);
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
    }
    let mut metadata = json!({ "labels": labels });
    if tenure == Tenure::Created
        && let Some(owner) = controller_ref(domain)
    {
        metadata["ownerReferences"] = json!([to_json(&owner)]);
    }
    Object::new(ObjectKey::namespace(name), json!({ "metadata": metadata }))
}

/// The namespace without any field of ours: applying it takes away what [`namespace`] had added to an adopted one.
pub fn released_namespace(domain: &Domain) -> Object {
    Object::new(ObjectKey::namespace(hierarchy::namespace_of(domain)), json!({}))
}

fn labels(domain: &Domain, name: &str) -> Value {
    let position = Position {
        orchestrator: Some(&domain.spec.orchestrator_ref.name),
        domain: domain.metadata.name.as_deref(),
        ..Position::default()
    };
    to_json(&names::labels(Component::Domain, name, position))
}
