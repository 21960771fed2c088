//! The status of an AgentPool: its agents, and its work as the Supervisor reports it.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_crds::{AgentPool, AgentPoolStatus, shared::WorkCount};

use crate::{
    effect::Plan,
    hierarchy,
    names::{self, Component},
    object::{Kind, ObjectKey},
    outcome::Outcome,
    reconcile::agent_pool::Observed,
    report::{capacity, conditions_of, generation, policy, workload},
};

/// The new status.
pub fn agent_pool(
    object: &AgentPool,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> AgentPoolStatus {
    let name = object.name_any();
    let count = workload::count(observed.deployment.as_deref());
    let namespace = object.namespace().unwrap_or_default();
    let supervisor =
        hierarchy::supervisor_of(object.spec.supervisor_ref.as_ref(), &namespace, &observed.supervisors, &[]);
    let health = || {
        let key = ObjectKey::namespaced(Kind::Deployment, namespace.as_str(), names::pool_agents(&name));
        workload::health(&key, observed.deployment.as_deref(), &observed.pods, outcome, "agents")
    };
    let before = object.status.as_ref().map(|status| status.effective_policy.as_slice());
    let compliant = policy::compliant(plan, None);
    AgentPoolStatus {
        observed_generation: generation(object),
        supervisor: supervisor.ok().map(|supervisor| supervisor.name_any()),
        replicas: count.existing,
        desired: count.desired,
        ready: count.ready,
        selector: Some(names::selector_text(&names::selector(Component::Agent, &name))),
        work: work(&name, observed),
        capacity: capacity::of_pool(object, observed.orchestrator.as_deref()),
        compliance: policy::own(plan, &compliant, object),
        effective_policy: policy::values(plan, before),
        approved: policy::approved(plan),
        conditions: conditions_of(object, plan, outcome, health, &[compliant], now),
    }
}

fn work(name: &str, observed: &Observed) -> WorkCount {
    let reported = observed.report.as_ref().and_then(|report| report.pools.get(name)).copied().unwrap_or_default();
    WorkCount {
        queued: i64::try_from(reported.queued).unwrap_or(i64::MAX),
        in_flight: i64::try_from(reported.in_flight).unwrap_or(i64::MAX),
    }
}
