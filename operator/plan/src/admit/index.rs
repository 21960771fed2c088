//! The hierarchy in memory, kept so that a decision looks up a few names and computes nothing that did not change.
//!
//! A clone shares everything with its original, so that reviews can go on with a snapshot while the index is updated.

mod node;
mod space;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use kube_core::{Resource, ResourceExt};
use tetrarch_core::policy::Kind;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};

use super::chain::Chain;
use crate::{
    hierarchy::{age, is_accepted, namespace_of},
    object::is_deleting,
    settings::Settings,
};

pub use node::{DomainNode, OrchestratorNode, PoolNode, SupervisorNode, WorkflowNode, document, owner};
pub use space::{Space, supervisor_name};

/// An object of the hierarchy.
#[derive(Clone, Debug)]
pub enum Member {
    /// The root.
    Orchestrator(Arc<Orchestrator>),
    /// A tenant.
    Domain(Arc<Domain>),
    /// A runtime.
    Supervisor(Arc<Supervisor>),
    /// A pool.
    AgentPool(Arc<AgentPool>),
    /// A definition of work.
    Workflow(Arc<Workflow>),
}

/// Which object of the hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for the kinds of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The hierarchy.
#[derive(Clone, Debug, Default)]
pub struct Index {
    settings: Option<Arc<Settings>>,
    orchestrators: Arc<HashMap<Arc<str>, Arc<OrchestratorNode>>>,
    domains: Arc<HashMap<Arc<str>, Arc<DomainNode>>>,
    children: Arc<HashMap<Arc<str>, Children>>,
    spaces: Arc<HashMap<Arc<str>, Arc<Space>>>,
}

/// The Domains of an Orchestrator, which need not exist.
#[derive(Clone, Debug, Default)]
struct Children {
    all: BTreeSet<Arc<str>>,
    living: BTreeSet<Arc<str>>,
}

