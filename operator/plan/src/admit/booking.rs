//! What a write means for capacity: which claim has to be booked before it may be stored.

use kube_core::ResourceExt;
use tetrarch_core::{
    capacity::{Claim, Declared, Key, Quota, Refusal, Resource},
    policy::Level,
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};

use super::{
    finding::{Code, Finding},
    index::{Index, supervisor_name},
    place::Place,
    review::Manifest,
    verdict::Booking,
};
use crate::{
    parse::{demand, quota::quota},
    violation::Violations,
};

/// What an object declares, as the ledger counts it; none for kinds without a part in capacity. Names that cannot be found
/// yet are left out of its parents.
pub fn declared(manifest: &Manifest, domain: Option<&Domain>) -> Option<(Key, Declared)> {
    match manifest {
        Manifest::Orchestrator(object) => Some(of_orchestrator(object)),
        Manifest::Domain(object) => Some(of_domain(object)),
        Manifest::Supervisor(object) => Some(of_supervisor(object, domain)),
        Manifest::AgentPool(object) => Some(of_pool(object, domain)),
        Manifest::Workflow(_) | Manifest::Pod(_) => None,
    }
}

/// What an Orchestrator declares.
pub fn of_orchestrator(object: &Orchestrator) -> (Key, Declared) {
    let quota = quota("spec.capacity", object.spec.capacity.as_ref(), &mut Violations::default());
    (Key::orchestrator(object.name_any()), Declared { quota, ..Declared::default() })
}

/// What a Domain declares.
pub fn of_domain(object: &Domain) -> (Key, Declared) {
    let quota = quota("spec.quota", object.spec.quota.as_ref(), &mut Violations::default());
    let parents = vec![Key::orchestrator(&object.spec.orchestrator_ref.name)];
    (Key::domain(object.name_any()), Declared { parents, quota, ..Declared::default() })
}

/// What a Supervisor declares in the namespace of a Domain.
pub fn of_supervisor(object: &Supervisor, domain: Option<&Domain>) -> (Key, Declared) {
    let quota = quota("spec.quota", object.spec.quota.as_ref(), &mut Violations::default());
    let declared = Declared { parents: above(domain), own: demand::supervisor(object), quota };
    (Key::supervisor(object.namespace().unwrap_or_default(), object.name_any()), declared)
}

/// What a pool declares in the namespace of a Domain.
pub fn of_pool(object: &AgentPool, domain: Option<&Domain>) -> (Key, Declared) {
    let namespace = object.namespace().unwrap_or_default();
    let mut parents = vec![Key::supervisor(&namespace, supervisor_name(object.spec.supervisor_ref.as_ref()))];
    parents.extend(above(domain));
    let declared = Declared { parents, own: demand::pool(object), quota: Quota::default() };
    (Key::pool(namespace, object.name_any()), declared)
}

fn above(domain: Option<&Domain>) -> Vec<Key> {
    let Some(domain) = domain else { return Vec::new() };
    vec![Key::domain(domain.name_any()), Key::orchestrator(&domain.spec.orchestrator_ref.name)]
}

/// The booking for a write; none when nothing changes for capacity, or when the hierarchy above is not there yet.
pub(super) fn booking(new: &Manifest, old: Option<&Manifest>, place: &Place<'_>, index: &Index) -> Option<Booking> {
    let domain = place.domain.map(super::index::DomainNode::object);
    let orchestrator = match new {
        Manifest::Orchestrator(object) => object.name_any(),
        Manifest::Domain(object) => object.spec.orchestrator_ref.name.clone(),
        _ => domain?.spec.orchestrator_ref.name.clone(),
    };
    if !matches!(new, Manifest::Orchestrator(_)) {
        index.orchestrator(&orchestrator)?;
    }
    let (key, wanted) = declared(new, domain)?;
    if old.is_some_and(|old| declared(old, domain).is_some_and(|(_, before)| before == wanted)) {
        return None;
    }
    let metadata = new.metadata();
    let base = old.map(|old| old.metadata().generation.unwrap_or_default());
    Some(Booking {
        orchestrator,
        claim: Claim { key, uid: metadata.uid.clone().unwrap_or_default(), base, declared: wanted },
    })
}

/// Why a claim that there is no room for is refused: the field of the object that asks for too much. The sentence of the
/// refusal names the remedy.
pub fn refused(key: &Key, refusal: &Refusal) -> Finding {
    let field = refusal.resource().map_or_else(|| "spec".to_owned(), |resource| field(key.level, resource));
    Finding::denied(Code::Capacity, field, refusal.to_string(), "")
}

/// The field of an object of a level that asks for a resource.
pub fn field(level: Level, resource: Resource) -> String {
    match (level, resource) {
        (Level::AgentPool, Resource::Agents) => "spec.scaling.max or spec.replicas".to_owned(),
        (Level::AgentPool, Resource::Cpu | Resource::Memory | Resource::Gpus) => "spec.agent.resources".to_owned(),
        (Level::AgentPool, _) => format!("spec.budget.{resource}"),
        (Level::Orchestrator, _) => format!("spec.capacity.{resource}"),
        (Level::Supervisor, Resource::Cpu | Resource::Memory | Resource::Gpus) => {
            format!("spec.quota.{resource} or spec.resources")
        }
        (_, _) => format!("spec.quota.{resource}"),
    }
}
