//! Tests of runs that are opened again, and of what a person finds out about tasks of which nobody knows how they ended.

use super::*;
use crate::workflow::{
    definition::UnknownPolicy,
    journal::{AttemptRef, Resolution},
};

pub(super) fn reopen(driver: &mut Driver, unknown: &[(&str, u32)]) {
    let unknown = unknown.iter().map(|(path, attempt)| AttemptRef { path: path.parse().unwrap(), attempt: *attempt });
    let request = format!("request {}", driver.run.reopened());
    driver.event(RunEvent::Reopened { request, cause: "by ada".to_owned(), unknown: unknown.collect(), stamp: None });
    assert_eq!(driver.run.phase(), RunPhase::Pending);
    driver.event(RunEvent::Started { deadline: at(10_000) });
}

fn resolve(driver: &mut Driver, path: &str, attempt: u32, resolution: Resolution) {
    driver.event(RunEvent::Resolved {
        path: path.parse().unwrap(),
        attempt,
        resolution,
        cause: "by ada".to_owned(),
        stamp: None,
    });
}

fn asking(mut definition: Definition) -> Definition {
    definition.on_unknown = UnknownPolicy::Ask;
    definition
}

fn questions(driver: &Driver) -> Vec<String> {
    driver.run.doubts().iter().map(|question| format!("{}/{}", question.path, question.attempt)).collect()
}

