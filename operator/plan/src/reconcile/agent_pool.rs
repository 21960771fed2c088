//! What to do about an AgentPool: its agents, their credentials and their autoscaler.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_protocol::summary::SupervisorReport;

use crate::{effect::Plan, object::ObjectKey, settings::Settings};

/// What was read for one reconcile of an AgentPool.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Domain that the namespace belongs to, by [`crate::hierarchy::domain_of`].
    pub domain: Option<Arc<Domain>>,
    /// The Orchestrator of that Domain.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Supervisors in the namespace.
    pub supervisors: Vec<Arc<Supervisor>>,
    /// Other namespaces in which there is a Supervisor of the name that `spec.supervisorRef` gives, sorted.
    pub supervisor_elsewhere: Vec<String>,
    /// All AgentPools in the namespace, this one among them.
    pub siblings: Vec<Arc<AgentPool>>,
    /// The Deployment of the agents.
    pub deployment: Option<Arc<Deployment>>,
    /// Pods of that Deployment.
    pub pods: Vec<Arc<Pod>>,
    /// ServiceAccounts, Services, Deployments, PodDisruptionBudgets and HorizontalPodAutoscalers controlled by this pool.
    /// What is not wanted of them is deleted.
    pub children: BTreeSet<ObjectKey>,
    /// Report of the pool's Supervisor; the pool's work is in it.
    pub report: Option<SupervisorReport>,
}

/// Decides what to do.
pub fn agent_pool(_object: &AgentPool, _observed: &Observed, _now: Timestamp) -> Plan {
    Plan::accepted(Vec::new())
}