impl Index {
    /// An empty index of an installation with these settings. Without settings pods are not compared with the images of
    /// the installation.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings: Some(settings), ..Self::default() }
    }

    /// The index of these objects.
    #[must_use]
    pub fn with(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        for member in members {
            self.apply(member);
        }
        self
    }

    /// Takes in an object that is new or has changed.
    pub fn apply(&mut self, member: Member) {
        match member {
            Member::Orchestrator(object) => self.apply_orchestrator(object),
            Member::Domain(object) => self.apply_domain(object),
            Member::Supervisor(object) => self.space_mut(object.namespace()).apply_supervisor(object),
            Member::AgentPool(object) => self.space_mut(object.namespace()).apply_pool(object),
            Member::Workflow(object) => self.space_mut(object.namespace()).apply_workflow(object),
        }
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &Key) {
        match key.kind {
            Kind::Orchestrator => {
                if Arc::make_mut(&mut self.orchestrators).remove(key.name.as_str()).is_some() {
                    self.rebuild_domains(&key.name);
                }
            }
            Kind::Domain => self.remove_domain(&key.name),
            Kind::Supervisor | Kind::AgentPool | Kind::Workflow => {
                let spaces = Arc::make_mut(&mut self.spaces);
                let Some(space) = spaces.get_mut(key.namespace.as_str()) else { return };
                let inner = Arc::make_mut(space);
                inner.remove(key.kind, &key.name);
                if inner.is_empty() {
                    spaces.remove(key.namespace.as_str());
                }
            }
            Kind::Pod => {}
        }
    }

    /// The settings of the installation.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_deref()
    }

    /// An Orchestrator by its name.
    pub fn orchestrator(&self, name: &str) -> Option<&OrchestratorNode> {
        self.orchestrators.get(name).map(AsRef::as_ref)
    }

    /// A Domain by its name.
    pub fn domain(&self, name: &str) -> Option<&DomainNode> {
        self.domains.get(name).map(AsRef::as_ref)
    }

    /// A namespace with the objects in it, whether or not it belongs to a Domain.
    pub fn space(&self, namespace: &str) -> Option<&Space> {
        self.spaces.get(namespace).map(AsRef::as_ref)
    }

    /// The Domain that a namespace belongs to, as [`crate::hierarchy::domain_of`] tells it.
    pub fn domain_of(&self, namespace: &str) -> Option<&DomainNode> {
        self.domain(self.space(namespace)?.owner()?)
    }

    /// The Orchestrator of a Domain.
    pub fn orchestrator_of(&self, domain: &DomainNode) -> Option<&OrchestratorNode> {
        self.orchestrator(&domain.object().spec.orchestrator_ref.name)
    }

    /// The names of the Domains of an Orchestrator that are not being deleted.
    pub fn living_domains(&self, orchestrator: &str) -> impl ExactSizeIterator<Item = &str> {
        static NONE: BTreeSet<Arc<str>> = BTreeSet::new();
        self.children.get(orchestrator).map_or(&NONE, |children| &children.living).iter().map(AsRef::as_ref)
    }

    /// Whether a Domain is among them.
    pub fn has_living_domain(&self, orchestrator: &str, domain: &str) -> bool {
        self.children.get(orchestrator).is_some_and(|children| children.living.contains(domain))
    }

    /// The names of all Domains of an Orchestrator.
    pub fn domains_of(&self, orchestrator: &str) -> impl Iterator<Item = &str> {
        self.children.get(orchestrator).into_iter().flat_map(|children| &children.all).map(AsRef::as_ref)
    }

    fn apply_orchestrator(&mut self, object: Arc<Orchestrator>) {
        let name: Arc<str> = object.name_any().into();
        let known = self.orchestrators.get(&name);
        let (node, is_changed) = OrchestratorNode::update(known.map(AsRef::as_ref), object);
        Arc::make_mut(&mut self.orchestrators).insert(Arc::clone(&name), Arc::new(node));
        if is_changed {
            self.rebuild_domains(&name);
        }
    }

    fn rebuild_domains(&mut self, orchestrator: &str) {
        let children = self.children.get(orchestrator).map(|children| children.all.clone()).unwrap_or_default();
        for domain in children {
            self.rebuild_domain(&domain);
        }
    }

    /// What is above the Domain has changed, or what it declares.
    fn rebuild_domain(&mut self, name: &str) {
        let Some(node) = self.domains.get(name) else { return };
        let above = self.orchestrator_of(node).map(OrchestratorNode::declared);
        let chain = Arc::new(Chain::new(above.into_iter().chain([node.declared()]).cloned()));
        let namespace = namespace_of(node.object());
        if let Some(node) = Arc::make_mut(&mut self.domains).get_mut(name) {
            Arc::make_mut(node).set_chain(chain);
        }
        self.rebuild_space(&namespace);
    }

    /// Who owns the namespace may have changed, or the chain of its owner.
    fn rebuild_space(&mut self, namespace: &str) {
        let Some(space) = self.spaces.get(namespace) else { return };
        let claims = space.claims().filter_map(|name| Some((name, self.domain(name)?)));
        let owner = claims.min_by_key(|(_, node)| (!is_accepted(node.object()), age(node.object())));
        let owner = owner.map(|(name, node)| (Arc::clone(name), Arc::clone(node.chain())));
        let spaces = Arc::make_mut(&mut self.spaces);
        if let Some(space) = spaces.get_mut(namespace) {
            Arc::make_mut(space).set_owner(owner);
        }
    }

    fn apply_domain(&mut self, object: Arc<Domain>) {
        let name: Arc<str> = object.name_any().into();
        let namespace = namespace_of(&object);
        let orchestrator: Arc<str> = object.spec.orchestrator_ref.name.as_str().into();
        let known = self.domains.get(&name).cloned();
        if let Some(known) = &known
            && (namespace_of(known.object()) != namespace
                || known.object().spec.orchestrator_ref != object.spec.orchestrator_ref)
        {
            self.remove_domain(&name);
        }
        let children = Arc::make_mut(&mut self.children).entry(orchestrator).or_default();
        children.all.insert(Arc::clone(&name));
        if is_deleting(object.as_ref()) {
            children.living.remove(&name);
        } else {
            children.living.insert(Arc::clone(&name));
        }
        let was_accepted = known.as_ref().map(|known| is_accepted(known.object()));
        let is_accepted = is_accepted(object.as_ref());
        let (node, is_changed) = DomainNode::update(known.as_deref(), object);
        Arc::make_mut(&mut self.domains).insert(Arc::clone(&name), Arc::new(node));
        self.space_mut(Some(namespace.clone())).claim(&name);
        if is_changed {
            self.rebuild_domain(&name);
        } else if was_accepted != Some(is_accepted) {
            self.rebuild_space(&namespace);
        }
    }

    fn remove_domain(&mut self, name: &str) {
        let Some(node) = Arc::make_mut(&mut self.domains).remove(name) else { return };
        let orchestrator = node.object().spec.orchestrator_ref.name.as_str();
        let children = Arc::make_mut(&mut self.children);
        if let Some(siblings) = children.get_mut(orchestrator) {
            siblings.all.remove(name);
            siblings.living.remove(name);
            if siblings.all.is_empty() {
                children.remove(orchestrator);
            }
        }
        let namespace = namespace_of(node.object());
        let spaces = Arc::make_mut(&mut self.spaces);
        if let Some(space) = spaces.get_mut(namespace.as_str()) {
            let inner = Arc::make_mut(space);
            inner.disclaim(name);
            if inner.is_empty() {
                spaces.remove(namespace.as_str());
            }
        }
        self.rebuild_space(&namespace);
    }

    fn space_mut(&mut self, namespace: Option<String>) -> &mut Space {
        let namespace: Arc<str> = namespace.unwrap_or_default().into();
        Arc::make_mut(Arc::make_mut(&mut self.spaces).entry(namespace).or_default())
    }
}

/// Whether an object is the same as before in everything that decisions about others read of it.
fn is_same<K: Resource>(old: &K, new: &K) -> bool {
    let identity = |object: &K| (object.meta().uid.clone(), object.meta().generation);
    // Without a generation nothing was stored, so that every change counts.
    old.meta().generation.is_some() && identity(old) == identity(new)
}
