//! What to do about a Workflow: hand its definition and the wanted runs to its Supervisor.

mod calls;
mod control;
mod neighbours;
mod requests;
mod schedule;
mod triggers;
pub mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::{id::Name, policy::Level, workflow::definition::AgentSelector};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_protocol::{
    VERSION,
    control::Control,
    snapshot::{self as config, WorkflowLimits, WorkflowSnapshot},
    summary::{self, RunSummary},
};

pub use self::{
    requests::wanted_runs,
    schedule::{next as next_time, since as scheduled_since},
    triggers::status as trigger_status,
};
use crate::{
    admit::Index,
    effect::{Effect, Plan},
    governance::{self, clamp},
    hierarchy, names,
    object::{has_finalizer, is_deleting, skips_bus_cleanup, to_json},
    parse::{self, agent_pool::Pool},
    reason::{Finding, Reason},
    reconcile::{accepted_supervisor, all_violations, bus_name, patience, position, refused, takes_new},
};

/// What was read for one reconcile of a Workflow.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The Domain that the namespace belongs to, by [`crate::hierarchy::domain_of`].
    pub domain: Option<Arc<Domain>>,
    /// The Orchestrator of that Domain.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Supervisors in the namespace.
    pub supervisors: Vec<Arc<Supervisor>>,
    /// Other namespaces in which there is a Supervisor of the name that `spec.supervisorRef` gives, sorted.
    pub supervisor_elsewhere: Vec<String>,
    /// All AgentPools in the namespace.
    pub pools: Vec<Arc<AgentPool>>,
    /// All Workflows in the namespace.
    pub workflows: Vec<Arc<Workflow>>,
    /// Webhooks of which the Supervisor reports that it has no secret for them, each with what is wrong.
    pub without_secret: BTreeMap<Name, String>,
    /// Summary of the latest run, from the REPORT bucket.
    pub summary: Option<RunSummary>,
    /// The policies above it.
    pub index: Index,
}

/// Decides what to do.
pub fn workflow(object: &Workflow, observed: &Observed, now: Timestamp) -> Plan {
    if is_deleting(object) {
        return deletion(object, observed, now);
    }
    waiting::tell(living(object, observed, now), object, observed, now)
}

fn living(object: &Workflow, observed: &Observed, now: Timestamp) -> Plan {
    let keys = observed.orchestrator.as_ref().map(|orchestrator| orchestrator.spec.signing_keys.as_slice());
    let of_policies = governance::violations(Level::Workflow, object, &object.spec.policies, keys);
    let mut definition = match all_violations(parse::workflow::definition(object), of_policies) {
        Ok(definition) => definition,
        Err(finding) => return Plan::refused(finding),
    };
    let (domain, supervisor) = match admit(object, observed) {
        Ok(admitted) => admitted,
        Err(finding) => return refused(object, finding, now),
    };
    let mut standing = governance::standing(object, &observed.index);
    // The runs of an approved generation go on; nothing new is handed over.
    if let Some(hold) = standing.hold.clone() {
        return Plan::refused(hold).under(standing);
    }
    let classes =
        observed.orchestrator.as_ref().map(|orchestrator| parse::orchestrator::priority_classes(&orchestrator.spec));
    let (limits, clamps) =
        clamp::workflow(&definition, &classes.and_then(Result::ok).unwrap_or_default(), &standing.effective);
    standing.clamps = clamps;
    standing.clamps.extend(clamp::hand_overs(&mut definition, &standing.effective));
    if !has_finalizer(object, names::FINALIZER_WORKFLOW) {
        return Plan::accepted(vec![Effect::AddFinalizer { finalizer: names::FINALIZER_WORKFLOW }]).under(standing);
    }
    let requests = requests::read(object, &definition);
    let mut effects = Vec::new();
    // The Supervisor that had the Workflow before lets go of it first, or two would drive it.
    if let Some(before) = handed_to(object).filter(|before| *before != supervisor) {
        let key = config::workflow_key(&before, &definition.workflow);
        effects.push(Effect::RetractConfig { domain: domain.clone(), key });
        effects.push(Effect::RetractReport {
            domain: domain.clone(),
            key: summary::workflow_key(&before, &definition.workflow),
        });
    }
    let key = config::workflow_key(&supervisor, &definition.workflow);
    let mut unknown =
        if is_over(object, observed) { Vec::new() } else { unknown_selectors(object, &supervisor, &observed.pools) };
    unknown.extend(calls::find(&definition, &supervisor, &observed.workflows));
    let (triggers, wrong) = triggers::read(object, &supervisor, &observed.workflows, now);
    unknown.extend(wrong);
    unknown.extend(triggers::without_secret(object, &observed.without_secret));
    let snapshot = WorkflowSnapshot {
        version: VERSION,
        definition,
        runs: requests.runs,
        cancel: requests.cancel,
        control: requests.control,
        decisions: waiting::decisions(object),
        limits,
        schedule: schedule::snapshot(object, now),
        triggers,
        messages: triggers::messages(object, now),
        deleted: false,
    };
    effects.push(Effect::PublishConfig { domain, key, value: to_json(&snapshot) });
    let in_vain = observed.summary.iter().flat_map(|summary| &summary.refused);
    let in_vain = in_vain.map(|why| Finding::new(Reason::InvalidRequest, why.clone()));
    let refused = requests.refused.into_iter().chain(in_vain);
    let plan = Plan::accepted(effects).blocked_by(refused.chain(unknown)).under(standing);
    // The status tells the next time.
    match schedule::next(object, now) {
        Some(next) => plan.wake_at(next),
        None => plan,
    }
}

