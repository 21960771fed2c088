//! The status of a Domain: the sums over its Supervisors and pools.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube_core::ResourceExt;
use tetrarch_core::capacity::Key;
use tetrarch_crds::{Domain, DomainStatus};

use crate::{
    conditions::Health,
    effect::{Acceptance, Effect, Plan},
    hierarchy,
    object::Kind,
    outcome::Outcome,
    reason::{Finding, Reason},
    reconcile::domain::{Observed, tenure_of},
    report::{
        capacity::{self, Capacity},
        conditions_of, generation, imports, policy,
        rollup::{self, counted},
    },
};

/// The new status. What is in a namespace that is someone else's is not counted.
pub fn domain(object: &Domain, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> DomainStatus {
    let is_ours = |namespace: &Namespace| tenure_of(object, namespace).is_ok();
    let mut status = DomainStatus { observed_generation: generation(object), ..DomainStatus::default() };
    let is_own = observed.namespace.as_deref().is_some_and(is_ours);
    if is_own {
        let (agents, work) = rollup::pools(&observed.pools);
        status.supervisors = rollup::children(&observed.supervisors);
        status.pools = rollup::children(&observed.pools);
        (status.agents, status.work) = (agents, work);
        status.namespace = Some(hierarchy::namespace_of(object));
    } else if plan.acceptance == Acceptance::Accepted && observed.namespace.is_none() {
        status.namespace = Some(hierarchy::namespace_of(object));
    }
    let health = || {
        if observed.namespace.is_none() {
            return Health::Reconciling(Finding::new(Reason::Progressing, "the namespace is being created"));
        }
        let is_planned =
            |effect: &Effect| matches!(effect, Effect::Apply(object) if object.key.kind == Kind::Supervisor);
        if observed.supervisors.is_empty() && plan.effects.iter().any(is_planned) {
            return Health::Reconciling(Finding::new(Reason::Progressing, "the implicit Supervisor is being created"));
        }
        let unready = rollup::first_unready("Supervisor", &observed.supervisors)
            .or_else(|| rollup::first_unready("AgentPool", &observed.pools));
        let summary = format!(
            "{} and {} are ready",
            counted(&status.supervisors, "Supervisors"),
            counted(&status.pools, "AgentPools")
        );
        rollup::health(summary, unready)
    };
    let key = Key::domain(object.name_any());
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
    status.compliance = policy::own(plan, &compliant, object);
    status.approved = policy::approved(plan);
    if is_own {
        let below = policy::leaves(&observed.pools, &observed.workflows);
        let below = policy::add(&below, &policy::supervisors(&observed.supervisors));
        status.compliance = policy::add(&below, &status.compliance);
    }
    let extras: Vec<_> = [compliant].into_iter().chain(imports::matched(object, &observed.siblings)).collect();
    status.conditions = conditions_of(object, plan, outcome, health, &extras, now);
    status
}