#[test]
fn a_run_that_is_opened_again_repeats_no_step_that_is_done() {
    let mut driver = Driver::started(definition(vec![
        task_step("a", &[]),
        task_step("b", &["a"]),
        step("c", &["b"], StepKind::Task(once(json!("${steps.a.output}")))),
    ]));
    driver.succeed("a/1", json!("kept"));
    driver.fail("b/1", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    assert!(driver.run.can_reopen());
    assert_eq!(driver.run.unanswered(), [], "an agent has said that it failed");
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!((driver.run.reopened(), driver.run.was_reopened_by("request 0")), (1, true));
    assert_eq!(
        (driver.new_dispatches().as_str(), driver.phases().as_str()),
        ("b/1001", "a:Succeeded b:Running c:Pending")
    );
    // What comes late of the round before changes nothing.
    driver.succeed("b/1", json!("late"));
    driver.succeed("b/1001", json!(2));
    assert_eq!(driver.inputs["c"], json!("kept"));
    driver.succeed("c/1001", json!(3));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    assert_eq!(driver.run.output(), Some(json!({"c": 3})));
    assert!(!driver.run.can_reopen());
}

#[test]
fn it_can_fail_and_be_opened_again_as_often_as_it_takes() {
    let mut driver = Driver::started(retried());
    for round in 0..3 {
        for attempt in 1..=3 {
            driver.fail(&format!("a/{}", round * 1000 + attempt), FailureReason::AgentError);
            driver.pass(10);
        }
        assert_eq!(driver.end().1, "step a: task a failed after 3 attempts: AgentError: no luck");
        reopen(&mut driver, &[]);
    }
    driver.succeed("a/3001", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn items_and_stages_that_are_done_stay_done() {
    let chains = StepKind::Pipeline(vec![stage("x", json!(1)), stage("y", json!("${previous}"))]);
    let mut driver = Driver::started(definition(vec![
        map_step("m", &[], map(json!([1, 2, 3]), Reduce::Collect)),
        step("p", &[], chains),
    ]));
    driver.succeed("p:x/1", json!("stage"));
    driver.succeed("m:0/1", json!(10));
    driver.fail("m:1/1", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    // An answer that comes when the run has ended counts, too.
    driver.succeed("m:2/1", json!(30));
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    assert_eq!(driver.new_dispatches(), "m:1/1001 p:y/1001");
    assert_eq!(driver.inputs["p:y"], json!("stage"));
    driver.succeed("m:1/1001", json!(20));
    driver.succeed("p:y/1001", json!("end"));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    assert_eq!(driver.run.output(), Some(json!({"m": [10, 20, 30], "p": "end"})));
}

#[test]
fn what_was_undone_runs_again_and_so_does_what_depends_on_it() {
    let mut steps = vec![task_step("a", &[]), task_step("b", &["a"]), task_step("c", &["b"]), task_step("other", &[])];
    steps[0].compensate = Some(once(json!("undo a")));
    let mut saga = definition(steps);
    saga.on_failure = FailurePolicy::Compensate;
    let mut driver = Driver::started(saga);
    for task in ["other/1", "a/1", "b/1"] {
        driver.succeed(task, json!(1));
    }
    driver.fail("c/1", FailureReason::Rejected);
    driver.succeed("a:compensate/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
    driver.new_dispatches();
    reopen(&mut driver, &[]);
    for task in ["a/1001", "b/1001"] {
        driver.succeed(task, json!(2));
    }
    assert_eq!(driver.new_dispatches(), "a/1001 b/1001 c/1001");
    driver.fail("c/1001", FailureReason::Rejected);
    driver.succeed("a:compensate/1001", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
    assert_eq!(driver.phases(), "a:Compensated b:Succeeded c:Failed other:Succeeded");
}

#[test]
fn a_task_that_must_not_be_repeated_is_asked_about() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
    let unanswered = driver.run.unanswered();
    assert_eq!(unanswered, [(AttemptRef { path: "a".parse().unwrap(), attempt: 1 }, name("pool"))]);
    driver.new_dispatches();
    reopen(&mut driver, &[("a", 1)]);
    assert_eq!((driver.new_dispatches().as_str(), questions(&driver)), ("", vec!["a/1".to_owned()]));
    resolve(&mut driver, "a", 1, Resolution::NotDone);
    assert_eq!(driver.new_dispatches(), "a/1001");
}

#[rstest]
#[case::done(Resolution::Done { output: json!("found") }, "b/1", "found")]
#[case::not_done(Resolution::NotDone, "a/2", "made")]
fn a_person_says_how_an_unknown_attempt_ended(
    #[case] resolution: Resolution,
    #[case] follows: &str,
    #[case] output: &str,
) {
    let mut driver = Driver::started(asking(definition(vec![
        task_step("a", &[]),
        step("b", &["a"], StepKind::Task(once(json!("${steps.a.output}")))),
    ])));
    driver.lose("a/1");
    driver.new_dispatches();
    assert_eq!(driver.run.phase(), RunPhase::Running);
    let message = "waits for a person to say whether task a, attempt 1, is done: the pod is gone";
    assert_eq!(driver.run.message().as_deref(), Some(message));
    resolve(&mut driver, "a", 2, Resolution::NotDone);
    assert_eq!((driver.run.ignored(), driver.new_dispatches().as_str()), (1, ""));
    resolve(&mut driver, "a", 1, resolution);
    assert_eq!((driver.new_dispatches().as_str(), questions(&driver).len()), (follows, 0));
    if follows == "a/2" {
        driver.succeed("a/2", json!("made"));
    }
    assert_eq!(driver.inputs["b"], json!(output));
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn the_other_items_go_on_while_a_person_is_asked_about_one() {
    let mut driver =
        Driver::started(asking(definition(vec![map_step("m", &[], map(json!([1, 2, 3]), Reduce::Collect))])));
    driver.lose("m:0/1");
    driver.succeed("m:1/1", json!(2));
    driver.succeed("m:2/1", json!(3));
    assert_eq!((driver.run.phase(), questions(&driver)), (RunPhase::Running, vec!["m:0/1".to_owned()]));
    resolve(&mut driver, "m:0", 1, Resolution::Done { output: json!(1) });
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
    assert_eq!(driver.run.output(), Some(json!({"m": [1, 2, 3]})));
}

#[test]
fn a_run_whose_time_is_over_while_a_person_is_asked_ends_without_knowing() {
    let mut driver = Driver::started(asking(definition(vec![task_step("a", &[])])));
    driver.lose("a/1");
    driver.pass(600);
    assert_eq!((driver.end().0, driver.phases().as_str()), (FinalPhase::OutcomeUnknown, "a:OutcomeUnknown"));
    assert_eq!(questions(&driver), ["a/1"]);
    reopen(&mut driver, &[]);
    resolve(&mut driver, "a", 1, Resolution::Done { output: json!(7) });
    assert_eq!((driver.end().0, driver.run.output()), (FinalPhase::Succeeded, Some(json!({"a": 7}))));
}

#[test]
fn an_unknown_attempt_of_a_run_that_has_ended_is_resolved_before_it_goes_on() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.lose("a/1");
    assert_eq!(driver.end().0, FinalPhase::OutcomeUnknown);
    driver.new_dispatches();
    let reopened = RunEvent::Reopened {
        request: "resolve".to_owned(),
        cause: "by ada".to_owned(),
        unknown: Vec::new(),
        stamp: None,
    };
    driver.event(reopened.clone());
    resolve(&mut driver, "a", 1, Resolution::Done { output: json!(1) });
    driver.event(RunEvent::Started { deadline: at(10_000) });
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("b/1001", "a:Succeeded b:Running"));
    // The same entry once more opens nothing again.
    driver.event(reopened);
    assert_eq!((driver.run.reopened(), driver.run.phase()), (1, RunPhase::Running));
}

#[test]
fn a_step_that_is_asked_about_is_undone_when_the_run_is_lost() {
    let mut steps = vec![task_step("a", &[]), task_step("b", &[])];
    steps[0].compensate = Some(once(json!("undo a")));
    let mut saga = asking(definition(steps));
    saga.on_failure = FailurePolicy::Compensate;
    let mut driver = Driver::started(saga);
    driver.lose("a/1");
    driver.fail("b/1", FailureReason::Rejected);
    driver.succeed("a:compensate/1", json!(1));
    assert_eq!((driver.end().0, driver.phases().as_str()), (FinalPhase::Compensated, "a:Compensated b:Failed"));
}
