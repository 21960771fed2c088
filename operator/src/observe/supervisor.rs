//! What a reconcile of a Supervisor needs.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use tetrarch_crds::{AgentPool, Supervisor};
use tetrarch_plan::{
    governance,
    names::{self, Component},
    object::Kind,
    reconcile::supervisor::Observed,
};
use tetrarch_protocol::summary;

use super::supervisor_report;
use crate::{context::Context, world::World};

/// Kinds that a Supervisor controls.
const CHILDREN: [Kind; 4] = [Kind::ServiceAccount, Kind::Service, Kind::Deployment, Kind::PodDisruptionBudget];

/// Reads it.
pub fn supervisor(context: &Context, object: &Supervisor) -> Observed {
    let world = &context.world;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.name_any();
    let domain = world.domain_of(&namespace);
    let key = name.parse().ok().map(|name| summary::supervisor_key(&name));
    let pools = world.pools_in(&namespace);
    Observed {
        settings: context.settings.clone(),
        orchestrator: domain.as_ref().and_then(|domain| world.orchestrator_of(domain)),
        siblings: world.supervisors_in(&namespace),
        deployment: world.deployment(&namespace, &names::supervisor_runtime(&name)),
        pods: world.pods(&namespace, Component::Supervisor, &name),
        children: world.children_of(&namespace, object.metadata.uid.as_deref(), &CHILDREN),
        report: key.and_then(|key| supervisor_report(context, domain.as_deref(), &key)),
        workflows: world.workflows_in(&namespace),
        pool_deployments: deployments_of_held(world, &namespace, &pools),
        index: world.hierarchy.latest(),
        ledger: domain.as_ref().and_then(|domain| context.ledgers.of(&domain.spec.orchestrator_ref.name)),
        pools,
        domain,
    }
}

/// The Deployments of those pools whose change waits for an approval.
fn deployments_of_held(world: &World, namespace: &str, pools: &[Arc<AgentPool>]) -> Vec<Arc<Deployment>> {
    let held = pools.iter().filter(|pool| governance::is_held(pool.as_ref()));
    held.filter_map(|pool| world.deployment(namespace, &names::pool_agents(&pool.name_any()))).collect()
}