fn admit(object: &Workflow, observed: &Observed) -> Result<(Name, Name), Finding> {
    let namespace = object.namespace().unwrap_or_default();
    let (domain, orchestrator) = position(&namespace, observed.domain.as_ref(), observed.orchestrator.as_ref())?;
    let supervisor = accepted_supervisor(
        object.spec.supervisor_ref.as_ref(),
        &namespace,
        &observed.supervisors,
        &observed.supervisor_elsewhere,
    )?;
    if !has_finalizer(object, names::FINALIZER_WORKFLOW) {
        takes_new(orchestrator)?;
    }
    Ok((bus_name(domain)?, supervisor))
}

/// The Supervisor that the last report named. It cannot be observed otherwise: the spec only knows the new one.
fn handed_to(object: &Workflow) -> Option<Name> {
    object.status.as_ref()?.supervisor.as_ref()?.parse().ok()
}

/// Whether the latest wanted run has ended, so that nothing waits for a pool any more.
fn is_over(object: &Workflow, observed: &Observed) -> bool {
    let latest = observed.summary.as_ref().filter(|summary| summary.phase.is_final());
    latest.is_some_and(|summary| wanted_runs(object).last().is_some_and(|wanted| wanted == summary.run.as_str()))
}

/// Tasks that nobody can take now. The run is handed over all the same and waits where everybody sees it.
fn unknown_selectors(object: &Workflow, supervisor: &Name, pools: &[Arc<AgentPool>]) -> Vec<Finding> {
    let pools: Vec<Pool> =
        hierarchy::pools_of(supervisor.as_str(), pools).filter_map(|pool| parse::agent_pool::pool(pool).ok()).collect();
    let known: BTreeSet<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    let capabilities: BTreeSet<&str> =
        pools.iter().flat_map(|pool| pool.capabilities.iter().map(|(name, _)| name.as_str())).collect();
    parse::workflow::selectors(object)
        .into_iter()
        .filter_map(|(path, selector)| match selector {
            AgentSelector::Pool(name) if !known.contains(name.as_str()) => Some(Finding::new(
                Reason::UnknownPool,
                format!(
                    "{path}: no AgentPool {:?} belongs to Supervisor {:?}: create it, or name another one ({})",
                    name.as_str(),
                    supervisor.as_str(),
                    list(&known)
                ),
            )),
            AgentSelector::Capability(name) if !capabilities.contains(name.as_str()) => Some(Finding::new(
                Reason::UnknownCapability,
                format!(
                    "{path}: no AgentPool of Supervisor {:?} has the capability {:?}: add it to spec.capabilities of a pool, or ask for another one ({})",
                    supervisor.as_str(),
                    name.as_str(),
                    list(&capabilities)
                ),
            )),
            _ => None,
        })
        .collect()
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return "there is none yet".to_owned();
    }
    format!("there are: {}", names.iter().copied().collect::<Vec<_>>().join(", "))
}

/// The Supervisor cancels what runs and purges what is finished, and takes the summary away when it has. Nobody waits for
/// it when it goes itself, or the Domain with everything on its bus.
fn deletion(object: &Workflow, observed: &Observed, now: Timestamp) -> Plan {
    if !has_finalizer(object, names::FINALIZER_WORKFLOW) {
        return Plan::accepted(Vec::new());
    }
    let remove = Effect::RemoveFinalizer { finalizer: names::FINALIZER_WORKFLOW };
    let domain = observed.domain.as_deref().filter(|domain| !is_deleting(*domain) && !skips_bus_cleanup(object));
    let on_bus = || {
        let supervisor =
            handed_to(object).or_else(|| admit(object, observed).ok().map(|(_, supervisor)| supervisor))?;
        Some((bus_name(domain?).ok()?, supervisor, object.name_any().parse::<Name>().ok()?))
    };
    let Some((domain, supervisor, workflow)) = on_bus() else { return Plan::accepted(vec![remove]) };
    let key = config::workflow_key(&supervisor, &workflow);
    let until = patience(object, now);
    if observed.summary.is_some() && now < until && can_clean(&supervisor, observed) {
        // Without a valid definition there is only the last one that was published; retracting it says the same.
        let withdraw = match parse::workflow::definition(object) {
            Ok(definition) => Effect::PublishConfig {
                domain,
                key,
                value: to_json(&WorkflowSnapshot {
                    version: VERSION,
                    definition,
                    runs: Vec::new(),
                    cancel: Vec::new(),
                    control: Control::default(),
                    decisions: Vec::new(),
                    limits: WorkflowLimits::default(),
                    schedule: None,
                    triggers: Vec::new(),
                    messages: Vec::new(),
                    deleted: true,
                }),
            },
            Err(_) => Effect::RetractConfig { domain, key },
        };
        return Plan::accepted(vec![withdraw])
            .blocked_by([Finding::new(Reason::Deleting, "waiting for the Supervisor to end and remove the runs")])
            .wake_at(until);
    }
    Plan::accepted(vec![
        Effect::RetractConfig { domain: domain.clone(), key },
        Effect::RetractReport { domain, key: summary::workflow_key(&supervisor, &workflow) },
        remove,
    ])
}

/// Whether there is a runtime that could do it.
fn can_clean(supervisor: &Name, observed: &Observed) -> bool {
    observed.supervisors.iter().any(|candidate| {
        candidate.name_any() == supervisor.as_str()
            && !is_deleting(candidate.as_ref())
            && candidate.status.as_ref().is_some_and(|status| status.ready_replicas > 0)
    })
}
