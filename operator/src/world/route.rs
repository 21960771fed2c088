//! What a change wakes: the object itself, those above that count it, and those below and beside that depend on it.
//!
//! A change of nothing but the status goes up and never wakes the object itself, so that no report wakes its own writer.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Resource, ResourceExt, api::ObjectMeta};
use tetrarch_crds::{AgentPool, Domain, GROUP, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{
    conditions::{ACCEPTED, HasConditions, find},
    hierarchy::{self, namespace_of},
    names,
};
use tetrarch_protocol::summary::SupervisorReport;

use super::World;
use crate::target::Target;

/// How much of an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Only its status, and not Accepted.
    Report,
    /// Accepted, which children look at.
    Standing,
    /// The object itself: it came, went, or was edited.
    Object,
}

fn change<K: Resource + HasConditions>(old: Option<&K>, new: Option<&K>) -> Change {
    let (Some(old), Some(new)) = (old, new) else { return Change::Object };
    if edited(old.meta(), new.meta()) {
        return Change::Object;
    }
    let standing = |object: &K| find(object.conditions(), ACCEPTED).map(|condition| condition.status.clone());
    if standing(old) == standing(new) { Change::Report } else { Change::Standing }
}

/// Whether decisions of the webhook may read what changed: all but reports.
pub fn is_for_decisions<K: Resource + HasConditions>(old: Option<&K>, new: Option<&K>) -> bool {
    change(old, new) > Change::Report
}

/// Whether more than the status differs.
fn edited(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    old.uid != new.uid
        || old.generation != new.generation
        || old.deletion_timestamp != new.deletion_timestamp
        || old.finalizers != new.finalizers
        || old.labels != new.labels
        || old.annotations != new.annotations
        || old.owner_references != new.owner_references
}

/// Whether an object came, or went, or is about to go: what counts of siblings look at.
fn came_or_went<K: Resource>(old: Option<&K>, new: Option<&K>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return true };
    old.meta().deletion_timestamp != new.meta().deletion_timestamp || old.meta().uid != new.meta().uid
}

/// Whether `sibling` comes after `object` where limits are shared out by age. Only those can be affected by it.
fn is_younger<K: Resource>(sibling: &K, object: &K) -> bool {
    hierarchy::age(sibling) > hierarchy::age(object)
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.meta().namespace.clone().unwrap_or_default(), object.name_any())
}

fn supervisor_name(reference: Option<&tetrarch_crds::shared::NameRef>) -> &str {
    reference.map_or(names::DEFAULT_SUPERVISOR, |reference| reference.name.as_str())
}

impl World {
    /// An Orchestrator changed: its Domains and everything in them read its depth, limits and classes.
    pub fn route_orchestrator(&self, old: Option<&Orchestrator>, new: Option<&Orchestrator>) -> Vec<Target> {
        let Some(name) = new.or(old).map(ResourceExt::name_any) else { return Vec::new() };
        let change = change(old, new);
        let mut woken = BTreeSet::new();
        if change == Change::Object {
            woken.insert(Target::Orchestrator(name.clone()));
        }
        if change > Change::Report {
            for domain in self.domains_of(&name) {
                woken.insert(Target::Domain(domain.name_any()));
                self.add_inhabitants(&namespace_of(&domain), &mut woken);
            }
        }
        woken.into_iter().collect()
    }

    /// A Domain changed.
    pub fn route_domain(&self, old: Option<&Domain>, new: Option<&Domain>) -> Vec<Target> {
        let change = change(old, new);
        let mut woken = BTreeSet::new();
        for domain in [old, new].into_iter().flatten() {
            let orchestrator = &domain.spec.orchestrator_ref.name;
            woken.insert(Target::Orchestrator(orchestrator.clone()));
            if change == Change::Object {
                woken.insert(Target::Domain(domain.name_any()));
            }
            if came_or_went(old, new) {
                // They count each other, and may claim the same namespace.
                let siblings = self.domains_of(orchestrator);
                let younger = siblings.iter().filter(|sibling| is_younger(sibling.as_ref(), domain));
                woken.extend(younger.map(|sibling| Target::Domain(sibling.name_any())));
            }
            if change > Change::Report {
                self.add_inhabitants(&namespace_of(domain), &mut woken);
            }
        }
        if let (Change::Object, Some(domain)) = (change, new.or(old)) {
            // What it exports may be what they import.
            let name = domain.name_any();
            let imports = |other: &Domain| other.spec.imports.iter().any(|import| import.from == name);
            let others = self.domains_of(&domain.spec.orchestrator_ref.name);
            let importers = others.iter().filter(|other| imports(other));
            woken.extend(importers.map(|importer| Target::Domain(importer.name_any())));
        }
        woken.into_iter().collect()
    }

