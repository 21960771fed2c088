//! The objects of the index, each with what it declares and with everything above it.

use std::{collections::BTreeMap, sync::Arc};

use kube_core::ResourceExt;
use serde_json::{Value, json};
use tetrarch_core::policy::{Level, Owner};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow, policy::Policy};

use super::is_same;
use crate::{
    admit::chain::{Chain, Declared},
    parse::{self, signature::PublicKey},
};

/// What an object declares.
fn declared(level: Level, object: &impl ResourceExt, written: &[Policy]) -> Arc<Declared> {
    let owner = owner(level, object);
    Arc::new(Declared::new(parse::policy::layer(owner, written, None).0, written))
}

/// An object as the origin of policies.
pub fn owner(level: Level, object: &impl ResourceExt) -> Owner {
    Owner {
        level,
        namespace: object.namespace(),
        name: object.name_any(),
        generation: object.meta().generation.unwrap_or_default(),
    }
}

/// An Orchestrator.
#[derive(Clone, Debug)]
pub struct OrchestratorNode {
    object: Arc<Orchestrator>,
    declared: Arc<Declared>,
    chain: Arc<Chain>,
    keys: Arc<BTreeMap<String, PublicKey>>,
}

impl OrchestratorNode {
    /// The node for an object, and whether anything changed for those below.
    pub(super) fn update(known: Option<&Self>, object: Arc<Orchestrator>) -> (Self, bool) {
        match known {
            Some(known) if is_same(known.object(), &object) => (Self { object, ..known.clone() }, false),
            _ => (Self::new(object), true),
        }
    }

    /// The node for an object that is not in the index.
    pub fn new(object: Arc<Orchestrator>) -> Self {
        let declared = declared(Level::Orchestrator, object.as_ref(), &object.spec.policies);
        let keys = object.spec.signing_keys.iter();
        let keys = keys.filter_map(|key| Some((key.name.clone(), PublicKey::from_pem(&key.public_key).ok()?)));
        let keys = Arc::new(keys.collect());
        let chain = Arc::new(Chain::new([Arc::clone(&declared)]));
        Self { object, declared, chain, keys }
    }

    /// The object.
    pub fn object(&self) -> &Orchestrator {
        &self.object
    }

    /// What it declares.
    pub fn declared(&self) -> &Arc<Declared> {
        &self.declared
    }

    /// Its policies.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The keys that images can be signed with.
    pub fn keys(&self) -> &BTreeMap<String, PublicKey> {
        &self.keys
    }
}

/// A Domain.
#[derive(Clone, Debug)]
pub struct DomainNode {
    object: Arc<Domain>,
    declared: Arc<Declared>,
    chain: Arc<Chain>,
    document: Arc<Value>,
}

impl DomainNode {
    pub(super) fn update(known: Option<&Self>, object: Arc<Domain>) -> (Self, bool) {
        match known {
            Some(known) if is_same(known.object(), &object) => {
                let document = Arc::new(document(&object));
                (Self { object, document, ..known.clone() }, false)
            }
            _ => (Self::new(object), true),
        }
    }

    fn new(object: Arc<Domain>) -> Self {
        let declared = declared(Level::Domain, object.as_ref(), &object.spec.policies);
        let document = Arc::new(document(&object));
        Self { object, declared, chain: Arc::default(), document }
    }

    pub(super) fn set_chain(&mut self, chain: Arc<Chain>) {
        self.chain = chain;
    }

    /// The object.
    pub fn object(&self) -> &Domain {
        &self.object
    }

    /// What it declares.
    pub fn declared(&self) -> &Arc<Declared> {
        &self.declared
    }

    /// Its own policies and those above.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// What expressions read as `domain`.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

/// What expressions read as `domain`.
pub fn document(domain: &Domain) -> Value {
    json!({ "name": domain.name_any(), "labels": domain.labels() })
}

macro_rules! node {
    ($(#[$meta:meta])* $name:ident, $object:ident, $level:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            object: Arc<$object>,
            declared: Arc<Declared>,
            chain: Arc<Chain>,
        }

        impl $name {
            pub(super) fn update(known: Option<&Self>, object: Arc<$object>) -> (Self, bool) {
                match known {
                    Some(known) if is_same(known.object(), &object) => (Self { object, ..known.clone() }, false),
                    _ => {
                        let declared = declared(Level::$level, object.as_ref(), &object.spec.policies);
                        (Self { object, declared, chain: Arc::default() }, true)
                    }
                }
            }

            /// A chain that has nothing to add is shared with everybody else below.
            pub(super) fn set_above(&mut self, above: &Arc<Chain>) {
                self.chain = if self.declared.is_empty() {
                    Arc::clone(above)
                } else {
                    Arc::new(above.with(Arc::clone(&self.declared)))
                };
            }

            /// The object.
            pub fn object(&self) -> &$object {
                &self.object
            }

            /// What it declares.
            pub fn declared(&self) -> &Arc<Declared> {
                &self.declared
            }

            /// Its own policies and those above.
            pub fn chain(&self) -> &Arc<Chain> {
                &self.chain
            }
        }
    };
}

node!(
    /// A Supervisor.
    SupervisorNode, Supervisor, Supervisor
);
node!(
    /// An `AgentPool`.
    PoolNode, AgentPool, AgentPool
);
node!(
    /// A Workflow.
    WorkflowNode, Workflow, Workflow
);
