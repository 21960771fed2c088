//! The status of a Supervisor: its runtime, its report from the bus, the sums over its pools.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_crds::{Supervisor, SupervisorStatus};

use crate::{
    conditions::Health,
    effect::Plan,
    hierarchy, names,
    object::{Kind, ObjectKey},
    outcome::Outcome,
    reconcile::supervisor::Observed,
    report::{conditions_of, generation, rollup, workload},
};

/// The new status.
pub fn supervisor(
    object: &Supervisor,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> SupervisorStatus {
    let name = object.name_any();
    let pools: Vec<_> = hierarchy::pools_of(&name, &observed.pools).collect();
    let (agents, work) = rollup::pools(pools.iter().copied());
    let mut status = SupervisorStatus {
        observed_generation: generation(object),
        ready_replicas: workload::count(observed.deployment.as_deref()).ready,
        active_runs: observed.report.as_ref().map_or(0, |report| i64::try_from(report.active_runs).unwrap_or(i64::MAX)),
        pools: rollup::children(pools.iter().copied()),
        agents,
        work,
        ..SupervisorStatus::default()
    };
    let health = || {
        let namespace = object.namespace().unwrap_or_default();
        let key = ObjectKey::namespaced(Kind::Deployment, namespace, names::supervisor_runtime(&name));
        let runtime = workload::health(&key, observed.deployment.as_deref(), &observed.pods, outcome, "replicas");
        match runtime {
            // The runtime alone is well: then its pools decide.
            Health::Ready(finding) => {
                let summary =
                    format!("{}; {} are ready", finding.message, rollup::counted(&status.pools, "AgentPools"));
                rollup::health(summary, rollup::first_unready("AgentPool", pools.iter().copied()))
            }
            other => other,
        }
    };
    status.conditions = conditions_of(object, plan, outcome, health, now);
    status
}
