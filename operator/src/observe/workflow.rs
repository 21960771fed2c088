//! What a reconcile of a Workflow needs.

use kube::ResourceExt;
use tetrarch_core::id::Name;
use tetrarch_crds::Workflow;
use tetrarch_plan::{names, reconcile::workflow::Observed};
use tetrarch_protocol::summary;

use super::{report, supervisor_report};
use crate::context::Context;

/// Reads it.
pub fn workflow(context: &Context, object: &Workflow) -> Observed {
    let world = &context.world;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let reference = object.spec.supervisor_ref.as_ref().map(|reference| reference.name.as_str());
    let domain = world.domain_of(&namespace);
    let supervisor = reference.unwrap_or(names::DEFAULT_SUPERVISOR).parse::<Name>().ok();
    let workflow = object.name_any().parse::<Name>().ok();
    let place = supervisor.as_ref().zip(workflow.as_ref());
    let key = place.map(|(supervisor, workflow)| summary::workflow_key(supervisor, workflow));
    let load = supervisor.map(|supervisor| summary::supervisor_key(&supervisor));
    let reported = load.and_then(|key| supervisor_report(context, domain.as_deref(), &key));
    let known = |workflow: &Name| reported.as_ref()?.webhooks_without_secret.get(workflow).cloned();
    Observed {
        without_secret: workflow.and_then(|workflow| known(&workflow)).unwrap_or_default(),
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
