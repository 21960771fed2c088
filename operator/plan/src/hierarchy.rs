//! Who belongs to whom, and who is within the limits: the same answers for every controller, whichever looks first.

use std::sync::Arc;

use jiff::Timestamp;
use kube_core::{Resource, ResourceExt};
use tetrarch_crds::{AgentPool, AgentPoolSpec, Domain, Supervisor, Workflow, shared::NameRef, workflow::SecretKey};

use crate::{
    conditions, names,
    object::{has_finalizer, is_deleting},
    reason::{Finding, Reason},
};

/// The namespace of a Domain.
pub fn namespace_of(domain: &Domain) -> String {
    domain.spec.namespace.clone().unwrap_or_else(|| domain.name_any())
}

/// The Domain that a namespace belongs to: of those that claim it the one that is accepted, then the oldest.
pub fn domain_of<'a>(namespace: &str, domains: &'a [Arc<Domain>]) -> Option<&'a Arc<Domain>> {
    domains
        .iter()
        .filter(|d| namespace_of(d) == namespace)
        .min_by_key(|d| (!carries(d.as_ref(), names::FINALIZER_DOMAIN), age(d.as_ref())))
}

/// Sort key by age: the oldest first, by name among those of one second. What has no time yet is youngest.
pub fn age<K: Resource>(object: &K) -> (Timestamp, String) {
    let created = object.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    (created, object.name_any())
}

/// Whether the condition Accepted of an object is True, for deciding about its children.
pub fn is_accepted(object: &impl conditions::HasConditions) -> bool {
    conditions::is_true(object.conditions(), conditions::ACCEPTED)
}

/// Whether what is below an object may go on: it is accepted, or was, and only a change of it waits for an approval.
pub fn carries<K: Resource + conditions::HasConditions>(object: &K, finalizer: &str) -> bool {
    let waits = conditions::find(object.conditions(), conditions::ACCEPTED)
        .is_some_and(|condition| condition.reason == Reason::ApprovalRequired.as_str());
    is_accepted(object) || (waits && has_finalizer(object, finalizer))
}

/// The Supervisor that a pool or Workflow names in `supervisorRef`, else the one named `default`.
pub fn supervisor_of<'a>(
    reference: Option<&NameRef>,
    namespace: &str,
    supervisors: &'a [Arc<Supervisor>],
    elsewhere: &[String],
) -> Result<&'a Arc<Supervisor>, Finding> {
    let name = reference.map_or(names::DEFAULT_SUPERVISOR, |r| r.name.as_str());
    if let Some(found) = supervisors.iter().find(|s| s.name_any() == name) {
        return Ok(found);
    }
    let mut known: Vec<String> = supervisors.iter().map(|s| s.name_any()).collect();
    known.sort();
    let known =
        if known.is_empty() { "there is none yet".to_owned() } else { format!("there are: {}", known.join(", ")) };
    if reference.is_none() {
        return Err(Finding::new(
            Reason::SupervisorRequired,
            format!(
                "spec.supervisorRef: is missing and namespace {namespace:?} has no Supervisor named \"default\": write spec.supervisorRef.name ({known}), or set spec.hierarchy.depth of the Orchestrator to 3"
            ),
        ));
    }
    let message = match elsewhere {
        [] => format!(
            "spec.supervisorRef.name: namespace {namespace:?} has no Supervisor {name:?}: create it, or refer to an existing one ({known})"
        ),
        [first, ..] => format!(
            "spec.supervisorRef.name: Supervisor {name:?} is in namespace {first:?}, but a Supervisor only works in its own namespace {first:?}, and this object is in {namespace:?}: create this object there, or refer to a Supervisor of {namespace:?} ({known})"
        ),
    };
    Err(Finding::new(Reason::SupervisorNotFound, message))
}

/// Whether a pool or Workflow with this reference belongs to the Supervisor.
pub fn belongs_to(reference: Option<&NameRef>, supervisor: &str) -> bool {
    reference.map_or(names::DEFAULT_SUPERVISOR, |r| r.name.as_str()) == supervisor
}

/// The largest number of agents that a pool may have.
pub fn largest_size(spec: &AgentPoolSpec) -> i32 {
    match &spec.scaling {
        Some(scaling) => scaling.max,
        None => spec.replicas.unwrap_or(1),
    }
}

/// Whether `name` is among the `limit` oldest of its siblings that are not being deleted. An object that is not among
/// `siblings` at all, because the caller's view is older than the object, is judged when the view has caught up.
pub fn is_within_count<K: Resource>(name: &str, siblings: &[Arc<K>], limit: i32) -> bool {
    let mut living: Vec<_> = siblings.iter().filter(|s| !is_deleting(s.as_ref())).map(|s| age(s.as_ref())).collect();
    living.sort();
    let limit = usize::try_from(limit).unwrap_or(0);
    living.iter().position(|(_, sibling)| sibling == name).is_none_or(|rank| rank < limit)
}

/// Pools of a Supervisor that fit into its limit on agents: by age, each takes its largest size, and one that no longer
/// fits is left out without blocking smaller ones after it. Where there is room for all, nobody's age is looked at.
pub fn pools_within_limit<'a>(supervisor: &str, pools: &'a [Arc<AgentPool>], limit: i32) -> Vec<&'a Arc<AgentPool>> {
    let mut own: Vec<_> = pools_of(supervisor, pools).collect();
    if own.iter().map(|pool| i64::from(largest_size(&pool.spec))).sum::<i64>() <= i64::from(limit) {
        return own;
    }
    own.sort_by_cached_key(|pool| age(pool.as_ref()));
    let mut left = limit;
    own.retain(|pool| {
        let size = largest_size(&pool.spec);
        let fits = size <= left;
        if fits {
            left -= size;
        }
        fits
    });
    own
}

/// Whether events begin runs of a Workflow.
pub fn has_event_trigger(workflow: &Workflow) -> bool {
    workflow.spec.triggers.iter().any(|trigger| trigger.event.is_some())
}

/// The webhooks of a Workflow: the trigger, and where its secret is.
pub fn webhooks(workflow: &Workflow) -> impl Iterator<Item = (&str, &SecretKey)> {
    let triggers = workflow.spec.triggers.iter();
    triggers.filter_map(|trigger| Some((trigger.name.as_str(), &trigger.webhook.as_ref()?.secret_ref)))
}

/// Whether events begin runs of a Workflow of this Supervisor.
pub fn hears_events(supervisor: &str, workflows: &[Arc<Workflow>]) -> bool {
    let own = |workflow: &&Arc<Workflow>| belongs_to(workflow.spec.supervisor_ref.as_ref(), supervisor);
    workflows.iter().filter(own).any(|workflow| has_event_trigger(workflow))
}

/// Pools of a Supervisor that are not being deleted.
pub fn pools_of<'a>(supervisor: &str, pools: &'a [Arc<AgentPool>]) -> impl Iterator<Item = &'a Arc<AgentPool>> {
    pools.iter().filter(move |p| belongs_to(p.spec.supervisor_ref.as_ref(), supervisor) && !is_deleting(p.as_ref()))
}
