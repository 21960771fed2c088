//! What a Workflow waits for, in a sentence for people.

use kube_core::ResourceExt;
use tetrarch_crds::{
    Workflow,
    workflow::{RunPhase, RunStatus},
};

use crate::conditions;

/// What the latest run waits for, or how it ended; of a Workflow that is not accepted, held by a policy or without a run, why nothing runs.
pub fn why(workflow: &Workflow) -> String {
    let name = workflow.name_any();
    let Some(status) = &workflow.status else {
        return format!("Workflow {name} has not been looked at yet: is the operator running?");
    };
    let condition = |kind| conditions::find(&status.conditions, kind);
    if let Some(accepted) = condition(conditions::ACCEPTED).filter(|accepted| accepted.status != "True") {
        let going = status.run.as_ref().filter(|run| !has_ended(run.phase));
        let going = going.map(|run| format!("; run {} goes on: {}", run.id, of_run(run))).unwrap_or_default();
        return format!("nothing new of Workflow {name} runs ({}): {}{going}", accepted.reason, accepted.message);
    }
    let Some(run) = &status.run else {
        let ready = condition(conditions::READY).map(|ready| ready.message.clone());
        return ready.unwrap_or_else(|| format!("Workflow {name} has no run yet"));
    };
    let ready = condition(conditions::READY).filter(|ready| has_ended(run.phase) && ready.reason == "RunPending");
    let next = ready.map(|ready| format!("; {}", ready.message)).unwrap_or_default();
    format!("run {} {}{next}", run.id, of_run(run))
}

/// Whether nothing follows a phase.
const fn has_ended(phase: RunPhase) -> bool {
    !matches!(phase, RunPhase::Pending | RunPhase::Running | RunPhase::Waiting | RunPhase::Compensating)
}

fn of_run(run: &RunStatus) -> String {
    let told = |message: &Option<String>| message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    if has_ended(run.phase) {
        return format!("has ended as {:?}{}", run.phase, told(&run.message));
    }
    match &run.waits_for {
        Some(waiting) => format!("is {:?}: {waiting}", run.phase),
        None if run.message.is_some() => format!("is {:?}{}", run.phase, told(&run.message)),
        None => format!("is {:?} and waits for nothing but its Supervisor", run.phase),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn workflow(accepted: &str, run: &Value) -> Workflow {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-21T10:00:00Z"});
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "audit"}, "spec": {"steps": []},
            "status": {"run": run, "conditions": [
                condition("Accepted", accepted, "ApprovalRequired", "policy \"sign-off\" asks for an approval by legal"),
                condition("Ready", "False", "RunPending", "run audit-g2 has not been accepted yet"),
            ]}
        }))
        .unwrap()
    }

    #[rstest::rstest]
    #[case("True", json!(null), "run audit-g2 has not been accepted yet")]
    #[case("True", json!({"id": "audit-g1", "phase": "Running", "waitsFor": "step w waits until noon"}), "run audit-g1 is Running: step w waits until noon")]
    #[case("True", json!({"id": "audit-g1", "phase": "Failed", "message": "step a: no luck"}), "run audit-g1 has ended as Failed: step a: no luck; run audit-g2 has not been accepted yet")]
    #[case("False", json!(null), "nothing new of Workflow audit runs (ApprovalRequired): policy \"sign-off\" asks for an approval by legal")]
    fn what_is_waited_for_is_one_sentence(#[case] accepted: &str, #[case] run: Value, #[case] expected: &str) {
        assert_eq!(why(&workflow(accepted, &run)), expected);
    }
}
