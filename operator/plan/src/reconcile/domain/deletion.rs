//! The end of a Domain, in stages: each waits until what depends on the next one is gone.

use std::sync::Arc;

use kube_core::{Resource, ResourceExt};
use tetrarch_crds::Domain;

use super::{Observed, tenure_of};
use crate::{
    build::namespace::{self, Tenure},
    effect::{Effect, Plan},
    hierarchy, names,
    object::{Kind, ObjectKey, has_finalizer, is_deleting, skips_bus_cleanup},
    reason::{Finding, Reason},
};

/// Workflows first, their runs need Supervisors; then pools, then Supervisors, then the namespace, then the account.
pub(super) fn plan(object: &Domain, observed: &Observed) -> Plan {
    if !has_finalizer(object, names::FINALIZER_DOMAIN) {
        return Plan::accepted(Vec::new());
    }
    let tenure = observed.namespace.as_deref().map(|namespace| tenure_of(object, namespace));
    // A namespace that is someone else's was never touched; only what is on the bus can be ours then.
    if !matches!(tenure, Some(Err(_))) {
        let stages = [
            living(Kind::Workflow, &observed.workflows),
            living(Kind::AgentPool, &observed.pools),
            living(Kind::Supervisor, &observed.supervisors),
        ];
        if let Some((kind, count, deletes)) = stages.into_iter().find(|(_, count, _)| *count > 0) {
            return waiting(deletes, format!("waiting for {count} {}s to be deleted", kind.as_str()));
        }
    }
    let mut effects = Vec::new();
    match tenure {
        Some(Ok(Tenure::Created)) => {
            let name = hierarchy::namespace_of(object);
            let gone = observed.namespace.as_deref().is_some_and(is_deleting);
            let delete = (!gone).then(|| Effect::Delete(ObjectKey::namespace(name.clone())));
            return waiting(delete.into_iter().collect(), format!("waiting for namespace {name:?} to be deleted"));
        }
        Some(Ok(Tenure::Adopted)) => {
            effects.extend(observed.children.iter().cloned().map(Effect::Delete));
            effects.push(Effect::Apply(Box::new(namespace::released_namespace(object))));
        }
        Some(Err(_)) | None => {}
    }
    if let Ok(domain) = object.name_any().parse()
        && !skips_bus_cleanup(object)
    {
        effects.push(Effect::RemoveBusAccount { domain });
    }
    effects.push(Effect::RemoveFinalizer { finalizer: names::FINALIZER_DOMAIN });
    Plan::accepted(effects)
}

fn waiting(effects: Vec<Effect>, message: String) -> Plan {
    Plan::accepted(effects).blocked_by([Finding::new(Reason::Deleting, message)])
}

/// How many there are, and the deletes of those that nobody has asked to delete yet.
fn living<K: Resource>(kind: Kind, objects: &[Arc<K>]) -> (Kind, usize, Vec<Effect>) {
    let mut keys: Vec<ObjectKey> = objects
        .iter()
        .filter(|object| !is_deleting(object.as_ref()))
        .map(|object| ObjectKey::namespaced(kind, object.namespace().unwrap_or_default(), object.name_any()))
        .collect();
    keys.sort();
    (kind, objects.len(), keys.into_iter().map(Effect::Delete).collect())
}
