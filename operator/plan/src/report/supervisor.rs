//! The status of a Supervisor: its runtime, its report from the bus, the sums over its pools.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::capacity::Key;
use tetrarch_crds::{Supervisor, SupervisorStatus};

use crate::{
    conditions::Health,
    effect::Plan,
    hierarchy, names,
    object::{Kind, ObjectKey},
    outcome::Outcome,
    reconcile::supervisor::Observed,
    report::{
        capacity::{self, Capacity},
        conditions_of, generation, policy, rollup, workload,
    },
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
    let key = Key::supervisor(object.namespace().unwrap_or_default(), &name);
    let capacity = capacity::capacity(
        observed.ledger.as_deref(),
        &key,
        object.spec.quota.as_ref(),
        observed.orchestrator.as_deref(),
    )
    .or_else(|| object.status.as_ref().map(|before| Capacity::as_before(&before.capacity, &before.escalations)))
    .unwrap_or_default();
    (status.capacity, status.escalations) = (capacity.usage, capacity.escalations);
    let compliant = policy::compliant(plan, capacity.overbooked.as_ref());
    let workflows = observed.workflows.iter();
    let workflows = workflows.filter(|workflow| hierarchy::belongs_to(workflow.spec.supervisor_ref.as_ref(), &name));
    let below = policy::leaves(pools.iter().copied(), workflows);
    status.compliance = policy::add(&below, &policy::own(plan, &compliant, object));
    status.approved = policy::approved(plan);
    status.conditions = conditions_of(object, plan, outcome, health, &[compliant], now);
    status
}
