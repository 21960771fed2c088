//! The other Workflows of the same Supervisor that a Workflow names: whether they are there, and whether the names lead around in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube_core::ResourceExt;
use tetrarch_core::id::Name;
use tetrarch_crds::Workflow;

use crate::{
    hierarchy,
    object::is_deleting,
    reason::{Finding, Reason},
};

/// The Workflows that belong to a Supervisor and stay.
pub(super) struct Neighbours<'a> {
    supervisor: &'a str,
    by_name: BTreeMap<String, &'a Workflow>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(supervisor: &'a Name, workflows: &'a [Arc<Workflow>]) -> Self {
        let supervisor = supervisor.as_str();
        let reachable = |workflow: &&Arc<Workflow>| {
            hierarchy::belongs_to(workflow.spec.supervisor_ref.as_ref(), supervisor) && !is_deleting(workflow.as_ref())
        };
        let by_name =
            workflows.iter().filter(reachable).map(|workflow| (workflow.name_any(), workflow.as_ref())).collect();
        Self { supervisor, by_name }
    }

    /// What is to be told when the Workflow that a field names is not there.
    pub(super) fn missing(&self, field: &str, named: &str) -> Option<Finding> {
        let message = || {
            format!(
                "{field}: Supervisor {:?} has no Workflow {named:?}: create it with the same supervisorRef, or name another one",
                self.supervisor
            )
        };
        (!self.by_name.contains_key(named)).then(|| Finding::new(Reason::UnknownWorkflow, message()))
    }

    /// The way from a Workflow over the one that it names back to itself, if there is one. `links` are the names in a Workflow that count.
    pub(super) fn circle<'w>(
        &'w self,
        first: &str,
        named: &str,
        links: &dyn Fn(&'w Workflow) -> Vec<&'w str>,
    ) -> Option<Vec<String>> {
        let mut chain = vec![first.to_owned()];
        self.leads_back(named, links, &mut BTreeSet::new(), &mut chain).then_some(chain)
    }

    fn leads_back<'w>(
        &'w self,
        from: &str,
        links: &dyn Fn(&'w Workflow) -> Vec<&'w str>,
        seen: &mut BTreeSet<String>,
        chain: &mut Vec<String>,
    ) -> bool {
        chain.push(from.to_owned());
        if chain[0] == from {
            return true;
        }
        if seen.insert(from.to_owned())
            && let Some(workflow) = self.by_name.get(from)
            && links(workflow).into_iter().any(|next| self.leads_back(next, links, seen, chain))
        {
            return true;
        }
        chain.pop();
        false
    }
}
