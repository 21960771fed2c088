//! What is wrong with the runs of other Workflows that the steps of a Workflow begin, as far as it can be seen before they do.

use std::sync::Arc;

use tetrarch_core::{
    id::Name,
    workflow::definition::{Definition, StepKind},
};
use tetrarch_crds::Workflow;

use super::neighbours::Neighbours;
use crate::reason::{Finding, Reason};

/// Workflows that are missing, and cycles that this one is part of. Its runs start all the same and wait, or fail at the step, where
/// everybody sees it.
pub(super) fn find(definition: &Definition, supervisor: &Name, workflows: &[Arc<Workflow>]) -> Vec<Finding> {
    let neighbours = Neighbours::of(supervisor, workflows);
    let calls = calls(definition);
    let missing = calls.iter().filter_map(|(field, callee)| neighbours.missing(field, callee.as_str()));
    let cycles = calls.iter().filter_map(|(field, callee)| {
        let chain = neighbours.circle(definition.workflow.as_str(), callee.as_str(), &callees)?;
        let message = format!(
            "{field}: Workflows begin runs of each other in a cycle: {}: remove one of these steps",
            chain.join(" -> ")
        );
        Some(Finding::new(Reason::WorkflowCycle, message))
    });
    missing.chain(cycles).collect()
}

fn callees(workflow: &Workflow) -> Vec<&str> {
    workflow.spec.steps.iter().filter_map(|step| Some(step.workflow.as_ref()?.name.as_str())).collect()
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
