//! What to do about a Supervisor: its runtime, and the configuration that the runtime follows on the bus.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube_core::ResourceExt;
use tetrarch_core::{capacity::Ledger, id::Name, policy::Level};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_protocol::{
    snapshot as config,
    summary::{self, SupervisorReport},
};

use crate::{
    admit::Index,
    build::{self, snapshot},
    effect::{BusUser, BusUserSecret, Effect, Plan},
    governance, hierarchy,
    names::{self, Component, Position},
    object::{Kind, ObjectKey, controller_ref, has_finalizer, is_deleting, skips_bus_cleanup, to_json},
    parse,
    reason::{Finding, Reason},
    reconcile::{all_violations, bus_name, patience, position, prune, refused, takes_new},
    settings::Settings,
};

/// What was read for one reconcile of a Supervisor.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Domain that the namespace belongs to, by [`crate::hierarchy::domain_of`].
    pub domain: Option<Arc<Domain>>,
    /// The Orchestrator of that Domain.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Supervisors in the namespace, this one among them.
    pub siblings: Vec<Arc<Supervisor>>,
    /// All AgentPools in the namespace.
    pub pools: Vec<Arc<AgentPool>>,
    /// All Workflows in the namespace.
    pub workflows: Vec<Arc<Workflow>>,
    /// The Deployment of the runtime.
    pub deployment: Option<Arc<Deployment>>,
    /// Pods of that Deployment.
    pub pods: Vec<Arc<Pod>>,
    /// ServiceAccounts, Services, Deployments and PodDisruptionBudgets controlled by this Supervisor. What is not wanted
    /// of them is deleted.
    pub children: BTreeSet<ObjectKey>,
    /// Deployments of those AgentPools whose change waits for an approval.
    pub pool_deployments: Vec<Arc<Deployment>>,
    /// The runtime's own report.
    pub report: Option<Arc<SupervisorReport>>,
    /// The policies above it.
    pub index: Index,
    /// What is booked below it; none before the ledger was read.
    pub ledger: Option<Arc<Ledger>>,
}

/// Decides what to do.
pub fn supervisor(object: &Supervisor, observed: &Observed, now: Timestamp) -> Plan {
    if is_deleting(object) {
        return deletion(object, observed, now);
    }
    let keys = observed.orchestrator.as_ref().map(|orchestrator| orchestrator.spec.signing_keys.as_slice());
    let of_policies = governance::violations(Level::Supervisor, object, &object.spec.policies, keys);
    let name = match all_violations(parse::supervisor::supervisor(object), of_policies) {
        Ok(name) => name,
        Err(finding) => return Plan::refused(finding),
    };
    let admitted = admit(object, observed);
    let (domain, orchestrator) = match &admitted {
        Ok(admitted) => admitted,
        Err(finding) => return refused(object, finding.clone(), now),
    };
    let standing = governance::standing(object, &observed.index);
    if !has_finalizer(object, names::FINALIZER_SUPERVISOR) {
        let plan = match standing.hold.clone() {
            Some(hold) => Plan::refused(hold),
            None => Plan::accepted(vec![Effect::AddFinalizer { finalizer: names::FINALIZER_SUPERVISOR }]),
        };
        return plan.under(standing);
    }
    let mut blockers = Vec::new();
    // Credentials and configuration before the pods that need them.
    let user = |user: BusUser, secret: String| {
        Effect::EnsureBusUser(Box::new(bus_user(object, domain, &name, orchestrator, (user, secret))))
    };
    let runtime = BusUser::Supervisor { supervisor: name.clone() };
    let mut effects = vec![user(runtime, names::supervisor_bus_secret(name.as_str()))];
    if hierarchy::hears_events(name.as_str(), &observed.workflows) {
        let publisher = BusUser::Publisher { supervisor: name.clone() };
        effects.push(user(publisher, names::supervisor_publisher_secret(name.as_str())));
    }
    match parse::orchestrator::priority_classes(&orchestrator.spec) {
        Ok(classes) => {
            let largest = orchestrator.spec.hierarchy.max_agents_per_supervisor;
            let pools = snapshot::Pools {
                all: &observed.pools,
                deployments: &observed.pool_deployments,
                largest,
                index: &observed.index,
            };
            let snapshot =
                snapshot::supervisor(name.as_str(), pools, classes, parse::orchestrator::telemetry(&orchestrator.spec));
            effects.push(Effect::PublishConfig {
                domain: domain.clone(),
                key: config::supervisor_key(&name),
                value: to_json(&snapshot),
            });
        }
        // The runtime goes on with the last classes that were valid.
        Err(_) => blockers.push(Finding::new(
            Reason::OrchestratorNotAccepted,
            format!("Orchestrator {:?} is not accepted: see its condition Accepted", orchestrator.name_any()),
        )),
    }
    if let Some(hold) = standing.hold.clone() {
        // What is below goes on under the runtime as it is, and may change.
        return Plan::held(hold, effects).blocked_by(blockers).under(standing);
    }
    let hooks = build::hooks::of(name.as_str(), &observed.workflows);
    let position = (domain.as_str(), orchestrator.name_any());
    let objects = build::supervisor::runtime(object, (position.0, &position.1), &observed.settings, &hooks);
    let unwanted = prune(&observed.children, &objects);
    effects.extend(objects.into_iter().map(|child| Effect::Apply(Box::new(child))));
    effects.extend(unwanted);
    Plan::accepted(effects).blocked_by(blockers).under(standing)
}

