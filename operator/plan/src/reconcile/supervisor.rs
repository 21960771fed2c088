//! What to do about a Supervisor: its runtime, and the configuration that the runtime follows on the bus.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_protocol::summary::SupervisorReport;

use crate::{effect::Plan, object::ObjectKey, settings::Settings};

/// What was read for one reconcile of a Supervisor.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Domain that the namespace belongs to, by [`crate::hierarchy::domain_of`].
    pub domain: Option<Arc<Domain>>,
    /// The Orchestrator of that Domain.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Supervisors in the namespace, this one among them.
    pub siblings: Vec<Arc<Supervisor>>,
    /// All AgentPools in the namespace.
    pub pools: Vec<Arc<AgentPool>>,
    /// The Deployment of the runtime.
    pub deployment: Option<Arc<Deployment>>,
    /// Pods of that Deployment.
    pub pods: Vec<Arc<Pod>>,
    /// ServiceAccounts, Services, Deployments and PodDisruptionBudgets controlled by this Supervisor. What is not wanted
    /// of them is deleted.
    pub children: BTreeSet<ObjectKey>,
    /// The runtime's own report.
    pub report: Option<SupervisorReport>,
}

/// Decides what to do.
pub fn supervisor(_object: &Supervisor, _observed: &Observed, _now: Timestamp) -> Plan {
    Plan::accepted(Vec::new())
}
