//! What a reconcile of a Supervisor needs.

use kube::ResourceExt;
use tetrarch_crds::Supervisor;
use tetrarch_plan::{
    names::{self, Component},
    object::Kind,
    reconcile::supervisor::Observed,
};
use tetrarch_protocol::summary;

use super::supervisor_report;
use crate::context::Context;

/// Kinds that a Supervisor controls.
const CHILDREN: [Kind; 4] = [Kind::ServiceAccount, Kind::Service, Kind::Deployment, Kind::PodDisruptionBudget];

/// Reads it.
pub fn supervisor(context: &Context, object: &Supervisor) -> Observed {
    let world = &context.world;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.name_any();
    let domain = world.domain_of(&namespace);
    let key = name.parse().ok().map(|name| summary::supervisor_key(&name));
    Observed {
        settings: context.settings.clone(),
        orchestrator: domain.as_ref().and_then(|domain| world.orchestrator_of(domain)),
        siblings: world.supervisors_in(&namespace),
        pools: world.pools_in(&namespace),
        deployment: world.deployment(&namespace, &names::supervisor_runtime(&name)),
        pods: world.pods(&namespace, Component::Supervisor, &name),
        children: world.children_of(&namespace, object.metadata.uid.as_deref(), &CHILDREN),
        report: key.and_then(|key| supervisor_report(context, domain.as_deref(), &key)),
        domain,
    }
}
