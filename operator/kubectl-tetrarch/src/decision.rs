//! Decisions about steps that wait: which question is meant, what is written, and what was made of it.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tetrarch_crds::{Workflow, workflow::WaitingStatus};
use tetrarch_plan::{names, reconcile::workflow::waiting};

use crate::args::Decide;

/// The question that is meant, or why it is not known.
pub fn question<'w>(workflow: &'w Workflow, args: &Decide) -> Result<&'w WaitingStatus, String> {
    let name = workflow.name_any();
    let waiting = workflow.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
    let is_meant = |question: &&WaitingStatus| {
        let mut parts = question.id.split('/');
        let (run, step) = (parts.next(), parts.next());
        let is_of =
            |wanted: &Option<String>, part: Option<&str>| wanted.as_deref().is_none_or(|text| part == Some(text));
        let is_named = args.id.as_ref().is_none_or(|id| *id == question.id);
        is_named && is_of(&args.run, run) && is_of(&args.step, step)
    };
    let ids = || waiting.iter().map(|question| question.id.as_str()).collect::<Vec<_>>().join(", ");
    match waiting.iter().filter(is_meant).collect::<Vec<_>>()[..] {
        [question] => Ok(question),
        [] if waiting.is_empty() => Err(format!("no step of the Workflow {name:?} waits for a decision")),
        [] => Err(format!("that does not wait for a decision: what waits is {}", ids())),
        _ => Err(format!("several steps wait: add --step, --run or --id with one of {}", ids())),
    }
}

/// The annotation to write.
pub fn request(question: &WaitingStatus, reason: &str, approved: bool) -> Result<Value, String> {
    let reason = reason.trim();
    if question.require_reason && reason.is_empty() {
        return Err(format!("{} needs a reason: add --reason", question.id));
    }
    let key = if approved { names::ANNOTATION_APPROVE_STEP } else { names::ANNOTATION_REJECT_STEP };
    let text = if reason.is_empty() { question.id.clone() } else { format!("{} {reason}", question.id) };
    Ok(json!({ key: text }))
}

/// What is stamped about a question, such as `approved by ada: fine`.
pub fn said(annotations: &BTreeMap<String, String>, id: &str) -> Option<String> {
    let stamps = waiting::stamped(Some(annotations));
    let stamp = stamps.iter().find(|stamp| names::question_of(stamp) == id)?;
    Some(stamp.decision.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(ids: &[&str]) -> Workflow {
        let waiting: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({
                    "id": id, "for": "Group legal", "message": "may it?", "requireReason": true,
                    "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T14:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "audit"},
            "spec": {"steps": []}, "status": {"waiting": waiting}
        }))
        .unwrap()
    }

    fn args(step: Option<&str>, id: Option<&str>) -> Decide {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Decide { workflow: "audit".to_owned(), step: own(step), run: None, id: own(id), reason: String::new() }
    }

    #[test]
    fn the_only_question_needs_no_name() {
        let workflow = workflow(&["r-1/sign-off/1/2"]);
        assert_eq!(question(&workflow, &args(None, None)).unwrap().id, "r-1/sign-off/1/2");
    }

    #[test]
    fn of_several_questions_one_has_to_be_named() {
        let workflow = workflow(&["r-1/sign-off/1/2", "r-1/brand/1/2"]);
        assert!(question(&workflow, &args(None, None)).unwrap_err().contains("--step, --run or --id"));
        assert_eq!(question(&workflow, &args(Some("brand"), None)).unwrap().id, "r-1/brand/1/2");
    }

    #[test]
    fn a_question_that_is_not_asked_any_more_is_refused_with_what_is() {
        let workflow = workflow(&["r-1/sign-off/2/2"]);
        let told = question(&workflow, &args(None, Some("r-1/sign-off/1/2"))).unwrap_err();
        assert_eq!(told, "that does not wait for a decision: what waits is r-1/sign-off/2/2");
    }

    #[test]
    fn a_reason_that_is_required_is_asked_for_before_anything_is_sent() {
        let workflow = workflow(&["r-1/sign-off/1/2"]);
        let question = question(&workflow, &args(None, None)).unwrap();
        assert!(request(question, " ", true).unwrap_err().contains("--reason"));
        let written = request(question, "fine", false).unwrap();
        assert_eq!(written, json!({"tetrarch.dev/reject-step": "r-1/sign-off/1/2 fine"}));
    }
}
