//! The status of an Orchestrator: the sums over its Domains.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::capacity::Key;
use tetrarch_crds::{DomainStatus, Orchestrator, OrchestratorStatus};

use crate::{
    effect::Plan,
    outcome::Outcome,
    reconcile::orchestrator::Observed,
    report::{
        capacity::{self, Capacity},
        conditions_of, generation, policy,
        rollup::{self, add_agents, add_children, add_work, counted},
    },
};

/// The new status.
pub fn orchestrator(
    object: &Orchestrator,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> OrchestratorStatus {
    let mut status = OrchestratorStatus {
        observed_generation: generation(object),
        domains: rollup::children(&observed.domains),
        ..OrchestratorStatus::default()
    };
    for domain in observed.domains.iter().filter_map(|domain| domain.status.as_ref()) {
        add(&mut status, domain);
    }
    let health = || {
        rollup::health(
            format!("{} are ready", counted(&status.domains, "Domains")),
            rollup::first_unready("Domain", &observed.domains),
        )
    };
    let capacity = capacity::capacity(
        observed.ledger.as_deref(),
        &Key::orchestrator(object.name_any()),
        object.spec.capacity.as_ref(),
        Some(object),
    )
    .or_else(|| object.status.as_ref().map(|before| Capacity::as_before(&before.capacity, &before.escalations)))
    .unwrap_or_default();
    (status.capacity, status.escalations) = (capacity.usage, capacity.escalations);
    let compliant = policy::root(capacity.overbooked);
    status.compliance = policy::add(&policy::domains(&observed.domains), &policy::own(plan, &compliant, object));
    status.conditions = conditions_of(object, plan, outcome, health, &[compliant], now);
    status
}

fn add(status: &mut OrchestratorStatus, domain: &DomainStatus) {
    status.supervisors = add_children(&status.supervisors, &domain.supervisors);
    status.pools = add_children(&status.pools, &domain.pools);
    status.agents = add_agents(&status.agents, &domain.agents);
    status.work = add_work(&status.work, &domain.work);
}
