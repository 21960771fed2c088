//! Whether objects that are there comply with what holds for them: by the webhook's own examination.

use serde::Serialize;
use tetrarch_core::policy::{Action, Kind, Subject};
use tetrarch_plan::admit::{
    Code, Finding, Index, Manifest,
    chain::Chain,
    examine::{self, Standard},
    index::{DomainNode, OrchestratorNode},
};

use crate::inventory::Item;

/// The policies that hold for an object: its own and those of the levels above. None for what policies do not govern.
pub fn chain<'i>(index: &'i Index, item: &Item) -> Option<&'i Chain> {
    let space = index.space(&item.namespace);
    Some(match item.kind {
        Kind::Orchestrator | Kind::Pod => return None,
        Kind::Domain => index.domain(&item.name)?.chain(),
        Kind::Supervisor => space?.supervisor(&item.name)?.chain(),
        Kind::AgentPool => space?.pool(&item.name)?.chain(),
        Kind::Workflow => space?.workflow(&item.name)?.chain(),
    })
}

/// Everything in which an object does not comply. Rules that read who writes, and when, are not asked.
pub fn findings(index: &Index, item: &Item) -> Vec<Finding> {
    let (Some(chain), Ok(manifest)) = (chain(index, item), Manifest::read(item.kind, &item.value)) else {
        return Vec::new();
    };
    let labels = manifest.metadata().labels.clone().unwrap_or_default();
    let domain = match item.kind {
        Kind::Domain => index.domain(&item.name),
        _ => index.domain_of(&item.namespace),
    };
    let orchestrator = domain.and_then(|domain| index.orchestrator_of(domain));
    let standard = Standard {
        effective: &chain.effective(&Subject { kind: item.kind, labels: &labels }),
        orchestrator: orchestrator.map(|node| &node.object().spec),
        keys: orchestrator.map(OrchestratorNode::keys),
        domain: domain.map(DomainNode::document),
        write: None,
    };
    examine::examine(&manifest, &standard)
}

/// What follows for an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Consequence {
    /// What runs stays; it cannot be changed until it complies.
    Violates,
    /// A number is held down at run time.
    Clamped,
    /// Its next change waits for an approval.
    Held,
    /// Whoever changes it next is warned, or it is recorded.
    Noted,
}

/// Fields whose numbers are held down at run time when a level above was tightened later.
const CLAMPED: [&str; 4] = ["spec.replicas", "spec.scaling.max", "spec.concurrency", "spec.timeout"];

/// What follows from a finding.
pub fn consequence(finding: &Finding) -> Consequence {
    let is_number = CLAMPED.contains(&finding.field.as_str()) || finding.field.ends_with(".timeout");
    match finding.action {
        Action::Deny if finding.code == Code::Limit && is_number => Consequence::Clamped,
        Action::Deny => Consequence::Violates,
        Action::RequireApproval => Consequence::Held,
        Action::Warn | Action::Audit => Consequence::Noted,
    }
}
