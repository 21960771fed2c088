//! Tests of what people are told, and when.

use serde_json::{Value, json};

use super::*;

/// A question that is asked since 10:00, with reminders after one and two hours.
fn observed() -> Observed {
    let waiting = json!({
        "run": "audit-1", "step": "sign-off", "attempt": 1, "generation": 3, "message": "may it?",
        "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T14:00:00Z",
        "approval": {
            "approvers": [{"kind": "Group", "name": "legal"}], "timeout": 14_400_000, "onTimeout": "Reject",
            "remindersMs": [3_600_000, 7_200_000],
        },
    });
    let summary = json!({
        "version": 1, "run": "audit-1", "phase": "Waiting", "ended": 0, "total": 1, "steps": [], "waiting": [waiting],
    });
    Observed { summary: Some(serde_json::from_value(summary).unwrap()), ..Observed::default() }
}

fn workflow(status: &Value) -> Workflow {
    serde_json::from_value(json!({
        "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "audit", "namespace": "compliance"},
        "spec": {"steps": []}, "status": status,
    }))
    .unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-21T{time}:00Z").parse().unwrap()
}

/// The reasons of the Events, and when it is looked at again.
fn told(before: &Workflow, time: &str) -> (Vec<(Reason, String)>, Wake) {
    let plan = tell(Plan::accepted(Vec::new()), before, &observed(), at(time));
    let note = |effect: &Effect| match effect {
        Effect::Event(note) => (note.reason, note.message.clone()),
        other => panic!("{other:?}"),
    };
    (plan.effects.iter().map(note).collect(), plan.wake)
}

/// The object after a status that was written at a time.
fn after(time: &str) -> Workflow {
    let mut object = workflow(&json!({}));
    let waiting = status(&object, &observed(), at(time));
    object.status = Some(tetrarch_crds::WorkflowStatus { waiting, ..Default::default() });
    object
}

#[test]
fn a_new_question_is_told_once() {
    let (notes, wake) = told(&workflow(&json!({})), "10:00");
    let [(reason, message)] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!(*reason, Reason::DecisionRequired);
    assert_eq!(
        message,
        "step sign-off of run audit-1 waits for Group legal until 2026-11-21T14:00:00Z: may it?; decide with \
         kubectl tetrarch approve audit --step sign-off, or reject audit --step sign-off"
    );
    assert_eq!(wake, Wake::At(at("11:00")));
    assert_eq!(told(&after("10:00"), "10:30"), (Vec::new(), Wake::At(at("11:00"))));
}

#[test]
fn reminders_come_when_they_are_due_and_once_each() {
    let (notes, wake) = told(&after("10:30"), "11:00");
    assert!(notes.len() == 1 && notes[0].0 == Reason::DecisionReminder, "{notes:?}");
    assert!(notes[0].1.starts_with("reminder 1 of 2: step sign-off"), "{notes:?}");
    assert_eq!(wake, Wake::At(at("12:00")));
    assert_eq!(told(&after("11:00"), "11:30").0, []);
    assert_eq!(told(&after("11:00"), "12:00").1, Wake::OnChange);
}

#[test]
fn a_question_whose_time_is_over_is_told_once_unless_somebody_decided() {
    let told_of = |object: &Workflow, asked: &Observed, time: &str| -> Vec<String> {
        let plan = tell(Plan::accepted(Vec::new()), object, asked, at(time));
        let note = |effect: &Effect| match effect {
            Effect::Event(note) => Some(format!("{:?}: {}", note.reason, note.message)),
            _ => None,
        };
        plan.effects.iter().filter_map(note).collect()
    };
    let mut gone = observed();
    gone.summary.as_mut().unwrap().waiting.clear();
    let mut object = after("12:00");
    assert_eq!(
        told_of(&object, &gone, "14:01"),
        [
            "DecisionTimedOut: step sign-off of run audit-1 waited for Group legal until 2026-11-21T14:00:00Z and nobody \
             decided: it is rejected"
        ]
    );
    // The supervisor has not taken it back yet; or it was over before its time, as when the run was cancelled.
    assert_eq!(told_of(&object, &observed(), "14:01"), [""; 0]);
    assert_eq!(told_of(&object, &gone, "13:59"), [""; 0]);
    // The status that follows holds the question no more.
    object.status.as_mut().unwrap().waiting = status(&object, &gone, at("14:01"));
    assert_eq!(told_of(&object, &gone, "14:02"), [""; 0]);
    let stamp = r#"[{"run":"audit-1","step":"sign-off","attempt":1,"generation":3,"approved":true,"by":"ada","at":"2026-11-21T13:59:59Z"}]"#;
    let mut decided = after("12:00");
    decided.metadata.annotations = Some([(names::ANNOTATION_DECISIONS.to_owned(), stamp.to_owned())].into());
    assert_eq!(told_of(&decided, &gone, "14:01"), [""; 0]);
}

#[test]
fn the_status_names_the_question_and_its_approvers() {
    let waiting = &status(&workflow(&json!({})), &observed(), at("11:30"))[0];
    assert_eq!(
        (waiting.id.as_str(), waiting.whom.as_str(), waiting.reminded),
        ("audit-1/sign-off/1/3", "Group legal", 1)
    );
    assert_eq!(waiting.approvers[0].kind, SubjectKind::Group);
}

#[test]
fn what_was_last_seen_stays_while_the_bus_is_silent() {
    let before = after("10:30");
    assert_eq!(status(&before, &Observed::default(), at("13:00")), before.status.as_ref().unwrap().waiting);
}

#[test]
fn stamps_are_handed_over_and_nonsense_is_none() {
    let stamp = r#"[{"run":"audit-1","step":"sign-off","attempt":1,"generation":3,"approved":true,"by":"ada","at":"2026-11-21T10:30:00Z"}]"#;
    let mut object = workflow(&json!({}));
    object.metadata.annotations = Some([(names::ANNOTATION_DECISIONS.to_owned(), stamp.to_owned())].into());
    assert_eq!(decisions(&object)[0].decision.by, "ada");
    object.metadata.annotations = Some([(names::ANNOTATION_DECISIONS.to_owned(), "{".to_owned())].into());
    assert_eq!(decisions(&object), []);
}
