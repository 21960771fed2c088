//! Loops: one task until a condition holds, at most so often.

use super::*;
use crate::workflow::{
    definition::{Exhausted, LoopStep},
    samples::repeated,
};

fn looping(change: impl Fn(&mut LoopStep)) -> Definition {
    let mut made = repeated(json!({"index": "${index}", "previous": "${previous}"}), "output.score >= 80", 3);
    change(&mut made);
    definition(vec![step("a", &[], StepKind::Loop(Box::new(made))), task_step("b", &["a"])])
}

#[test]
fn it_repeats_until_the_condition_holds() {
    let mut driver = Driver::started(looping(|_| {}));
    assert_eq!(driver.inputs["a:0"], json!({"index": 0, "previous": null}));
    driver.succeed("a:0/1", json!({"score": 60}));
    assert_eq!(driver.inputs["a:1"], json!({"index": 1, "previous": {"score": 60}}));
    driver.succeed("a:1/1", json!({"score": 80}));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:1/1 b/1");
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.kind, view.tasks, view.succeeded, view.failed), ("loop", 2, 2, 0));
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn its_output_is_that_of_the_last_iteration() {
    let mut made = looping(|_| {});
    made.steps.truncate(1);
    let mut driver = Driver::started(made);
    driver.succeed("a:0/1", json!({"score": 60}));
    driver.succeed("a:1/1", json!({"score": 90}));
    assert_eq!(driver.run.output(), Some(json!({"a": {"score": 90}})));
}

#[test]
fn the_condition_reads_the_iteration_before() {
    let mut driver = Driver::started(looping(|of| of.until = "index > 0 && output == previous".to_owned()));
    driver.succeed("a:0/1", json!(1));
    driver.succeed("a:1/1", json!(2));
    assert_eq!(driver.phases(), "a:Running b:Pending");
    driver.succeed("a:2/1", json!(2));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn a_loop_that_reaches_its_bound_fails_and_says_so() {
    let mut driver = Driver::started(looping(|_| {}));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), json!({"score": 1}));
    }
    let said = "step a: loop: output.score >= 80 does not hold after 3 iterations, and no more are allowed";
    assert_eq!(driver.end(), (FinalPhase::Failed, said.to_owned()));
}

#[test]
fn a_loop_that_reaches_its_bound_may_go_on() {
    let mut driver = Driver::started(looping(|of| of.on_exhausted = Exhausted::Continue));
    for index in 0..3 {
        driver.succeed(&format!("a:{index}/1"), json!({"score": 1}));
    }
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
    let said = driver.run.steps().next().unwrap().message.unwrap_or_default().to_owned();
    assert!(said.contains("does not hold after 3 iterations"), "{said}");
}

#[test]
fn an_output_that_cannot_be_judged_fails_the_step() {
    let mut driver = Driver::started(looping(|_| {}));
    driver.succeed("a:0/1", json!(1));
    let (phase, message) = driver.end();
    assert!(phase == FinalPhase::Failed && message.starts_with("step a: loop.until: "), "{message}");
}

#[test]
fn the_next_iteration_begins_after_the_interval_also_with_another_owner() {
    let mut driver = Driver::started(looping(|of| of.interval = Duration::from_secs(5)));
    driver.succeed("a:0/1", json!({"score": 1}));
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("a:0/1", Some(at(5))));
    driver.run.reissue();
    driver.pass(4);
    assert_eq!(driver.new_dispatches(), "");
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a:1/1");
}

#[test]
fn each_iteration_is_retried_by_itself() {
    let mut driver = Driver::started(looping(|of| of.task.retry.limit = 1));
    driver.fail("a:0/1", FailureReason::Timeout);
    driver.pass(1);
    driver.succeed("a:0/2", json!({"score": 1}));
    driver.fail("a:1/1", FailureReason::Timeout);
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a:0/1 a:0/2 a:1/1 a:1/2");
    driver.fail("a:1/2", FailureReason::Timeout);
    assert_eq!(driver.end().1, "step a: task a:1 failed after 2 attempts: Timeout: no luck");
}

#[test]
fn a_result_of_an_earlier_iteration_changes_nothing() {
    let mut driver = Driver::started(looping(|_| {}));
    driver.succeed("a:0/1", json!({"score": 1}));
    driver.succeed("a:0/1", json!({"score": 99}));
    assert_eq!((driver.phases().as_str(), driver.run.ignored()), ("a:Running b:Pending", 1));
}

#[test]
fn a_gate_judges_what_a_loop_came_to() {
    let mut made = looping(|_| {});
    made.steps[0].gate = Some(holds("output.score < 90", GateFailure::Fail));
    let mut driver = Driver::started(made);
    driver.succeed("a:0/1", json!({"score": 95}));
    assert_eq!(driver.end().1, "step a: gate: output.score < 90 does not hold");
}
