//! Tests of what each kind of step goes on with when its run is opened again.

use super::{reopen::reopen, *};
use crate::workflow::{
    approval::Decision,
    child::SubWorkflow,
    definition::{Exhausted, Gather, Late, LoopStep},
    samples::{holds, judged, repeated},
};

fn cancel(driver: &mut Driver) {
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
    assert!(matches!(driver.run.phase(), RunPhase::Ended(_)));
    driver.new_dispatches();
}

fn looping(change: impl Fn(&mut LoopStep)) -> Definition {
    let mut made = repeated(json!({"index": "${index}", "previous": "${previous}"}), "output >= 80", 3);
    change(&mut made);
    definition(vec![step("a", &[], StepKind::Loop(Box::new(made)))])
}

fn decided(attempt: u32, approved: bool) -> RunEvent {
    let decision = Decision { approved, by: "ada".to_owned(), at: at(3), reason: None };
    RunEvent::Decided { step: name("a"), attempt, decision }
}

#[test]
fn a_loop_goes_on_with_the_iteration_that_was_not_done() {
    let mut driver = Driver::started(looping(|_| {}));
    driver.succeed("a:0/1", json!(1));
    driver.fail("a:1/1", FailureReason::Rejected);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:1/1001");
    assert_eq!(driver.inputs["a:1"], json!({"index": 1, "previous": 1}));
    driver.succeed("a:1/1001", json!(2));
    driver.succeed("a:2/1001", json!(90));
    assert_eq!((driver.end().0, driver.run.output()), (FinalPhase::Succeeded, Some(json!({"a": 90}))));
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.tasks, view.succeeded), (3, 3));
}

#[test]
fn an_iteration_that_was_answered_after_the_end_is_not_repeated() {
    let mut driver = Driver::started(looping(|_| {}));
    cancel(&mut driver);
    driver.succeed("a:0/1", json!(1));
    assert_eq!(driver.run.unanswered(), []);
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:1/1001");
}

#[test]
fn a_loop_that_used_up_its_iterations_begins_anew() {
    let mut driver = Driver::started(looping(|of| of.on_exhausted = Exhausted::Fail));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), json!(1));
    }
    assert_eq!(driver.end().0, FinalPhase::Failed);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:0/1001");
}

#[test]
fn an_approval_is_asked_for_again_and_an_old_answer_is_none() {
    let mut driver =
        Driver::started(definition(vec![step("a", &[], StepKind::Approval(approval())), task_step("b", &["a"])]));
    driver.event(decided(1, false));
    assert_eq!(driver.end().0, FinalPhase::Failed);
    reopen(&mut driver, &[]);
    assert_eq!(driver.run.questions().map(|question| question.attempt).collect::<Vec<_>>(), [2]);
    driver.event(decided(1, true));
    assert_eq!(driver.run.phase(), RunPhase::Waiting);
    driver.event(decided(2, true));
    assert_eq!(driver.new_dispatches(), "b/1001");
}

#[test]
fn an_output_that_somebody_was_asked_about_is_asked_about_again() {
    let mut draft = task_step("a", &[]);
    draft.gate = Some(holds("output >= 80", GateFailure::Escalate));
    let mut driver = Driver::started(definition(vec![draft, task_step("b", &["a"])]));
    driver.succeed("a/1", json!(70));
    cancel(&mut driver);
    reopen(&mut driver, &[]);
    assert_eq!((driver.new_dispatches().as_str(), driver.run.phase()), ("", RunPhase::Waiting));
    driver.event(decided(2, true));
    assert_eq!(driver.new_dispatches(), "b/1001");
    // What was rejected is done anew.
    driver.fail("b/1001", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn targets_that_answered_are_not_asked_again_unless_their_answers_cannot_be_enough() {
    let consensus = || Gather::Consensus { at_least: 2, compare: None };
    let mut driver = Driver::started(definition(vec![step("a", &[], scatter(3, consensus(), Late::Withdraw))]));
    driver.succeed("a:1/1", json!("yes"));
    cancel(&mut driver);
    reopen(&mut driver, &[("a:2", 1)]);
    assert_eq!(driver.new_dispatches(), "a:0/1001");
    assert_eq!(driver.run.doubts().len(), 1);
    driver.succeed("a:0/1001", json!("yes"));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);

    let mut driver = Driver::started(definition(vec![step("a", &[], scatter(2, consensus(), Late::Withdraw))]));
    driver.succeed("a:0/1", json!("yes"));
    driver.succeed("a:1/1", json!("no"));
    assert_eq!(driver.end().0, FinalPhase::Failed);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "a:0/1001 a:1/1001");
}

