//! What is wrong with the runs of other Workflows that the steps of a Workflow begin, as far as it can be seen before they do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube_core::ResourceExt;
use tetrarch_core::{
    id::Name,
    workflow::definition::{Definition, StepKind},
};
use tetrarch_crds::Workflow;

use crate::{
    hierarchy,
    object::is_deleting,
    reason::{Finding, Reason},
};

/// Workflows that are missing, and cycles that this one is part of. Its runs start all the same and wait, or fail at the step, where
/// everybody sees it.
pub(super) fn find(definition: &Definition, supervisor: &Name, workflows: &[Arc<Workflow>]) -> Vec<Finding> {
    let calls = calls(definition);
    if calls.is_empty() {
        return Vec::new();
    }
    let reachable = |workflow: &&Arc<Workflow>| {
        hierarchy::belongs_to(workflow.spec.supervisor_ref.as_ref(), supervisor.as_str())
            && !is_deleting(workflow.as_ref())
    };
    let known: BTreeMap<String, &Workflow> =
        workflows.iter().filter(reachable).map(|workflow| (workflow.name_any(), workflow.as_ref())).collect();
    let mut found: Vec<Finding> = calls
        .iter()
        .filter(|(_, callee)| !known.contains_key(callee.as_str()))
        .map(|(path, callee)| {
            Finding::new(
                Reason::UnknownWorkflow,
                format!(
                    "{path}: Supervisor {:?} has no Workflow {:?}: create it with the same supervisorRef, or name another one",
                    supervisor.as_str(),
                    callee.as_str()
                ),
            )
        })
        .collect();
    found.extend(calls.iter().filter_map(|(path, callee)| {
        let mut chain = vec![definition.workflow.to_string()];
        is_circle(definition.workflow.as_str(), callee.as_str(), &known, &mut BTreeSet::new(), &mut chain).then(|| {
            Finding::new(
                Reason::WorkflowCycle,
                format!(
                    "{path}: Workflows begin runs of each other in a cycle: {}: remove one of these steps",
                    chain.join(" -> ")
                ),
            )
        })
    }));
    found
}

/// The Workflows that the steps name, with the paths of the fields.
fn calls(definition: &Definition) -> Vec<(String, &Name)> {
    let steps = definition.steps.iter().enumerate();
    steps
        .filter_map(|(index, step)| match &step.kind {
            StepKind::Workflow(called) => Some((format!("spec.steps[{index}].workflow.name"), &called.name)),
            _ => None,
        })
        .collect()
}

/// Whether a run of `from` leads back to the first of the chain, which is then the way there.
fn is_circle(
    first: &str,
    from: &str,
    known: &BTreeMap<String, &Workflow>,
    seen: &mut BTreeSet<String>,
    chain: &mut Vec<String>,
) -> bool {
    chain.push(from.to_owned());
    if from == first {
        return true;
    }
    if seen.insert(from.to_owned())
        && let Some(workflow) = known.get(from)
    {
        let callees = workflow.spec.steps.iter().filter_map(|step| step.workflow.as_ref());
        for callee in callees {
            if is_circle(first, &callee.name, known, seen, chain) {
                return true;
            }
        }
    }
    chain.pop();
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parse;

    fn workflow(name: &str, callee: &str) -> Arc<Workflow> {
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "tetrarch.dev/v1alpha1",
                "kind": "Workflow",
                "metadata": {"name": name, "namespace": "space"},
                "spec": {"supervisorRef": {"name": "sup"}, "steps": [{"name": "s", "workflow": {"name": callee}}]},
            }))
            .unwrap(),
        )
    }

    fn told(callers: &[(&str, &str)]) -> Vec<(Reason, String)> {
        let workflows: Vec<Arc<Workflow>> = callers.iter().map(|(name, callee)| workflow(name, callee)).collect();
        let definition = parse::workflow::definition(&workflows[0]).unwrap();
        let found = find(&definition, &"sup".parse().unwrap(), &workflows);
        found.into_iter().map(|finding| (finding.reason, finding.message)).collect()
    }

    #[test]
    fn a_workflow_that_is_not_there_is_told() {
        let found = told(&[("a", "b")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Reason::UnknownWorkflow);
        assert!(found[0].1.starts_with("spec.steps[0].workflow.name: Supervisor \"sup\" has no Workflow \"b\""));
    }

    #[test]
    fn a_circle_is_told_to_those_that_are_part_of_it() {
        let found = told(&[("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Reason::WorkflowCycle);
        assert!(found[0].1.contains("in a cycle: a -> b -> c -> a: remove"), "{found:?}");
        assert_eq!(told(&[("x", "a"), ("a", "b"), ("b", "a")]), []);
    }
}
