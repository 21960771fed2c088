//! How tasks, steps and runs end: repetitions, failures, unknown outcomes, timeouts, cancels.

use super::*;

#[test]
fn a_failed_attempt_is_repeated_after_its_waiting_time() {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", FailureReason::AgentError);
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("a/1", Some(at(1))));
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a/2");
    driver.fail("a/2", FailureReason::Timeout);
    driver.pass(1);
    assert_eq!((driver.new_dispatches().as_str(), driver.wake_at), ("", Some(at(3))));
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a/3");
    driver.fail("a/3", FailureReason::Unreachable);
    assert_eq!(driver.end().1, "step a: task a failed after 3 attempts: Unreachable: no luck");
    assert_eq!(driver.run.steps().next().unwrap().retries, 2);
}

#[rstest]
#[case(FailureReason::Rejected)]
#[case(FailureReason::DeadLettered)]
fn what_is_useless_to_repeat_is_not_repeated(#[case] reason: FailureReason) {
    let mut driver = Driver::started(retried());
    driver.fail("a/1", reason);
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn an_unknown_outcome_is_never_repeated() {
    let mut driver = Driver::started(retried());
    driver.lose("a/1");
    let expected = "step a: task a, attempt 1: it is not known how it ended: the pod is gone";
    assert_eq!(driver.end(), (FinalPhase::OutcomeUnknown, expected.to_owned()));
    assert_eq!(driver.phases(), "a:OutcomeUnknown");
    assert_eq!(driver.new_dispatches(), "a/1");
}

#[test]
fn under_stop_nothing_starts_after_a_failure() {
    let mut driver =
        Driver::started(definition(vec![task_step("a", &[]), task_step("b", &[]), task_step("c", &["b"])]));
    driver.fail("a/1", FailureReason::Rejected);
    assert_eq!(
        driver.end(),
        (FinalPhase::Failed, "step a: task a failed after 1 attempt: Rejected: no luck".to_owned())
    );
    assert_eq!(driver.withdrawn, ["b/1"]);
    assert_eq!(driver.phases(), "a:Failed b:Cancelled c:Skipped");
    driver.succeed("b/1", json!(1));
    assert_eq!((driver.phases().as_str(), driver.run.ignored()), ("a:Failed b:Cancelled c:Skipped", 1));
    assert_eq!(driver.run.output(), None);
}

#[test]
fn under_continue_the_others_go_on() {
    let mut driver = Driver::started(continuing(vec![
        task_step("a", &[]),
        task_step("b", &[]),
        task_step("c", &["b"]),
        task_step("d", &["a"]),
        task_step("e", &["c", "d"]),
    ]));
    driver.fail("a/1", FailureReason::Rejected);
    assert_eq!(driver.phases(), "a:Failed b:Running c:Pending d:Skipped e:Skipped");
    let reasons: Vec<Option<&str>> = driver.run.steps().map(|step| step.message).collect();
    assert_eq!(reasons[3..], [Some("step a failed"), Some("step d was skipped after a failure")]);
    driver.succeed("b/1", json!(1));
    driver.succeed("c/1", json!("reached"));
    assert_eq!(
        driver.end(),
        (FinalPhase::Failed, "step a: task a failed after 1 attempt: Rejected: no luck".to_owned())
    );
    assert_eq!(driver.phases(), "a:Failed b:Succeeded c:Succeeded d:Skipped e:Skipped");
    assert_eq!(driver.run.output(), Some(json!({})));
}

#[test]
fn under_continue_an_unknown_outcome_decides_the_end() {
    let mut driver = Driver::started(continuing(vec![task_step("a", &[]), task_step("b", &[]), task_step("c", &[])]));
    driver.fail("a/1", FailureReason::Rejected);
    driver.lose("b/1");
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.succeed("c/1", json!(1));
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::OutcomeUnknown);
    assert!(message.starts_with("step b: ") && message.ends_with("(and 1 other step failed)"), "{message}");
    assert_eq!(driver.run.output(), Some(json!({"c": 1})));
}

#[test]
fn a_step_that_takes_too_long_fails_and_its_tasks_are_withdrawn() {
    let mut slow = map_step("m", &[], map(json!([1, 2, 3]), Reduce::Collect));
    slow.timeout = Some(Duration::from_secs(10));
    let mut driver = Driver::started(continuing(vec![slow, task_step("b", &[])]));
    assert_eq!(driver.wake_at, Some(at(10)));
    driver.succeed("m:0/1", json!(1));
    driver.pass(9);
    assert_eq!(driver.run.in_flight(), 3);
    driver.pass(1);
    assert_eq!(driver.phases(), "m:Failed b:Running");
    assert_eq!(driver.withdrawn, ["m:1/1", "m:2/1"]);
    driver.succeed("m:1/1", json!(1));
    assert_eq!(driver.run.ignored(), 1);
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().1, "step m: the step took longer than its timeout of 10s");
}

#[test]
fn no_attempt_may_start_after_the_end_of_its_step_or_run() {
    let mut limited = task_step("a", &[]);
    limited.timeout = Some(Duration::from_secs(10));
    let run = definition(vec![limited, task_step("b", &[])]);
    let mut run = Run::accept("w-1".parse().unwrap(), run, &BTreeMap::new(), "test".to_owned(), at(0));
    run.apply(&Entry::Run(RunEvent::Started { deadline: at(600) }), at(0));
    let deadlines: Vec<Timestamp> = run
        .next(at(0))
        .into_iter()
        .filter_map(|action| match action {
            Action::Dispatch { deadline, .. } => Some(deadline),
            _ => None,
        })
        .collect();
    assert_eq!(deadlines, [at(10), at(600)]);
}

#[test]
fn a_run_whose_time_is_over_fails() {
    let mut driver = Driver::started(definition(vec![task_step("a", &[]), task_step("b", &["a"])]));
    driver.pass(600);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert_eq!(message, format!("the run's time was over at {}; steps still running: a", at(600)));
    assert_eq!(driver.withdrawn, ["a/1"]);
}

#[rstest]
#[case::waiting_for_its_place(false)]
#[case::running(true)]
fn a_run_is_cancelled(#[case] is_started: bool) {
    let mut driver = Driver::accepted(definition(vec![task_step("a", &[])]), json!({}));
    if is_started {
        driver.event(RunEvent::Started { deadline: at(600) });
    }
    driver.event(RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None });
    assert_eq!(driver.end(), (FinalPhase::Cancelled, "cancelled: by ada".to_owned()));
    assert_eq!(driver.withdrawn.len(), usize::from(is_started));
    assert_eq!(driver.run.next(at(5)), []);
}
