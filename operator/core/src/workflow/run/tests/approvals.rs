//! Steps that wait for a person, because they ask or because their output does not pass.

use super::*;
use crate::workflow::{
    approval::{Approval, Decision, TimeoutDecision},
    definition::Gate,
};

/// `a`, then a decision, then `b`.
fn asking(change: fn(&mut Approval)) -> Definition {
    let mut asked = approval();
    change(&mut asked);
    definition(vec![
        task_step("a", &[]),
        step("sign-off", &["a"], StepKind::Approval(asked)),
        task_step("b", &["sign-off"]),
    ])
}

/// A draft that a gate judges, and what follows from it.
fn judged() -> Definition {
    let mut draft = task_step("draft", &[]);
    draft.gate = Some(Gate { message: Some("below 80".to_owned()), ..holds("output >= 80", GateFailure::Escalate) });
    definition(vec![draft, task_step("b", &["draft"])])
}

fn said(step: &str, attempt: u32, approved: bool) -> RunEvent {
    let decision = Decision { approved, by: "ada".to_owned(), at: at(3), reason: Some("fine".to_owned()) };
    RunEvent::Decided { step: name(step), attempt, decision }
}

fn waits(definition: Definition, output: Value) -> Driver {
    let first = definition.steps[0].name.clone();
    let mut driver = Driver::started(definition);
    driver.pass(1);
    driver.succeed(&format!("{first}/1"), output);
    driver.new_dispatches();
    driver
}

fn message(driver: &Driver, step: &str) -> String {
    let found = driver.run.steps().find(|found| found.name.as_str() == step).unwrap();
    found.message.unwrap_or_default().to_owned()
}

#[test]
fn a_step_waits_for_its_approver_and_says_for_whom_and_until_when() {
    let mut driver = waits(asking(|asked| asked.message = Some("publish ${steps.a.output}?".to_owned())), json!("it"));
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Waiting b:Pending");
    assert_eq!(driver.run.phase(), RunPhase::Waiting);
    assert_eq!(driver.wake_at, Some(at(11)));
    let question = driver.run.questions().next().unwrap();
    assert_eq!((question.attempt, question.message, question.since, question.until), (1, "publish it?", at(1), at(11)));
    let told = driver.run.message().unwrap();
    assert_eq!(told, "waits for Group legal to decide about step sign-off until 1970-01-12T13:46:51Z");
    driver.event(said("sign-off", 1, true));
    assert_eq!((driver.new_dispatches().as_str(), driver.run.phase()), ("b/1", RunPhase::Running));
    assert_eq!(message(&driver, "sign-off"), "approved by ada: fine");
    assert_eq!(driver.run.questions().count(), 0);
}

#[test]
fn the_decision_is_the_output() {
    let mut written = asking(|_| {});
    written.output = Some(json!("${steps['sign-off'].output}"));
    let mut driver = waits(written, json!(1));
    driver.event(said("sign-off", 1, true));
    driver.succeed("b/1", json!(1));
    let expected = json!({"approved": true, "by": "ada", "at": "1970-01-12T13:46:43Z", "reason": "fine"});
    assert_eq!(driver.run.output(), Some(expected));
}

#[test]
fn a_no_fails_the_step() {
    let mut driver = waits(asking(|_| {}), json!(1));
    driver.event(said("sign-off", 1, false));
    assert_eq!(driver.end(), (FinalPhase::Failed, "step sign-off: rejected by ada: fine".to_owned()));
}

#[rstest]
#[case::no(TimeoutDecision::Reject, "a:Succeeded sign-off:Failed b:Skipped")]
#[case::yes(TimeoutDecision::Approve, "a:Succeeded sign-off:Succeeded b:Running")]
fn when_nobody_decides_in_time_it_counts_as_said(#[case] on_timeout: TimeoutDecision, #[case] expected: &str) {
    let mut written = asking(|_| {});
    if let StepKind::Approval(asked) = &mut written.steps[1].kind {
        asked.on_timeout = on_timeout;
    }
    let mut driver = waits(written, json!(1));
    driver.pass(9);
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Waiting b:Pending");
    driver.pass(1);
    assert_eq!(driver.phases(), expected);
    assert!(message(&driver, "sign-off").ends_with("because nobody decided in time"));
}

#[rstest]
#[case::of_another_question(vec![said("sign-off", 2, true), said("sign-off", 0, true)])]
#[case::of_a_step_that_asks_nothing(vec![said("a", 1, true), said("nobody", 1, true), said("b", 1, false)])]
fn a_foreign_decision_changes_nothing(#[case] events: Vec<RunEvent>) {
    let mut driver = waits(asking(|_| {}), json!(1));
    let count = events.len() as u64;
    for event in events {
        driver.event(event);
    }
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Waiting b:Pending");
    assert_eq!(driver.run.ignored(), count);
}

#[test]
fn the_first_decision_stands() {
    let mut driver = waits(asking(|_| {}), json!(1));
    driver.event(said("sign-off", 1, true));
    driver.event(said("sign-off", 1, false));
    driver.event(RunEvent::DecisionTimedOut { step: name("sign-off"), attempt: 1, approved: false });
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Succeeded b:Running");
    assert_eq!(driver.run.ignored(), 2);
}

#[test]
fn a_decision_after_the_time_was_over_changes_nothing() {
    let mut driver = waits(asking(|asked| asked.on_timeout = TimeoutDecision::Approve), json!(1));
    driver.pass(10);
    driver.event(said("sign-off", 1, false));
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Succeeded b:Running");
}

