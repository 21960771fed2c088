//! What to do about a Domain: its namespace with everything in it that guards it, and its account on the bus.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};

use crate::{effect::Plan, object::ObjectKey, settings::Settings};

/// What was read for one reconcile of a Domain.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The Orchestrator that `spec.orchestratorRef` names.
    pub orchestrator: Option<Arc<Orchestrator>>,
    /// All Domains of that Orchestrator, this one among them.
    pub siblings: Vec<Arc<Domain>>,
    /// The namespace named by [`crate::hierarchy::namespace_of`], whoever it belongs to.
    pub namespace: Option<Arc<Namespace>>,
    /// Supervisors in that namespace.
    pub supervisors: Vec<Arc<Supervisor>>,
    /// AgentPools in that namespace.
    pub pools: Vec<Arc<AgentPool>>,
    /// Workflows in that namespace.
    pub workflows: Vec<Arc<Workflow>>,
    /// ResourceQuotas, LimitRanges, NetworkPolicies, Roles and RoleBindings in that namespace with the labels
    /// `app.kubernetes.io/managed-by: tetrarch` and `app.kubernetes.io/component: domain`. What is not wanted of them is deleted.
    pub children: BTreeSet<ObjectKey>,
}

/// Decides what to do.
pub fn domain(_object: &Domain, _observed: &Observed, _now: Timestamp) -> Plan {
    Plan::accepted(Vec::new())
}