#[test]
fn a_step_that_stands_for_a_run_begins_another_one() {
    let retry = crate::workflow::definition::Retry { limit: 0, ..task(json!(0)).retry };
    let called = SubWorkflow { name: name("other"), parameters: serde_json::Map::new(), retry };
    let mut driver = Driver::started(definition(vec![step("a", &[], StepKind::Workflow(Box::new(called)))]));
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
    assert_eq!((driver.run.children().count(), driver.run.left_children().count()), (0, 1));
    let failed = Outcome::Failed { reason: FailureReason::RunCancelled, message: "was cancelled".to_owned() };
    driver.answer("a/1", failed);
    assert_eq!(driver.run.left_children().count(), 0);
    reopen(&mut driver, &[]);
    let child = driver.run.children().next().unwrap();
    let id: RunId = "w-1".parse().unwrap();
    assert_eq!((child.attempt, child.run.clone()), (1001, RunId::of_child(&name("other"), &id, &name("a"), 1001)));
}

#[test]
fn an_attempt_that_another_owner_dispatched_after_the_end_is_not_forgotten() {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", FailureReason::AgentError);
    cancel(&mut driver);
    driver.entry(&Entry::Dispatched { path: "a".parse().unwrap(), attempt: 2, pool: name("pool") });
    assert_eq!(driver.run.unanswered().len(), 1);
    driver.event(RunEvent::Withdrawn { path: "a".parse().unwrap(), attempt: 2 });
    assert_eq!(driver.run.unanswered(), [], "no agent had taken it");
}

#[test]
fn an_output_that_was_being_judged_is_judged_again_and_not_made_again() {
    let mut draft = task_step("a", &[]);
    draft.gate = Some(judged(GateFailure::Fail));
    let mut driver = Driver::started(definition(vec![draft, task_step("b", &["a"])]));
    driver.new_dispatches();
    driver.succeed("a/1", json!("draft"));
    let judging = driver.new_dispatches();
    cancel(&mut driver);
    reopen(&mut driver, &[]);
    let again = driver.new_dispatches();
    assert!(judging.starts_with("a:judge") && again.starts_with("a:judge") && judging != again, "{judging} {again}");
    driver.succeed(again.trim(), json!({"score": 90}));
    assert_eq!(driver.new_dispatches(), "b/1001");
}

#[test]
fn groups_of_a_tree_that_are_reduced_stay_so() {
    let tree = Reduce::Tree { task: once(json!("${results}")), fan_in: 2 };
    let mut driver = Driver::started(definition(vec![map_step("m", &[], map(json!([1, 2, 3, 4]), tree))]));
    for item in 0..4 {
        driver.succeed(&format!("m:{item}/1"), json!(item));
    }
    driver.new_dispatches();
    driver.succeed("m:reduce:0:0/1", json!("left"));
    cancel(&mut driver);
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "m:reduce:0:1/1001");
    driver.succeed("m:reduce:0:1/1001", json!("right"));
    assert_eq!(driver.inputs["m:reduce:1:0"], json!(["left", "right"]));
    driver.succeed("m:reduce:1:0/1001", json!("all"));
    assert_eq!((driver.end().0, driver.run.output()), (FinalPhase::Succeeded, Some(json!({"m": "all"}))));
}