fn admit<'a>(object: &Supervisor, observed: &'a Observed) -> Result<(Name, &'a Orchestrator), Finding> {
    let namespace = object.namespace().unwrap_or_default();
    let (domain, orchestrator) = position(&namespace, observed.domain.as_ref(), observed.orchestrator.as_ref())?;
    let limit = orchestrator.spec.hierarchy.max_supervisors_per_domain;
    if !hierarchy::is_within_count(&object.name_any(), &observed.siblings, limit) {
        return Err(Finding::new(
            Reason::LimitExceeded,
            format!(
                "Domain {:?} takes {limit} Supervisors (spec.hierarchy.maxSupervisorsPerDomain of Orchestrator {:?}) and older ones use them up: raise the limit, or delete a Supervisor",
                domain.name_any(),
                orchestrator.name_any()
            ),
        ));
    }
    if !has_finalizer(object, names::FINALIZER_SUPERVISOR) {
        takes_new(orchestrator)?;
    }
    Ok((bus_name(domain)?, orchestrator))
}

/// A user with the Secret for its credentials.
fn bus_user(
    object: &Supervisor,
    domain: &Name,
    name: &Name,
    orchestrator: &Orchestrator,
    (user, secret): (BusUser, String),
) -> BusUserSecret {
    let orchestrator = orchestrator.name_any();
    let position = Position {
        orchestrator: Some(&orchestrator),
        domain: Some(domain.as_str()),
        supervisor: Some(name.as_str()),
        pool: None,
    };
    BusUserSecret {
        domain: domain.clone(),
        user,
        secret: ObjectKey::namespaced(Kind::Secret, object.namespace().unwrap_or_default(), secret),
        labels: names::labels(Component::Supervisor, name.as_str(), position),
        owner: controller_ref(object),
    }
}

/// The runtime goes first, or it would write again what is then removed. When the Domain goes as well, its account goes
/// with everything in it.
fn deletion(object: &Supervisor, observed: &Observed, now: Timestamp) -> Plan {
    if !has_finalizer(object, names::FINALIZER_SUPERVISOR) {
        return Plan::accepted(Vec::new());
    }
    let remove = Effect::RemoveFinalizer { finalizer: names::FINALIZER_SUPERVISOR };
    let names = observed.domain.as_deref().filter(|domain| !is_deleting(*domain) && !skips_bus_cleanup(object));
    let names = names.and_then(|domain| Some((bus_name(domain).ok()?, object.name_any().parse::<Name>().ok()?)));
    let Some((domain, supervisor)) = names else { return Plan::accepted(vec![remove]) };
    let until = patience(object, now);
    if (observed.deployment.is_some() || !observed.pods.is_empty()) && now < until {
        let deployment = observed.deployment.as_deref().filter(|deployment| !is_deleting(*deployment));
        let delete = deployment.map(|deployment| {
            let namespace = object.namespace().unwrap_or_default();
            Effect::Delete(ObjectKey::namespaced(Kind::Deployment, namespace, deployment.name_any()))
        });
        return Plan::accepted(delete.into_iter().collect())
            .blocked_by([Finding::new(Reason::Deleting, "waiting for the runtime to stop")])
            .wake_at(until);
    }
    Plan::accepted(vec![
        Effect::RetractConfig { domain: domain.clone(), key: config::supervisor_key(&supervisor) },
        Effect::RemoveSupervisorWork { domain: domain.clone(), supervisor: supervisor.clone() },
        Effect::RetractReport { domain, key: summary::supervisor_key(&supervisor) },
        remove,
    ])
}
