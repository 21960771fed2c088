//! The triggers of a Workflow.

use tetrarch_core::workflow::{journal::FinalPhase, trigger::Trigger};
use tetrarch_crds::{
    WorkflowSpec,
    workflow::{EndPhase, Trigger as Written},
};

use crate::violation::Violations;

/// Reads the triggers of the Workflow of this name; those that are wrong are left out.
pub fn triggers(name: &str, spec: &WorkflowSpec, violations: &mut Violations) -> Vec<Trigger> {
    let written = spec.triggers.iter().enumerate();
    written
        .filter_map(|(index, written)| {
            if spec.triggers.iter().take(index).any(|before| before.name == written.name) {
                let problem = format!("{:?} is listed twice: write each trigger once", written.name);
                violations.add(format!("spec.triggers[{index}].name"), problem);
            }
            trigger(name, &format!("spec.triggers[{index}]"), written, spec, violations)
        })
        .collect()
}

fn trigger(
    own: &str,
    path: &str,
    written: &Written,
    spec: &WorkflowSpec,
    violations: &mut Violations,
) -> Option<Trigger> {
    let Written { name, completion, when, parameters } = written;
    if completion.workflow == own {
        let problem =
            "is this Workflow itself, which would begin runs for ever: name another one, or repeat a step with loop";
        violations.add(format!("{path}.completion.workflow"), problem);
        return None;
    }
    for given in parameters.keys().filter(|given| !spec.parameters.iter().any(|known| known.name == **given)) {
        let known: Vec<&str> = spec.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let problem = format!("there is no parameter {given:?}: write one of [{}]", known.join(", "));
        violations.add(format!("{path}.parameters.{given}"), problem);
    }
    let without = spec.parameters.iter().filter(|parameter| parameter.value.is_none());
    for missing in without.filter(|parameter| !parameters.contains_key(&parameter.name)) {
        let problem = format!("gives no value to {0:?}, which has no default: add {0:?} here", missing.name);
        violations.add(format!("{path}.parameters"), problem);
    }
    let trigger = Trigger {
        name: violations.check(&format!("{path}.name"), name.parse())?,
        workflow: violations.check(&format!("{path}.completion.workflow"), completion.workflow.parse())?,
        phases: completion.phases.iter().map(|phase| end(*phase)).collect(),
        when: when.clone(),
        parameters: parameters.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
    };
    for mistake in trigger.mistakes() {
        violations.add(format!("{path}{}", mistake.place), mistake.message);
    }
    Some(trigger)
}

const fn end(phase: EndPhase) -> FinalPhase {
    match phase {
        EndPhase::Succeeded => FinalPhase::Succeeded,
        EndPhase::Failed => FinalPhase::Failed,
        EndPhase::Compensated => FinalPhase::Compensated,
        EndPhase::Cancelled => FinalPhase::Cancelled,
        EndPhase::OutcomeUnknown => FinalPhase::OutcomeUnknown,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use tetrarch_crds::Workflow;

    use crate::parse::workflow::definition;

    fn workflow(triggers: &Value) -> Workflow {
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "report", "namespace": "compliance"},
            "spec": {
                "start": "OnRequest", "parameters": [{"name": "of"}, {"name": "size", "value": 3}],
                "steps": [{"name": "a", "task": {"agent": {"pool": "p"}}}], "triggers": triggers,
            }
        }))
        .unwrap()
    }

    #[rstest]
    #[case::itself(json!({"name": "t", "completion": {"workflow": "report"}, "parameters": {"of": 1}}), "spec.triggers[0].completion.workflow", "name another one")]
    #[case::unknown(json!({"name": "t", "completion": {"workflow": "scan"}, "parameters": {"of": 1, "too": 2}}), "spec.triggers[0].parameters.too", "write one of [of, size]")]
    #[case::missing(json!({"name": "t", "completion": {"workflow": "scan"}}), "spec.triggers[0].parameters", "add \"of\" here")]
    #[case::foreign(json!({"name": "t", "completion": {"workflow": "scan"}, "when": "params.size > 1", "parameters": {"of": 1}}), "spec.triggers[0].when", "write run or output")]
    #[case::broken(json!({"name": "t", "completion": {"workflow": "scan"}, "parameters": {"of": "${run.id +}"}}), "spec.triggers[0].parameters.of", "write CEL inside of")]
    fn a_trigger_that_cannot_work_is_told_with_the_remedy(
        #[case] trigger: Value,
        #[case] field: &str,
        #[case] remedy: &str,
    ) {
        let found = definition(&workflow(&json!([trigger]))).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].path == field && found[0].message.contains(remedy), "{found:?}");
    }
}
