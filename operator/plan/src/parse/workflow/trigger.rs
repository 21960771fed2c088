//! The triggers of a Workflow.

use serde_json::{Map, Value};
use tetrarch_core::workflow::{
    journal::FinalPhase,
    message::{MessageTrigger, Signature, Source},
    trigger::{Mistake, Trigger},
};
use tetrarch_crds::{
    WorkflowSpec,
    workflow::{Completion, EndPhase, SignatureScheme, Trigger as Written},
};

use crate::violation::Violations;

/// A trigger, by its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The end of a run.
    Completion(Trigger),
    /// A message.
    Message(MessageTrigger),
}

/// Reads the triggers of the Workflow of this name, each with its place in the list; those that are wrong are left out.
pub fn triggers(name: &str, spec: &WorkflowSpec, violations: &mut Violations) -> Vec<(usize, Kind)> {
    let written = spec.triggers.iter().enumerate();
    written
        .filter_map(|(index, written)| {
            if spec.triggers.iter().take(index).any(|before| before.name == written.name) {
                let problem = format!("{:?} is listed twice: write each trigger once", written.name);
                violations.add(format!("spec.triggers[{index}].name"), problem);
            }
            Some((index, trigger(name, &format!("spec.triggers[{index}]"), written, spec, violations)?))
        })
        .collect()
}

fn trigger(own: &str, path: &str, written: &Written, spec: &WorkflowSpec, violations: &mut Violations) -> Option<Kind> {
    if written.completion.as_ref().is_some_and(|completion| completion.workflow == own) {
        let problem =
            "is this Workflow itself, which would begin runs for ever: name another one, or repeat a step with loop";
        violations.add(format!("{path}.completion.workflow"), problem);
        return None;
    }
    check_parameters(path, written, spec, violations);
    let (kind, mistakes) = match (&written.completion, &written.event, &written.webhook) {
        (Some(completion), None, None) => {
            let trigger = of_completion(path, written, completion, violations)?;
            let mistakes = trigger.mistakes();
            (Kind::Completion(trigger), mistakes)
        }
        (None, Some(event), None) => {
            let topic = violations.check(&format!("{path}.event.topic"), event.topic.parse())?;
            of_message(path, written, Source::Event { topic }, violations)?
        }
        (None, None, Some(webhook)) => {
            let signature = match webhook.signature {
                SignatureScheme::Standard => Signature::Standard,
                SignatureScheme::GitHub => Signature::GitHub,
            };
            of_message(path, written, Source::Webhook { signature }, violations)?
        }
        _ => {
            violations.add(path, "has exactly one kind: write completion, event or webhook");
            return None;
        }
    };
    for mistake in mistakes {
        violations.add(format!("{path}{}", mistake.place), mistake.message);
    }
    Some(kind)
}

fn of_completion(
    path: &str,
    written: &Written,
    completion: &Completion,
    violations: &mut Violations,
) -> Option<Trigger> {
    Some(Trigger {
        name: violations.check(&format!("{path}.name"), written.name.parse())?,
        workflow: violations.check(&format!("{path}.completion.workflow"), completion.workflow.parse())?,
        phases: completion.phases.iter().map(|phase| end(*phase)).collect(),
        when: written.when.clone(),
        parameters: parameters(written),
    })
}

fn of_message(
    path: &str,
    written: &Written,
    source: Source,
    violations: &mut Violations,
) -> Option<(Kind, Vec<Mistake>)> {
    let trigger = MessageTrigger {
        name: violations.check(&format!("{path}.name"), written.name.parse())?,
        source,
        when: written.when.clone(),
        parameters: parameters(written),
    };
    let mistakes = trigger.mistakes();
    Some((Kind::Message(trigger), mistakes))
}

fn parameters(written: &Written) -> Map<String, Value> {
    written.parameters.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

fn check_parameters(path: &str, written: &Written, spec: &WorkflowSpec, violations: &mut Violations) {
    let given = &written.parameters;
    for unknown in given.keys().filter(|given| !spec.parameters.iter().any(|known| known.name == **given)) {
        let known: Vec<&str> = spec.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let problem = format!("there is no parameter {unknown:?}: write one of [{}]", known.join(", "));
        violations.add(format!("{path}.parameters.{unknown}"), problem);
    }
    let without = spec.parameters.iter().filter(|parameter| parameter.value.is_none());
    for missing in without.filter(|parameter| !given.contains_key(&parameter.name)) {
        let problem = format!("gives no value to {0:?}, which has no default: add {0:?} here", missing.name);
        violations.add(format!("{path}.parameters"), problem);
    }
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
    #[case::kindless(json!({"name": "t", "parameters": {"of": 1}}), "spec.triggers[0]", "write completion, event or webhook")]
    #[case::both(json!({"name": "t", "completion": {"workflow": "scan"}, "event": {"topic": "b"}, "parameters": {"of": 1}}), "spec.triggers[0]", "write completion, event or webhook")]
    #[case::topic(json!({"name": "t", "event": {"topic": "a.b"}, "parameters": {"of": 1}}), "spec.triggers[0].event.topic", "")]
    #[case::of_runs(json!({"name": "t", "event": {"topic": "b"}, "parameters": {"of": "${run.id}"}}), "spec.triggers[0].parameters.of", "write event")]
    #[case::three(json!({"name": "t", "webhook": {"secretRef": {"name": "s", "key": "k"}}, "event": {"topic": "b"}, "parameters": {"of": 1}}), "spec.triggers[0]", "event or webhook")]
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