    /// A Supervisor changed.
    pub fn route_supervisor(&self, old: Option<&Supervisor>, new: Option<&Supervisor>) -> Vec<Target> {
        let Some(object) = new.or(old) else { return Vec::new() };
        let change = change(old, new);
        let (namespace, name) = key(object);
        let mut woken = BTreeSet::new();
        self.add_domain(&namespace, &mut woken);
        if change == Change::Object {
            woken.insert(Target::Supervisor(namespace.clone(), name.clone()));
        }
        if came_or_went(old, new) {
            let siblings = self.supervisors_in(&namespace);
            let younger = siblings.iter().filter(|sibling| is_younger(sibling.as_ref(), object));
            woken.extend(younger.map(|sibling| Target::Supervisor(namespace.clone(), sibling.name_any())));
        }
        if change > Change::Report {
            for pool in self.pools_in(&namespace) {
                if hierarchy::belongs_to(pool.spec.supervisor_ref.as_ref(), &name) {
                    woken.insert(Target::AgentPool(namespace.clone(), pool.name_any()));
                }
            }
        }
        // The deletion of a Workflow waits for a runtime that can clean up after it.
        let can_clean = |object: &Supervisor| object.status.as_ref().is_some_and(|status| status.ready_replicas > 0);
        if change > Change::Report || old.is_some_and(can_clean) != new.is_some_and(can_clean) {
            self.add_workflows(&namespace, &name, &mut woken);
        }
        woken.into_iter().collect()
    }

    /// An AgentPool changed.
    pub fn route_pool(&self, old: Option<&AgentPool>, new: Option<&AgentPool>) -> Vec<Target> {
        let change = change(old, new);
        // Pools share their Supervisor's limit on agents.
        let share = |pool: &AgentPool| (hierarchy::largest_size(&pool.spec), pool.spec.supervisor_ref.clone());
        let resized = came_or_went(old, new) || old.map(share) != new.map(share);
        let mut woken = BTreeSet::new();
        for pool in [old, new].into_iter().flatten() {
            let (namespace, name) = key(pool);
            let supervisor = supervisor_name(pool.spec.supervisor_ref.as_ref());
            self.add_domain(&namespace, &mut woken);
            woken.insert(Target::Supervisor(namespace.clone(), supervisor.to_owned()));
            if change == Change::Object {
                woken.insert(Target::AgentPool(namespace.clone(), name));
                // Workflows name pools and capabilities.
                self.add_workflows(&namespace, supervisor, &mut woken);
            }
            if resized {
                self.add_rivals(pool, supervisor, &mut woken);
            }
        }
        woken.into_iter().collect()
    }

    /// A Workflow changed.
    pub fn route_workflow(&self, old: Option<&Workflow>, new: Option<&Workflow>) -> Vec<Target> {
        let Some(object) = new.or(old) else { return Vec::new() };
        let is_object = change(old, new) == Change::Object;
        // Counted by those above.
        let compliance = |workflow: &Workflow| workflow.status.as_ref().map(|status| status.compliance.clone());
        let is_counted = old.and_then(compliance) != new.and_then(compliance);
        let (namespace, name) = key(object);
        let mut woken = BTreeSet::new();
        if is_object {
            // Those that begin runs of it, or follow its runs, look whether it is there, and what it begins or follows in turn.
            let calls = |other: &Workflow| other.spec.steps.iter().any(|step| step.workflow.is_some());
            let begins = |other: &Workflow| calls(other) || !other.spec.triggers.is_empty();
            let others = self.workflows_in(&namespace);
            let callers = others.iter().filter(|other| begins(other));
            woken.extend(callers.map(|caller| Target::Workflow(namespace.clone(), caller.name_any())));
            woken.insert(Target::Workflow(namespace.clone(), name));
        }
        // Its Supervisor makes credentials for whoever publishes events, and mounts the secrets of webhooks.
        let messages = |workflow: &Workflow| {
            let hooks = hierarchy::webhooks(workflow).map(|(name, secret)| (name.to_owned(), secret.clone()));
            (hierarchy::has_event_trigger(workflow), hooks.collect::<Vec<_>>())
        };
        if old.is_none() || new.is_none() || is_counted || old.map(messages) != new.map(messages) {
            self.add_domain(&namespace, &mut woken);
            let supervisor = supervisor_name(object.spec.supervisor_ref.as_ref());
            woken.insert(Target::Supervisor(namespace, supervisor.to_owned()));
        }
        woken.into_iter().collect()
    }

