//! What to do about a Workflow: hand its definition and the wanted runs to its Supervisor.

use std::sync::Arc;

use jiff::Timestamp;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_protocol::summary::RunSummary;

use crate::effect::Plan;

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
    /// Summary of the latest run, from the REPORT bucket.
    pub summary: Option<RunSummary>,
}

/// Decides what to do.
pub fn workflow(_object: &Workflow, _observed: &Observed, _now: Timestamp) -> Plan {
    Plan::accepted(Vec::new())
}
