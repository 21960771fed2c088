//! Steps that stand for runs of other workflows.

use super::*;
use crate::workflow::{
    child::{MAX_PARAMETERS, Parent, SubWorkflow},
    definition::Retry,
};

fn called(retries: u32) -> SubWorkflow {
    let Value::Object(parameters) = json!({"text": "${params.text}", "by": "${run.id}"}) else { unreachable!() };
    SubWorkflow { name: name("review"), parameters, retry: Retry { limit: retries, ..task(json!(0)).retry } }
}

/// A run whose first step is another run, with a task that follows.
fn calling(called: SubWorkflow) -> Definition {
    let kind = StepKind::Workflow(Box::new(called));
    let mut made = definition(vec![step("review", &[], kind), task_step("after", &["review"])]);
    made.parameters.insert("text".to_owned(), Some(json!("hello")));
    made
}

fn child(driver: &Driver) -> Option<(String, u32, bool)> {
    driver.run.children().next().map(|child| (child.run.to_string(), child.attempt, child.is_wanted))
}

fn of_attempt(attempt: u32) -> String {
    RunId::of_child(&name("review"), &"w-1".parse().unwrap(), &name("review"), attempt).to_string()
}

#[test]
fn a_step_waits_for_the_run_it_stands_for_and_has_its_output() {
    let mut driver = Driver::started(calling(called(0)));
    assert_eq!(child(&driver), Some((of_attempt(1), 1, true)));
    let found = driver.run.children().next().unwrap();
    assert_eq!(found.deadline, at(600));
    assert_eq!(json!(driver.run.parameters_of(&found).unwrap()), json!({"text": "hello", "by": "w-1"}));
    let parent = Parent { run: "w-1".parse().unwrap(), step: name("review"), attempt: 1, lineage: vec![name("w")] };
    assert_eq!(driver.run.as_parent_of(&found), parent);
    assert_eq!(driver.new_dispatches(), "", "nothing is put into a queue");
    assert_eq!(driver.run.steps().next().unwrap().run.map(|run| run.to_string()), Some(of_attempt(1)));
    driver.succeed("review/1", json!({"verdict": "good"}));
    assert_eq!(driver.new_dispatches(), "after/1");
    assert_eq!(child(&driver), None);
    driver.succeed("after/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn a_run_that_failed_is_repeated_as_another_run() {
    let mut driver = Driver::started(calling(called(1)));
    driver.fail("review/1", FailureReason::RunFailed);
    assert_eq!(child(&driver), None, "not before its time");
    driver.pass(1);
    assert_eq!(child(&driver), Some((of_attempt(2), 2, true)));
    driver.fail("review/2", FailureReason::RunFailed);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert_eq!(message, "step review: task review failed after 2 attempts: RunFailed: no luck");
}

#[rstest]
#[case::cancelled(FailureReason::RunCancelled)]
fn a_run_that_somebody_cancelled_is_not_repeated(#[case] reason: FailureReason) {
    let mut driver = Driver::started(calling(called(3)));
    driver.fail("review/1", reason);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn the_time_of_the_step_bounds_its_run() {
    let mut definition = calling(called(0));
    definition.steps[0].timeout = Some(Duration::from_secs(20));
    let mut driver = Driver::started(definition);
    assert_eq!(driver.run.children().next().unwrap().deadline, at(20));
    driver.pass(20);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    assert_eq!((child(&driver), driver.withdrawn.len()), (None, 0), "nobody waits for it any more");
}

#[test]
fn a_cancelled_run_waits_for_no_other_run() {
    let mut driver = Driver::started(calling(called(0)));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!((driver.end().0, child(&driver)), (FinalPhase::Cancelled, None));
}

#[test]
fn a_run_that_undoes_waits_for_the_end_of_a_run_before_it_undoes_what_was_done_before_it() {
    let mut definition = calling(called(0));
    definition.on_failure = FailurePolicy::Compensate;
    let mut booked = task_step("book", &[]);
    booked.compensate = Some(once(json!("undo")));
    definition.steps[0].after = vec![name("book")];
    definition.steps.insert(0, booked);
    let mut driver = Driver::started(definition);
    driver.succeed("book/1", json!(1));
    driver.new_dispatches();
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(child(&driver), Some((of_attempt(1), 1, false)), "it is not wanted, and waited for");
    assert_eq!(driver.new_dispatches(), "");
    driver.fail("review/1", FailureReason::RunCancelled);
    assert_eq!(driver.new_dispatches(), "book:compensate/1");
    driver.succeed("book:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Cancelled);
}

#[test]
fn another_owner_begins_the_same_run() {
    let mut driver = Driver::started(calling(called(0)));
    driver.run.reissue();
    driver.settle();
    assert_eq!(child(&driver), Some((of_attempt(1), 1, true)));
}

#[rstest]
#[case::circle(&["review"], "in a cycle: review -> w -> review")]
#[case::depth(&["a", "b", "c", "d", "e"], "more than 5 runs below the first one")]
fn a_run_that_must_not_be_begun_fails_its_step_and_says_why(#[case] above: &[&str], #[case] expected: &str) {
    let parent = Parent {
        run: "above-1".parse().unwrap(),
        step: name("s"),
        attempt: 1,
        lineage: above.iter().map(|workflow| name(workflow)).collect(),
    };
    let mut driver = Driver::accepted(calling(called(0)), json!({}));
    driver.run = driver.run.clone().under(Some(parent));
    driver.event(RunEvent::Started { deadline: at(600) });
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(message.contains(expected), "{message}");
}

#[test]
fn parameters_that_are_too_large_for_a_run_fail_its_step() {
    let mut definition = calling(called(0));
    definition.parameters.insert("text".to_owned(), Some(json!("x".repeat(MAX_PARAMETERS))));
    let driver = Driver::started(definition);
    assert!(driver.end().1.contains("workflow.parameters: they have"), "{}", driver.end().1);
}
