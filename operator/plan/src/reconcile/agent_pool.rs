//! What to do about an AgentPool: its agents, their credentials and their autoscaler.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube_core::ResourceExt;
use tetrarch_core::{
    id::Name,
    policy::{Action, Allowance, Allowed, Level},
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_protocol::summary::SupervisorReport;

use crate::{
    admit::Index,
    build::agents::{self, Place},
    effect::{BusUser, BusUserSecret, Effect, Plan},
    governance::{self, Standing, clamp, region},
    hierarchy,
    names::{self, Component, Position},
    object::{Kind, ObjectKey, controller_ref, is_deleting},
    parse::{
        self,
        agent_pool::{Pool, Size},
    },
    reason::{Finding, Reason},
    reconcile::{accepted_supervisor, all_violations, bus_name, position, prune, refused, takes_new},
    settings::Settings,
    violation::Violation,
};

/// What was read for one reconcile of an AgentPool.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Domain that the namespace belongs to, by [`crate::hierarchy::domain_of`].
    pub domain: Option<Arc<Domain>>,
    /// The Orchestrator of that Domain.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Supervisors in the namespace.
    pub supervisors: Vec<Arc<Supervisor>>,
    /// Other namespaces in which there is a Supervisor of the name that `spec.supervisorRef` gives, sorted.
    pub supervisor_elsewhere: Vec<String>,
    /// All AgentPools in the namespace, this one among them.
    pub siblings: Vec<Arc<AgentPool>>,
    /// The Deployment of the agents.
    pub deployment: Option<Arc<Deployment>>,
    /// Pods of that Deployment.
    pub pods: Vec<Arc<Pod>>,
    /// ServiceAccounts, Services, Deployments, PodDisruptionBudgets and HorizontalPodAutoscalers controlled by this pool.
    /// What is not wanted of them is deleted.
    pub children: BTreeSet<ObjectKey>,
    /// Report of the pool's Supervisor; the pool's work is in it.
    pub report: Option<Arc<SupervisorReport>>,
    /// The policies above it.
    pub index: Index,
}

/// Decides what to do. There is nothing to clean up: what a pool has in the cluster goes with it, and its Supervisor
/// removes it from the bus.
pub fn agent_pool(object: &AgentPool, observed: &Observed, now: Timestamp) -> Plan {
    if is_deleting(object) {
        return Plan::accepted(Vec::new());
    }
    let mut pool = match all_violations(parse::agent_pool::pool(object), policy_violations(object, observed)) {
        Ok(pool) => pool,
        Err(finding) => return Plan::refused(finding),
    };
    let admitted = match admit(object, observed) {
        Ok(admitted) => admitted,
        Err(finding) => return refused(object, finding, now),
    };
    let mut standing = governance::standing(object, &observed.index);
    if let Some(hold) = standing.hold.clone() {
        return Plan::refused(hold).under(standing);
    }
    standing.clamps = clamp::pool(&mut pool, &standing.effective);
    let regions = region::allowed(&standing.effective);
    if regions.as_ref().is_some_and(Vec::is_empty) {
        return Plan::refused(nowhere(&standing)).under(standing);
    }
    Plan::accepted(effects(object, &pool, &admitted, regions.as_deref(), observed)).under(standing)
}

fn policy_violations(object: &AgentPool, observed: &Observed) -> Vec<Violation> {
    let keys = observed.orchestrator.as_ref().map(|orchestrator| orchestrator.spec.signing_keys.as_slice());
    governance::violations(Level::AgentPool, object, &object.spec.policies, keys)
}

/// The policies leave no region, so that no pod could be placed anywhere.
fn nowhere(standing: &Standing) -> Finding {
    let allowed = standing.effective.at(Action::Deny).allow.get(&Allowance::Regions);
    let origins: Vec<String> = allowed.into_iter().flat_map(Allowed::declared).map(|(o, _)| o.to_string()).collect();
    let message = format!(
        "allow.regions: {} together leave no region that can be named: give them one in common, written in full",
        origins.join(" and ")
    );
    Finding::new(Reason::PolicyViolated, message)
}

/// Where an accepted pool stands.
struct Admitted {
    orchestrator: String,
    domain: Name,
    supervisor: Name,
}

