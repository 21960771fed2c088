//! A namespace in the index: which Domain it belongs to, and what is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube_core::ResourceExt;
use tetrarch_core::policy::Kind;
use tetrarch_crds::{AgentPool, Supervisor, Workflow, shared::NameRef};

use super::node::{PoolNode, SupervisorNode, WorkflowNode};
use crate::{admit::chain::Chain, hierarchy::largest_size, names::DEFAULT_SUPERVISOR, object::is_deleting};

/// A namespace.
#[derive(Clone, Debug, Default)]
pub struct Space {
    claims: BTreeSet<Arc<str>>,
    owner: Option<Arc<str>>,
    chain: Arc<Chain>,
    supervisors: BTreeMap<String, Arc<SupervisorNode>>,
    living_supervisors: usize,
    pools: BTreeMap<String, Arc<PoolNode>>,
    workflows: BTreeMap<String, Arc<WorkflowNode>>,
    /// Sum of the largest sizes of the living pools of each Supervisor.
    sizes: BTreeMap<String, i64>,
}

/// The name of the Supervisor that a reference means.
pub fn supervisor_name(reference: Option<&NameRef>) -> &str {
    reference.map_or(DEFAULT_SUPERVISOR, |reference| reference.name.as_str())
}

impl Space {
    /// The Domain that it belongs to.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The policies of that Domain and those above.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// A Supervisor by its name.
    pub fn supervisor(&self, name: &str) -> Option<&SupervisorNode> {
        self.supervisors.get(name).map(AsRef::as_ref)
    }

    /// All Supervisors.
    pub fn supervisors(&self) -> impl Iterator<Item = &SupervisorNode> {
        self.supervisors.values().map(AsRef::as_ref)
    }

    /// How many Supervisors there are that are not being deleted.
    pub fn living_supervisors(&self) -> usize {
        self.living_supervisors
    }

    /// A pool by its name.
    pub fn pool(&self, name: &str) -> Option<&PoolNode> {
        self.pools.get(name).map(AsRef::as_ref)
    }

    /// All pools.
    pub fn pools(&self) -> impl Iterator<Item = &PoolNode> {
        self.pools.values().map(AsRef::as_ref)
    }

    /// All Workflows.
    pub fn workflows(&self) -> impl Iterator<Item = &WorkflowNode> {
        self.workflows.values().map(AsRef::as_ref)
    }

    /// A Workflow by its name.
    pub fn workflow(&self, name: &str) -> Option<&WorkflowNode> {
        self.workflows.get(name).map(AsRef::as_ref)
    }

    /// Sum of the largest sizes of the pools of a Supervisor, without those that are being deleted.
    pub fn agents_of(&self, supervisor: &str) -> i64 {
        self.sizes.get(supervisor).copied().unwrap_or_default()
    }

    /// The policies above a pool or Workflow with this reference: those of its Supervisor, as far as it exists.
    pub fn above(&self, reference: Option<&NameRef>) -> &Arc<Chain> {
        self.supervisor(supervisor_name(reference)).map_or(&self.chain, SupervisorNode::chain)
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = &Arc<str>> {
        self.claims.iter()
    }

    pub(super) fn claim(&mut self, domain: &Arc<str>) {
        self.claims.insert(Arc::clone(domain));
    }

    pub(super) fn disclaim(&mut self, domain: &str) {
        self.claims.remove(domain);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.supervisors.is_empty() && self.pools.is_empty() && self.workflows.is_empty()
    }

    /// Sets the Domain and its chain, and passes it on to everything below.
    pub(super) fn set_owner(&mut self, owner: Option<(Arc<str>, Arc<Chain>)>) {
        let (owner, chain) = owner.map_or_else(|| (None, Arc::default()), |(owner, chain)| (Some(owner), chain));
        (self.owner, self.chain) = (owner, chain);
        let names: Vec<String> = self.supervisors.keys().cloned().collect();
        for name in names {
            self.set_above_supervisor(&name);
        }
        self.set_above_leaves(|_| true);
    }

    pub(super) fn apply_supervisor(&mut self, object: Arc<Supervisor>) {
        let name = object.name_any();
        let known = self.supervisors.get(&name);
        self.living_supervisors -= usize::from(known.is_some_and(|known| !is_deleting(known.object())));
        self.living_supervisors += usize::from(!is_deleting(object.as_ref()));
        let (node, is_changed) = SupervisorNode::update(known.map(AsRef::as_ref), object);
        self.supervisors.insert(name.clone(), Arc::new(node));
        if is_changed {
            self.set_above_supervisor(&name);
            self.set_above_leaves(|supervisor| supervisor == name);
        }
    }

    fn set_above_supervisor(&mut self, name: &str) {
        if let Some(node) = self.supervisors.get_mut(name) {
            Arc::make_mut(node).set_above(&self.chain);
        }
    }

    fn set_above_leaves(&mut self, of: impl Fn(&str) -> bool) {
        let (supervisors, chain) = (&self.supervisors, &self.chain);
        let above = |name: &str| supervisors.get(name).map_or(chain, |supervisor| supervisor.chain());
        for node in self.pools.values_mut() {
            let name = supervisor_name(node.object().spec.supervisor_ref.as_ref()).to_owned();
            if of(&name) {
                Arc::make_mut(node).set_above(above(&name));
            }
        }
        for node in self.workflows.values_mut() {
            let name = supervisor_name(node.object().spec.supervisor_ref.as_ref()).to_owned();
            if of(&name) {
                Arc::make_mut(node).set_above(above(&name));
            }
        }
    }

    pub(super) fn apply_pool(&mut self, object: Arc<AgentPool>) {
        let name = object.name_any();
        let known = self.pools.get(&name).cloned();
        if let Some(known) = &known {
            self.count(known.object(), -1);
        }
        self.count(&object, 1);
        let (mut node, is_changed) = PoolNode::update(known.as_deref(), object);
        if is_changed {
            node.set_above(self.above(node.object().spec.supervisor_ref.as_ref()));
        }
        self.pools.insert(name, Arc::new(node));
    }

    fn count(&mut self, pool: &AgentPool, sign: i64) {
        if is_deleting(pool) {
            return;
        }
        let name = supervisor_name(pool.spec.supervisor_ref.as_ref());
        let size = i64::from(largest_size(&pool.spec)) * sign;
        if let Some(sum) = self.sizes.get_mut(name) {
            *sum += size;
        } else {
            self.sizes.insert(name.to_owned(), size);
        }
    }

    pub(super) fn apply_workflow(&mut self, object: Arc<Workflow>) {
        let name = object.name_any();
        let known = self.workflows.get(&name);
        let (mut node, is_changed) = WorkflowNode::update(known.map(AsRef::as_ref), object);
        if is_changed {
            node.set_above(self.above(node.object().spec.supervisor_ref.as_ref()));
        }
        self.workflows.insert(name, Arc::new(node));
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        match kind {
            Kind::Supervisor => {
                if let Some(node) = self.supervisors.remove(name) {
                    self.living_supervisors -= usize::from(!is_deleting(node.object()));
                    self.set_above_leaves(|supervisor| supervisor == name);
                }
            }
            Kind::AgentPool => {
                if let Some(node) = self.pools.remove(name) {
                    self.count(node.object(), -1);
                }
            }
            Kind::Workflow => drop(self.workflows.remove(name)),
            Kind::Orchestrator | Kind::Domain | Kind::Pod => {}
        }
    }
}
