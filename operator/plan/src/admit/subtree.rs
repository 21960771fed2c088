//! What a tightened policy means for the objects below: they are told, and nothing is refused for them.

use std::{collections::BTreeMap, sync::Arc};

use kube_core::ResourceExt;
use tetrarch_core::policy::{Action, Kind, Subject};

use super::{
    chain::{Chain, Declared},
    examine::{self, Standard},
    finding::{Code, Finding},
    index::{DomainNode, Index, OrchestratorNode, Space, supervisor_name},
    review::Manifest,
    situation::Situation,
};
use crate::hierarchy::namespace_of;

/// Most objects that are named.
const NAMED: usize = 3;
/// Most objects that are looked at for one write.
const LOOKED_AT: usize = 20_000;

/// Looks at objects below, each as it is now and as it would be.
struct Look<'a> {
    orchestrator: Option<&'a OrchestratorNode>,
    looked_at: usize,
    found: usize,
    named: Vec<String>,
}

/// A warning when objects below would comply no longer.
pub(super) fn examine(situation: &Situation<'_>, declared: Declared) -> Option<Finding> {
    let index = situation.index;
    let declared = Arc::new(declared);
    let mut look = Look { orchestrator: situation.place.orchestrator, looked_at: 0, found: 0, named: Vec::new() };
    let fresh;
    match situation.new {
        Manifest::Orchestrator(object) => {
            fresh = OrchestratorNode::new(Arc::new(object.as_ref().clone()));
            look.orchestrator = Some(&fresh);
            let above = Chain::new([declared]);
            for domain in index.domains_of(&object.name_any()).filter_map(|name| index.domain(name)) {
                look.domain(domain, &above.with(Arc::clone(domain.declared())), index);
            }
        }
        Manifest::Domain(_) => {
            let domain = situation.place.domain?;
            let above = situation.place.above.with(declared);
            look.space(domain, index.space(&namespace_of(domain.object()))?, &above);
        }
        Manifest::Supervisor(object) => {
            let space = index.space(&situation.review.namespace)?;
            let (domain, name) = (situation.place.domain?, object.name_any());
            look.leaves(domain, space, &situation.place.above.with(declared), |supervisor| supervisor == name);
        }
        Manifest::AgentPool(_) | Manifest::Workflow(_) | Manifest::Pod(_) => {}
    }
    look.warning()
}

impl Look<'_> {
    fn domain(&mut self, domain: &DomainNode, above: &Chain, index: &Index) {
        let manifest = Manifest::Domain(Box::new(domain.object().clone()));
        self.object(&manifest, Kind::Domain, domain, above, domain.chain());
        if let Some(space) = index.space(&namespace_of(domain.object())) {
            self.space(domain, space, above);
        }
    }

    fn space(&mut self, domain: &DomainNode, space: &Space, above: &Chain) {
        let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
        for supervisor in space.supervisors() {
            let chain = above.with(Arc::clone(supervisor.declared()));
            let manifest = Manifest::Supervisor(Box::new(supervisor.object().clone()));
            self.object(&manifest, Kind::Supervisor, domain, &chain, supervisor.chain());
            chains.insert(supervisor.object().name_any(), chain);
        }
        for (name, chain) in &chains {
            self.leaves(domain, space, chain, |supervisor| supervisor == name);
        }
        self.leaves(domain, space, above, |supervisor| !chains.contains_key(supervisor));
    }

    fn leaves(&mut self, domain: &DomainNode, space: &Space, above: &Chain, of: impl Fn(&str) -> bool) {
        for pool in space.pools().filter(|pool| of(supervisor_name(pool.object().spec.supervisor_ref.as_ref()))) {
            let manifest = Manifest::AgentPool(Box::new(pool.object().clone()));
            let chain = above.with(Arc::clone(pool.declared()));
            self.object(&manifest, Kind::AgentPool, domain, &chain, pool.chain());
        }
        for workflow in
            space.workflows().filter(|workflow| of(supervisor_name(workflow.object().spec.supervisor_ref.as_ref())))
        {
            let manifest = Manifest::Workflow(Box::new(workflow.object().clone()));
            let chain = above.with(Arc::clone(workflow.declared()));
            self.object(&manifest, Kind::Workflow, domain, &chain, workflow.chain());
        }
    }

    fn object(&mut self, manifest: &Manifest, kind: Kind, domain: &DomainNode, new: &Chain, old: &Chain) {
        self.looked_at += 1;
        if self.looked_at > LOOKED_AT || manifest.metadata().deletion_timestamp.is_some() {
            return;
        }
        let labels = manifest.metadata().labels.clone().unwrap_or_default();
        let subject = Subject { kind, labels: &labels };
        let violations = |chain: &Chain| {
            let standard = Standard {
                effective: &chain.effective(&subject),
                orchestrator: self.orchestrator.map(|node| &node.object().spec),
                keys: self.orchestrator.map(OrchestratorNode::keys),
                domain: Some(domain.document()),
                write: None,
            };
            let found = examine::examine(manifest, &standard);
            found.into_iter().filter(|finding| finding.action >= Action::RequireApproval).collect::<Vec<_>>()
        };
        let found = violations(new);
        // Who does not comply already is no news.
        if found.is_empty() || found.len() <= violations(old).len() {
            return;
        }
        self.found += 1;
        if self.named.len() < NAMED {
            let metadata = manifest.metadata();
            let namespace = metadata.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let why = found.first().map(|finding| format!("{} {}", finding.field, finding.problem)).unwrap_or_default();
            self.named.push(format!("{kind} {namespace}{} ({why})", metadata.name.as_deref().unwrap_or_default()));
        }
    }

    fn warning(self) -> Option<Finding> {
        let (found, named) = (self.found, self.named.join(", "));
        let more = if found > NAMED { format!(" and {} more", found - NAMED) } else { String::new() };
        let least = if self.looked_at > LOOKED_AT { "at least " } else { "" };
        let (objects, comply) = if found == 1 { ("object", "complies") } else { ("objects", "comply") };
        (found > 0).then(|| {
            Finding::warned(
                Code::Subtree,
                "spec.policies",
                format!("{least}{found} {objects} below no longer {comply}: {named}{more}"),
                "nothing of them is deleted, numbers are held down while they run, and no change is admitted that does not comply: change them, or loosen the policy",
            )
        })
    }
}
