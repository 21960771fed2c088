//! The decisions: one total function per kind from what was observed to what is to be done.
//!
//! Each module holds an `Observed`, everything that was read for one reconcile. An invalid spec is a plan without writes;
//! a deletion is an input like any other.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use kube_core::{Resource, ResourceExt};
use tetrarch_core::id::Name;
use tetrarch_crds::{Domain, Orchestrator, Supervisor, shared::NameRef};

use crate::{
    conditions::{self, HasConditions},
    effect::{Effect, Plan},
    hierarchy, names,
    object::{Object, ObjectKey},
    reason::{Finding, Reason},
    violation::{self, Violation},
};

/// Deletes of the children that exist and are not wanted any more.
fn prune(existing: &BTreeSet<ObjectKey>, wanted: &[Object]) -> Vec<Effect> {
    existing
        .iter()
        .filter(|key| !wanted.iter().any(|object| object.key == **key))
        .cloned()
        .map(Effect::Delete)
        .collect()
}

/// The Domain and Orchestrator that an object in a namespace is under, both accepted.
fn position<'a>(
    namespace: &str,
    domain: Option<&'a Arc<Domain>>,
    orchestrator: Option<&'a Arc<Orchestrator>>,
) -> Result<(&'a Domain, &'a Orchestrator), Finding> {
    let domain = domain.map(AsRef::as_ref).ok_or_else(|| {
        Finding::new(
            Reason::DomainNotFound,
            format!("namespace {namespace:?} belongs to no Domain: create this object in the namespace of a Domain, or a Domain with spec.namespace {namespace:?}"),
        )
    })?;
    match orchestrator {
        Some(orchestrator) if hierarchy::carries(domain, names::FINALIZER_DOMAIN) => Ok((domain, orchestrator)),
        _ => Err(Finding::new(
            Reason::DomainNotAccepted,
            format!("Domain {:?} is not accepted: see its condition Accepted", domain.name_any()),
        )),
    }
}

/// Time from its creation that an object is given until what it refers to must be there. Manifests are applied in any
/// order; who waits for all of them should not see a failure that the next second repairs.
const GRACE: SignedDuration = SignedDuration::from_secs(20);

/// Until when an object may wait for what it refers to.
pub(crate) fn end_of_grace<K: Resource>(object: &K, now: Timestamp) -> Timestamp {
    let created = object.meta().creation_timestamp.as_ref().map_or(now, |time| time.0);
    created.checked_add(GRACE).unwrap_or(created)
}

/// The plan for an object that is not accepted, which looks again when the grace for a missing reference ends.
fn refused<K: Resource>(object: &K, finding: Finding, now: Timestamp) -> Plan {
    let (is_missing, end) = (finding.reason.is_missing_reference(), end_of_grace(object, now));
    let plan = Plan::refused(finding);
    if is_missing && now < end { plan.wake_at(end) } else { plan }
}

/// The time until which the deletion of an object waits for others to clean up.
fn patience<K: Resource>(object: &K, now: Timestamp) -> Timestamp {
    const PATIENCE: SignedDuration = SignedDuration::from_secs(120);
    let since = object.meta().deletion_timestamp.as_ref().map_or(now, |time| time.0);
    since.checked_add(PATIENCE).unwrap_or(since)
}

/// The name of a Domain as its bus account has it.
fn bus_name(domain: &Domain) -> Result<Name, Finding> {
    domain.name_any().parse().map_err(|error| Finding::new(Reason::DomainNotAccepted, format!("Domain: {error}")))
}

/// The name of the Supervisor that a pool or Workflow belongs to.
///
/// Whether the Supervisor itself is accepted is told when it says so: before its first report nothing is known against it.
fn accepted_supervisor(
    reference: Option<&NameRef>,
    namespace: &str,
    supervisors: &[Arc<Supervisor>],
    elsewhere: &[String],
) -> Result<Name, Finding> {
    let supervisor = hierarchy::supervisor_of(reference, namespace, supervisors, elsewhere)?;
    let refused = Finding::new(
        Reason::SupervisorNotAccepted,
        format!("Supervisor {:?} is not accepted: see its condition Accepted", supervisor.name_any()),
    );
    let accepted = conditions::find(supervisor.conditions(), conditions::ACCEPTED);
    let carries = hierarchy::carries(supervisor.as_ref(), names::FINALIZER_SUPERVISOR);
    if accepted.is_some_and(|condition| condition.status == "False") && !carries {
        return Err(refused);
    }
    supervisor.name_any().parse().map_err(|_| refused)
}

/// An Orchestrator whose spec is not valid takes nothing new below it: its policies may be what cannot be read.
fn takes_new(orchestrator: &Orchestrator) -> Result<(), Finding> {
    let accepted = conditions::find(orchestrator.conditions(), conditions::ACCEPTED);
    if accepted.is_some_and(|condition| condition.status == "False") {
        let message = format!(
            "Orchestrator {:?} is not accepted and takes nothing new: see its condition Accepted",
            orchestrator.name_any()
        );
        return Err(Finding::new(Reason::OrchestratorNotAccepted, message));
    }
    Ok(())
}

/// Everything that is wrong with a spec: what its parser found, and its policies.
fn all_violations<T>(parsed: Result<T, Vec<Violation>>, mut of_policies: Vec<Violation>) -> Result<T, Finding> {
    match parsed {
        Ok(parsed) if of_policies.is_empty() => Ok(parsed),
        Ok(_) => Err(violation::finding(&of_policies)),
        Err(mut violations) => {
            violations.append(&mut of_policies);
            Err(violation::finding(&violations))
        }
    }
}
