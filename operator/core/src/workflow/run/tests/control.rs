//! Tests of what people ask of a run on its way: pauses, and an end without undoing.

use super::*;

fn pause(driver: &mut Driver) {
    driver.event(RunEvent::Paused { cause: "by ada".to_owned(), stamp: None });
}

fn resume(driver: &mut Driver) {
    driver.event(RunEvent::Resumed { cause: "by ada".to_owned(), stamp: None });
}

fn terminate(driver: &mut Driver) {
    driver.event(RunEvent::TerminateRequested { cause: "by ada".to_owned(), stamp: None });
}

fn deadlines(driver: &Driver) -> (Option<Timestamp>, Option<Timestamp>) {
    (driver.run.deadline(), driver.wake_at)
}

#[test]
fn while_a_run_is_paused_nothing_new_starts_and_what_is_at_work_goes_on() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    pause(&mut driver);
    assert_eq!(driver.run.paused_since(), Some(at(0)));
    assert_eq!(
        driver.run.message().unwrap(),
        "paused since 1970-01-12T13:46:40Z (by ada): nothing new starts, 1 task that was handed out goes on"
    );
    driver.succeed("a/1", json!(1));
    driver.pass(100);
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("a/1", "a:Succeeded b:Running"));
    resume(&mut driver);
    assert_eq!((driver.new_dispatches().as_str(), driver.run.message()), ("b/1", None));
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn the_time_of_a_pause_does_not_count() {
    let mut limited = task_step("b", &[]);
    limited.timeout = Some(Duration::from_secs(50));
    let mut driver = Driver::started(continuing(vec![task_step("a", &[]), limited]));
    driver.pass(40);
    pause(&mut driver);
    driver.pass(1_000);
    assert_eq!(driver.phases(), "a:Running b:Running");
    resume(&mut driver);
    assert_eq!(deadlines(&driver), (Some(at(1_600)), Some(at(1_050))));
    driver.pass(9);
    assert_eq!(driver.phases(), "a:Running b:Running");
    driver.pass(1);
    assert_eq!(driver.phases(), "a:Running b:Failed");
    driver.pass(549);
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.pass(1);
    assert!(driver.end().1.contains("step b: the step took longer") || driver.end().1.contains("time was over"));
}

#[test]
fn a_repetition_that_becomes_due_in_a_pause_waits_for_its_end() {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", FailureReason::AgentError);
    pause(&mut driver);
    driver.pass(5);
    assert_eq!(driver.new_dispatches(), "a/1");
    driver.run.reissue();
    driver.settle();
    assert_eq!(driver.new_dispatches(), "");
    resume(&mut driver);
    assert_eq!(driver.new_dispatches(), "a/2");
}

#[test]
fn a_run_that_waits_for_its_place_can_be_paused() {
    let mut driver = Driver::accepted(definition(vec![task_step("a", &[])]), json!({}));
    pause(&mut driver);
    driver.pass(10);
    resume(&mut driver);
    driver.event(RunEvent::Started { deadline: at(600) });
    assert_eq!((driver.new_dispatches().as_str(), driver.run.deadline()), ("a/1", Some(at(600))));
}

fn saga() -> Definition {
    let mut steps = vec![task_step("a", &[]), task_step("b", &["a"]), task_step("c", &["b"])];
    for step in &mut steps[..2] {
        step.compensate = Some(once(json!({"undo": step.name.as_str()})));
    }
    let mut definition = definition(steps);
    definition.on_failure = FailurePolicy::Compensate;
    definition
}

#[test]
fn a_cancel_ends_a_pause_so_that_what_was_done_is_undone() {
    let mut driver = Driver::started(saga());
    driver.succeed("a/1", json!(1));
    pause(&mut driver);
    driver.pass(700);
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
    driver.succeed("b/1", json!(1));
    driver.succeed("b:compensate/1", json!(1));
    driver.succeed("a:compensate/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Cancelled);
    pause(&mut driver);
    assert_eq!(driver.run.paused_since(), None);
}

#[test]
fn undoing_is_paused_too_and_gets_its_time_back() {
    let mut driver = Driver::started(saga());
    driver.succeed("a/1", json!(1));
    pause(&mut driver);
    driver.fail("b/1", FailureReason::Rejected);
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.pass(5_000);
    assert_eq!(driver.new_dispatches(), "a/1 b/1");
    resume(&mut driver);
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("a:compensate/1", Some(at(5_600))));
}

#[test]
fn a_terminated_run_ends_at_once_and_names_what_is_not_undone() {
    let mut driver = Driver::started(saga());
    driver.succeed("a/1", json!(1));
    terminate(&mut driver);
    let message = "terminated: by ada; still to be undone by hand: b (it may be done), a (the run was terminated)";
    assert_eq!(driver.end(), (FinalPhase::Cancelled, message.to_owned()));
    assert_eq!(driver.withdrawn, ["b/1"]);
    assert_eq!(driver.new_dispatches(), "a/1 b/1");
}

#[test]
fn a_run_that_is_being_undone_is_terminated_with_what_remains() {
    let mut driver = Driver::started(saga());
    driver.succeed("a/1", json!(1));
    driver.succeed("b/1", json!(1));
    driver.fail("c/1", FailureReason::Rejected);
    terminate(&mut driver);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::OutcomeUnknown);
    assert!(message.starts_with("terminated: by ada; step c: ") && message.contains("nothing undone"), "{message}");
    assert!(
        message
            .ends_with("by hand: b (the run was terminated before its compensation ended), a (the run was terminated)"),
        "{message}"
    );
}

#[test]
fn a_run_that_waits_for_its_place_is_terminated() {
    let mut driver = Driver::accepted(saga(), json!({}));
    pause(&mut driver);
    terminate(&mut driver);
    assert_eq!(driver.end(), (FinalPhase::Cancelled, "terminated: by ada".to_owned()));
}
