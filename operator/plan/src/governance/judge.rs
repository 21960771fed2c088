//! What an object violates as it stands, by the examination that admission makes too.

use kube_core::ResourceExt;
use tetrarch_core::policy::{Action, Effective, Level};

use super::Governed;
use crate::admit::{
    Finding, Index,
    chain::{Chain, Declared},
    examine::{Standard, examine},
    index::{DomainNode, OrchestratorNode},
    own,
};

/// What is found out about an object.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What it violates.
    pub(super) violated: Vec<Finding>,
    /// Why it needs an approval.
    pub(super) held: Vec<Finding>,
}

/// Examines an object. Rules about who writes, or when, were asked when it was written.
pub(super) fn judge<K: Governed>(
    object: &K,
    above: &Chain,
    own: Option<&Declared>,
    effective: &Effective,
    index: &Index,
) -> Judged {
    if effective.is_empty() && own.is_none() {
        return Judged::default();
    }
    let (domain, orchestrator) = place(object, index);
    let standard = Standard {
        effective,
        orchestrator: orchestrator.map(|node| &node.object().spec),
        keys: orchestrator.map(OrchestratorNode::keys),
        domain: domain.map(DomainNode::document),
        write: None,
    };
    let found = if effective.is_empty() { Vec::new() } else { examine(&object.manifest(), &standard) };
    let (held, mut violated): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|finding| finding.action == Action::RequireApproval);
    violated.extend(own.into_iter().flat_map(|own| own::conflicts(own, above)));
    Judged { violated, held }
}

fn place<'i, K: Governed>(object: &K, index: &'i Index) -> (Option<&'i DomainNode>, Option<&'i OrchestratorNode>) {
    let domain = match (K::LEVEL, object.namespace()) {
        (Level::Domain, _) => index.domain(&object.name_any()),
        (_, Some(namespace)) => index.domain_of(&namespace),
        _ => None,
    };
    (domain, domain.and_then(|domain| index.orchestrator_of(domain)))
}