    /// A Namespace changed: the Domains that claim it look at it.
    pub fn route_namespace(&self, old: Option<&Namespace>, new: Option<&Namespace>) -> Vec<Target> {
        let Some(name) = new.or(old).map(ResourceExt::name_any) else { return Vec::new() };
        let domains = self.domains_that_claim(&name);
        domains.into_iter().map(|domain| Target::Domain(domain.name_any())).collect()
    }

    /// A child changed: its controller, or the Domain that its labels name, looks at it.
    pub fn route_child<K: Resource>(&self, old: Option<&K>, new: Option<&K>) -> Vec<Target> {
        let mut woken = BTreeSet::new();
        for meta in [old, new].into_iter().flatten().map(Resource::meta) {
            let namespace = meta.namespace.clone().unwrap_or_default();
            let owners = meta.owner_references.as_deref().unwrap_or_default();
            let controller = owners.iter().find(|owner| owner.controller == Some(true));
            match controller.filter(|owner| owner.api_version.starts_with(GROUP)) {
                Some(owner) if owner.kind == "AgentPool" => {
                    woken.insert(Target::AgentPool(namespace, owner.name.clone()));
                }
                Some(owner) if owner.kind == "Supervisor" => {
                    woken.insert(Target::Supervisor(namespace, owner.name.clone()));
                }
                Some(owner) if owner.kind == "Domain" => {
                    woken.insert(Target::Domain(owner.name.clone()));
                }
                _ => self.add_domain(&namespace, &mut woken),
            }
        }
        woken.into_iter().collect()
    }

