//! Where an object stands in the hierarchy.

use std::sync::{Arc, LazyLock};

use tetrarch_core::policy::{Level, Owner};

use super::{
    chain::Chain,
    index::{DomainNode, Index, OrchestratorNode, owner},
    review::Manifest,
};

/// What is above an object, as far as it exists.
#[derive(Clone, Copy, Debug)]
pub struct Place<'i> {
    /// The Orchestrator.
    pub orchestrator: Option<&'i OrchestratorNode>,
    /// The Domain; for a Domain itself what is known of it.
    pub domain: Option<&'i DomainNode>,
    /// The policies above the object.
    pub above: &'i Arc<Chain>,
}

static NOTHING: LazyLock<Arc<Chain>> = LazyLock::new(Arc::default);

impl<'i> Place<'i> {
    /// The place of an object in a namespace (empty for those of the whole cluster).
    pub fn of(manifest: &Manifest, namespace: &str, index: &'i Index) -> Self {
        let space = index.space(namespace);
        let reference = match manifest {
            Manifest::Orchestrator(_) => return Self { orchestrator: None, domain: None, above: &NOTHING },
            Manifest::Domain(object) => {
                let orchestrator = index.orchestrator(&object.spec.orchestrator_ref.name);
                let domain = object.metadata.name.as_deref().and_then(|name| index.domain(name));
                let above = orchestrator.map_or(&*NOTHING, OrchestratorNode::chain);
                return Self { orchestrator, domain, above };
            }
            Manifest::AgentPool(object) => Some(object.spec.supervisor_ref.as_ref()),
            Manifest::Workflow(object) => Some(object.spec.supervisor_ref.as_ref()),
            Manifest::Supervisor(_) | Manifest::Pod(_) => None,
        };
        let domain = index.domain_of(namespace);
        let above = space.map_or(&*NOTHING, |space| match reference {
            Some(reference) => space.above(reference),
            None => space.chain(),
        });
        Self { orchestrator: domain.and_then(|domain| index.orchestrator_of(domain)), domain, above }
    }
}

/// The object as the origin of policies, at a generation.
pub fn owner_of(manifest: &Manifest, generation: i64) -> Option<Owner> {
    let owner = match manifest {
        Manifest::Orchestrator(object) => owner(Level::Orchestrator, object.as_ref()),
        Manifest::Domain(object) => owner(Level::Domain, object.as_ref()),
        Manifest::Supervisor(object) => owner(Level::Supervisor, object.as_ref()),
        Manifest::AgentPool(object) => owner(Level::AgentPool, object.as_ref()),
        Manifest::Workflow(object) => owner(Level::Workflow, object.as_ref()),
        Manifest::Pod(_) => return None,
    };
    Some(Owner { generation, ..owner })
}
