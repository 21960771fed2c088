//! What a reconcile of an AgentPool needs.

use kube::ResourceExt;
use tetrarch_crds::AgentPool;
use tetrarch_plan::{
    names::{self, Component},
    object::Kind,
    reconcile::agent_pool::Observed,
};
use tetrarch_protocol::summary;

use super::supervisor_report;
use crate::context::Context;

/// Kinds that a pool controls.
const CHILDREN: [Kind; 5] =
    [Kind::ServiceAccount, Kind::Service, Kind::Deployment, Kind::PodDisruptionBudget, Kind::HorizontalPodAutoscaler];

/// Reads it.
pub fn agent_pool(context: &Context, object: &AgentPool) -> Observed {
    let world = &context.world;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.name_any();
    let reference = object.spec.supervisor_ref.as_ref().map(|reference| reference.name.as_str());
    let domain = world.domain_of(&namespace);
    let supervisor = reference.unwrap_or(names::DEFAULT_SUPERVISOR).parse().ok();
    let key = supervisor.map(|supervisor| summary::supervisor_key(&supervisor));
    Observed {
        settings: context.settings.clone(),
        orchestrator: domain.as_ref().and_then(|domain| world.orchestrator_of(domain)),
        supervisors: world.supervisors_in(&namespace),
        supervisor_elsewhere: world.supervisor_elsewhere(reference, &namespace),
        siblings: world.pools_in(&namespace),
        deployment: world.deployment(&namespace, &names::pool_agents(&name)),
        pods: world.pods(&namespace, Component::Agent, &name),
        children: world.children_of(&namespace, object.metadata.uid.as_deref(), &CHILDREN),
        report: key.and_then(|key| supervisor_report(context, domain.as_deref(), &key)),
        index: world.hierarchy.latest(),
        domain,
    }
}
