//! What a reconcile of a Workflow needs.

use kube::ResourceExt;
use tetrarch_crds::Workflow;
use tetrarch_plan::{names, reconcile::workflow::Observed};
use tetrarch_protocol::summary;

use super::report;
use crate::context::Context;

/// Reads it.
pub fn workflow(context: &Context, object: &Workflow) -> Observed {
    let world = &context.world;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let reference = object.spec.supervisor_ref.as_ref().map(|reference| reference.name.as_str());
    let domain = world.domain_of(&namespace);
    let supervisor = reference.unwrap_or(names::DEFAULT_SUPERVISOR).parse().ok();
    let key = supervisor
        .zip(object.name_any().parse().ok())
        .map(|(supervisor, workflow)| summary::workflow_key(&supervisor, &workflow));
    Observed {
        orchestrator: domain.as_ref().and_then(|domain| world.orchestrator_of(domain)),
        supervisors: world.supervisors_in(&namespace),
        supervisor_elsewhere: world.supervisor_elsewhere(reference, &namespace),
        pools: world.pools_in(&namespace),
        workflows: world.workflows_in(&namespace),
        summary: key.and_then(|key| report(context, domain.as_deref(), &key)),
        index: world.hierarchy.latest(),
        domain,
    }
}