fn admit(object: &AgentPool, observed: &Observed) -> Result<Admitted, Finding> {
    let namespace = object.namespace().unwrap_or_default();
    let (domain, orchestrator) = position(&namespace, observed.domain.as_ref(), observed.orchestrator.as_ref())?;
    let supervisor = accepted_supervisor(
        object.spec.supervisor_ref.as_ref(),
        &namespace,
        &observed.supervisors,
        &observed.supervisor_elsewhere,
    )?;
    let limit = orchestrator.spec.hierarchy.max_agents_per_supervisor;
    let within = hierarchy::pools_within_limit(supervisor.as_str(), &observed.siblings, limit);
    let is_this = |pool: &AgentPool| pool.metadata.name == object.metadata.name;
    let is_known = observed.siblings.iter().any(|sibling| is_this(sibling));
    if is_known && !within.iter().any(|pool| is_this(pool)) {
        let used: i32 = within.iter().map(|pool| hierarchy::largest_size(&pool.spec)).sum();
        let field = if object.spec.scaling.is_some() { "spec.scaling.max" } else { "spec.replicas" };
        return Err(Finding::new(
            Reason::LimitExceeded,
            format!(
                "{field}: this pool may have {} agents, but Supervisor {:?} takes {limit} in all (spec.hierarchy.maxAgentsPerSupervisor of Orchestrator {:?}) and its accepted pools may have {used}: lower {field} here or in another pool, or raise the limit",
                hierarchy::largest_size(&object.spec),
                supervisor.as_str(),
                orchestrator.name_any(),
            ),
        ));
    }
    if observed.deployment.is_none() {
        takes_new(orchestrator)?;
    }
    Ok(Admitted { orchestrator: orchestrator.name_any(), domain: bus_name(domain)?, supervisor })
}

fn effects(
    object: &AgentPool,
    pool: &Pool,
    admitted: &Admitted,
    regions: Option<&[String]>,
    observed: &Observed,
) -> Vec<Effect> {
    let Admitted { orchestrator, domain, supervisor } = admitted;
    let place = Place { orchestrator, domain, supervisor, regions };
    let objects = agents::objects(object, pool, place, &observed.settings);
    let unwanted = prune(&observed.children, &objects);
    // Credentials before the pods that need them.
    let mut effects = vec![Effect::EnsureBusUser(Box::new(bus_user(object, pool, place)))];
    // An autoscaler that is not wanted goes before the pool takes the number of agents back.
    effects.extend(unwanted);
    effects.extend(hand_over(object, pool, observed));
    effects.extend(objects.into_iter().map(|child| Effect::Apply(Box::new(child))));
    effects
}

/// When the number of agents goes from the pool to the autoscaler, somebody must own it in between: a field that its only
/// owner lets go of is reset to its default, and all agents but one would stop. The Deployment's annotation tells who owned
/// it before; it changes with the apply that follows, so this happens once.
fn hand_over(object: &AgentPool, pool: &Pool, observed: &Observed) -> Option<Effect> {
    let deployment = observed.deployment.as_deref()?;
    let owner = deployment.annotations().get(names::ANNOTATION_REPLICAS_OWNER)?;
    if !matches!(pool.size, Size::Automatic(_)) || owner != agents::OWNED_BY_POOL {
        return None;
    }
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas)?;
    Some(Effect::HandOver(Box::new(agents::replicas_only(object, &pool.name, replicas))))
}

fn bus_user(object: &AgentPool, pool: &Pool, place: Place<'_>) -> BusUserSecret {
    let position = Position {
        orchestrator: Some(place.orchestrator),
        domain: Some(place.domain.as_str()),
        supervisor: Some(place.supervisor.as_str()),
        pool: Some(pool.name.as_str()),
    };
    BusUserSecret {
        domain: place.domain.clone(),
        user: BusUser::Pool { supervisor: place.supervisor.clone(), pool: pool.name.clone() },
        secret: ObjectKey::namespaced(
            Kind::Secret,
            object.namespace().unwrap_or_default(),
            names::pool_bus_secret(pool.name.as_str()),
        ),
        labels: names::labels(Component::Agent, pool.name.as_str(), position),
        owner: controller_ref(object),
    }
}