    /// A pod changed: the pool or Supervisor whose runtime it is looks at it.
    pub fn route_pod(&self, old: Option<&Pod>, new: Option<&Pod>) -> Vec<Target> {
        let Some(pod) = new.or(old) else { return Vec::new() };
        let label = |key: &str| pod.labels().get(key).cloned();
        let namespace = pod.namespace().unwrap_or_default();
        let component = label(names::LABEL_COMPONENT);
        let is = |wanted: names::Component| component.as_deref() == Some(wanted.as_str());
        if is(names::Component::Agent) {
            label(names::LABEL_POOL).map(|pool| Target::AgentPool(namespace, pool)).into_iter().collect()
        } else if is(names::Component::Supervisor) {
            label(names::LABEL_SUPERVISOR).map(|name| Target::Supervisor(namespace, name)).into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// The reachability of a Domain's account on the bus changed.
    pub fn route_bus(&self, domain: &str) -> Vec<Target> {
        let mut woken = BTreeSet::from([Target::Domain(domain.to_owned())]);
        if let Some(domain) = self.domain(domain) {
            self.add_inhabitants(&namespace_of(&domain), &mut woken);
        }
        woken.into_iter().collect()
    }

    /// A report of a Supervisor arrived on the bus in place of the one before it. Of its pools those are woken of which it
    /// says something else.
    pub fn route_report(&self, domain: &str, key: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<Target> {
        let Some(domain) = self.domain(domain) else { return Vec::new() };
        let namespace = namespace_of(&domain);
        let parts: Vec<&str> = key.split('.').collect();
        match parts.as_slice() {
            ["workflow", _, workflow] => vec![Target::Workflow(namespace, (*workflow).to_owned())],
            ["supervisor", supervisor] => {
                let read = |report: Option<&[u8]>| -> SupervisorReport {
                    report.and_then(|report| serde_json::from_slice(report).ok()).unwrap_or_default()
                };
                let (before, after) = (read(before), read(after));
                let hooks = before.webhooks_without_secret.keys().chain(after.webhooks_without_secret.keys());
                let problems =
                    |report: &SupervisorReport, workflow| report.webhooks_without_secret.get(workflow).cloned();
                let workflows: BTreeSet<Target> = hooks
                    .filter(|workflow| problems(&before, *workflow) != problems(&after, *workflow))
                    .map(|workflow| Target::Workflow(namespace.clone(), workflow.to_string()))
                    .collect();
                let (before, after) = (before.pools, after.pools);
                let known = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
                let changed = known.into_iter().filter(|pool| before.get(*pool) != after.get(*pool));
                let pools = changed.map(|pool| Target::AgentPool(namespace.clone(), pool.clone()));
                let supervisor = Target::Supervisor(namespace.clone(), (*supervisor).to_owned());
                pools.chain([supervisor]).chain(workflows).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Everything there is, for a new leader.
    pub fn everything(&self) -> Vec<Target> {
        let mut all: BTreeSet<Target> =
            self.orchestrators.state().iter().map(|object| Target::Orchestrator(object.name_any())).collect();
        all.extend(self.domains.state().iter().map(|object| Target::Domain(object.name_any())));
        for (namespace, name) in self.supervisors.state().iter().map(|object| key(object.as_ref())) {
            all.insert(Target::Supervisor(namespace, name));
        }
        for (namespace, name) in self.pools.state().iter().map(|object| key(object.as_ref())) {
            all.insert(Target::AgentPool(namespace, name));
        }
        for (namespace, name) in self.workflows.state().iter().map(|object| key(object.as_ref())) {
            all.insert(Target::Workflow(namespace, name));
        }
        all.into_iter().collect()
    }

    fn add_domain(&self, namespace: &str, woken: &mut BTreeSet<Target>) {
        woken.extend(self.domain_of(namespace).map(|domain| Target::Domain(domain.name_any())));
    }

    /// The Workflows that belong to a Supervisor.
    fn add_workflows(&self, namespace: &str, supervisor: &str, woken: &mut BTreeSet<Target>) {
        for workflow in self.workflows_in(namespace) {
            if hierarchy::belongs_to(workflow.spec.supervisor_ref.as_ref(), supervisor) {
                woken.insert(Target::Workflow(namespace.to_owned(), workflow.name_any()));
            }
        }
    }

    /// The younger pools that share the limit on agents with a pool that came, went or changed its size, if there is not
    /// room for all of them with and without it.
    fn add_rivals(&self, pool: &AgentPool, supervisor: &str, woken: &mut BTreeSet<Target>) {
        let (namespace, _) = key(pool);
        let pools = self.pools_in(&namespace);
        let sharing =
            || pools.iter().filter(|rival| hierarchy::belongs_to(rival.spec.supervisor_ref.as_ref(), supervisor));
        let domain = self.domain_of(&namespace);
        let orchestrator = domain.and_then(|domain| self.orchestrator_of(&domain));
        let limit = orchestrator.map_or(0, |orchestrator| orchestrator.spec.hierarchy.max_agents_per_supervisor);
        let size = |pool: &AgentPool| i64::from(hierarchy::largest_size(&pool.spec));
        // The pool itself may count twice, as it was and as it is.
        if sharing().map(|rival| size(rival)).sum::<i64>() + size(pool) <= i64::from(limit) {
            return;
        }
        let younger = sharing().filter(|rival| is_younger(rival.as_ref(), pool));
        woken.extend(younger.map(|rival| Target::AgentPool(namespace.clone(), rival.name_any())));
    }

    fn add_inhabitants(&self, namespace: &str, woken: &mut BTreeSet<Target>) {
        let here = || namespace.to_owned();
        woken.extend(self.supervisors_in(namespace).iter().map(|o| Target::Supervisor(here(), o.name_any())));
        woken.extend(self.pools_in(namespace).iter().map(|o| Target::AgentPool(here(), o.name_any())));
        woken.extend(self.workflows_in(namespace).iter().map(|o| Target::Workflow(here(), o.name_any())));
    }
}

#[cfg(test)]
mod tests;