#[test]
fn the_clock_of_the_run_stands_still_while_it_waits_for_people() {
    let mut driver = waits(asking(|asked| asked.timeout = Duration::from_hours(4)), json!(1));
    assert_eq!(driver.run.deadline(), None);
    driver.pass(3_599);
    assert_eq!(driver.run.phase(), RunPhase::Waiting);
    driver.event(said("sign-off", 1, true));
    assert_eq!(driver.run.deadline(), Some(at(600 + 3_599)));
    driver.pass(599);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn two_questions_at_once_stop_the_clock_once() {
    let mut other = approval();
    other.timeout = Duration::from_secs(50);
    let mut written = asking(|_| {});
    written.steps.push(step("brand", &["a"], StepKind::Approval(other)));
    let mut driver = waits(written, json!(1));
    assert!(driver.run.message().unwrap().ends_with("(and for 1 other decision)"));
    driver.pass(5);
    driver.event(said("sign-off", 1, true));
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.succeed("b/1", json!(1));
    driver.pass(5);
    driver.event(said("brand", 1, true));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn another_owner_goes_on_waiting() {
    let mut driver = waits(asking(|_| {}), json!(1));
    driver.run.reissue();
    driver.pass(10);
    assert_eq!(driver.end().1, "step sign-off: rejected, because nobody decided in time");
}

#[test]
fn a_cancelled_run_asks_nobody_any_more() {
    let mut driver = waits(asking(|_| {}), json!(1));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(driver.end().0, FinalPhase::Cancelled);
    assert_eq!(driver.run.questions().count(), 0);
    assert_eq!(driver.phases(), "a:Succeeded sign-off:Cancelled b:Skipped");
}

#[test]
fn a_question_that_cannot_be_put_fails_the_step() {
    let driver = waits(asking(|asked| asked.message = Some("${steps.a.output.title}".to_owned())), json!(1));
    assert!(driver.end().1.starts_with("step sign-off: approval.message: "), "{}", driver.end().1);
}

#[rstest]
#[case::good_enough(90, "draft:Succeeded b:Running")]
#[case::not_good_enough(60, "draft:Waiting b:Pending")]
fn only_what_does_not_pass_is_escalated(#[case] score: u32, #[case] expected: &str) {
    assert_eq!(waits(judged(), json!(score)).phases(), expected);
}

#[test]
fn a_person_lets_an_output_pass_and_the_step_says_so() {
    let mut driver = waits(judged(), json!(60));
    assert_eq!(driver.run.questions().next().unwrap().message, "gate: below 80");
    driver.event(said("draft", 1, true));
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("b/1", "draft:Succeeded b:Running"));
    assert_eq!(message(&driver, "draft"), "gate: below 80; approved by ada: fine");
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn a_person_does_not_let_an_output_pass() {
    let mut driver = waits(judged(), json!(60));
    driver.event(said("draft", 1, false));
    assert_eq!(driver.end(), (FinalPhase::Failed, "step draft: gate: below 80; rejected by ada: fine".to_owned()));
}

#[rstest]
#[case::rejected(Some(said("draft", 1, false)))]
#[case::cancelled(Some(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None }))]
#[case::not_decided_in_time(None)]
fn what_was_done_and_does_not_pass_is_undone(#[case] event: Option<RunEvent>) {
    let mut written = judged();
    written.on_failure = FailurePolicy::Compensate;
    written.steps[0].compensate = Some(once(json!("undo")));
    let mut driver = waits(written, json!(60));
    match event {
        Some(event) => driver.event(event),
        None => driver.pass(10),
    }
    assert_eq!(driver.new_dispatches(), "draft:compensate/1");
    driver.succeed("draft:compensate/1", json!(1));
    assert!(matches!(driver.end().0, FinalPhase::Compensated | FinalPhase::Cancelled));
}

#[test]
fn the_output_of_a_map_is_escalated_too() {
    let mut written = definition(vec![map_step("m", &[], map(json!([1, 2]), Reduce::Collect)), task_step("b", &["m"])]);
    written.steps[0].gate = Some(Gate {
        escalation: Some(Approval { message: Some("${output[0]} is too few".to_owned()), ..approval() }),
        ..holds("size(output) > 2", GateFailure::Escalate)
    });
    let mut driver = Driver::started(written);
    driver.succeed("m:0/1", json!("x"));
    driver.succeed("m:1/1", json!("y"));
    let asked = driver.run.questions().next().unwrap().message.to_owned();
    assert_eq!(asked, "x is too few (gate: size(output) > 2 does not hold)");
    driver.new_dispatches();
    driver.event(said("m", 1, true));
    assert_eq!(driver.new_dispatches(), "b/1");
}

/// It was undone twice, or named as still to be undone, because a person was asked while the run was being undone.
#[test]
fn nobody_is_asked_about_an_output_that_is_undone_anyway() {
    let mut definition = judged();
    definition.on_failure = FailurePolicy::Compensate;
    definition.steps[0].compensate = Some(once(json!("${steps.draft.phase}")));
    let mut driver = Driver::started(definition);
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.succeed("draft/1", json!(1));
    assert_eq!((driver.run.questions().count(), driver.new_dispatches().as_str()), (0, "draft/1 draft:compensate/1"));
    driver.succeed("draft:compensate/1", json!(1));
    assert_eq!(driver.end(), (FinalPhase::Cancelled, "cancelled: somebody; undone: draft".to_owned()));
}
