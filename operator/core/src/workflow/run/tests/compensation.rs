//! How a lost run undoes what it did.

use super::*;

/// Steps that follow each other; each is undone by a task that reads its own output.
fn saga(steps: &[(&str, &[&str])]) -> Definition {
    let undone = |(of, after): &(&str, &[&str])| {
        let mut made = task_step(of, after);
        made.compensate = Some(once(json!({"undo": format!("${{steps.{of}.output}}")})));
        made
    };
    let mut made = definition(steps.iter().map(undone).collect());
    made.on_failure = FailurePolicy::Compensate;
    made
}

fn trip() -> Definition {
    saga(&[("flight", &[]), ("hotel", &["flight"]), ("car", &["hotel"])])
}

#[test]
fn what_was_done_is_undone_in_reverse_and_one_at_a_time() {
    let mut driver = Driver::started(trip());
    driver.succeed("flight/1", json!("F7"));
    driver.succeed("hotel/1", json!("H3"));
    driver.fail("car/1", FailureReason::Rejected);
    assert_eq!(driver.new_dispatches(), "flight/1 hotel/1 car/1 hotel:compensate/1");
    assert_eq!(driver.inputs["hotel:compensate"], json!({"undo": "H3"}));
    assert_eq!(
        (driver.run.phase(), driver.phases().as_str()),
        (RunPhase::Compensating, "flight:Succeeded hotel:Compensating car:Failed")
    );
    let message = driver.run.message().unwrap();
    assert_eq!(
        message,
        "step car: task car failed after 1 attempt: Rejected: no luck; undoes step hotel; nothing undone"
    );
    driver.succeed("hotel:compensate/1", json!(null));
    assert_eq!(driver.new_dispatches(), "flight:compensate/1");
    driver.succeed("flight:compensate/1", json!(null));
    let message = "step car: task car failed after 1 attempt: Rejected: no luck; undone: hotel, flight";
    assert_eq!(driver.end(), (FinalPhase::Compensated, message.to_owned()));
    assert_eq!(driver.phases(), "flight:Compensated hotel:Compensated car:Failed");
}

#[test]
fn a_run_that_succeeds_undoes_nothing() {
    let mut driver = Driver::started(saga(&[("a", &[])]));
    driver.succeed("a/1", json!(1));
    assert_eq!((driver.end().0, driver.new_dispatches().as_str()), (FinalPhase::Succeeded, "a/1"));
}

#[test]
fn a_run_that_has_done_nothing_fails_without_undoing() {
    let mut driver = Driver::started(trip());
    driver.fail("flight/1", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    assert_eq!(driver.new_dispatches(), "flight/1");
}

#[test]
fn what_agents_still_work_on_is_waited_for_and_undone_first() {
    let mut driver = Driver::started(saga(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &["b"])]));
    driver.succeed("a/1", json!(1));
    driver.fail("c/1", FailureReason::Rejected);
    assert_eq!(
        (driver.phases().as_str(), driver.withdrawn.is_empty()),
        ("a:Succeeded b:Running c:Failed d:Pending", true)
    );
    driver.succeed("b/1", json!(2));
    // It is done now, but nothing follows from it any more.
    assert_eq!(driver.new_dispatches(), "a/1 b/1 c/1 b:compensate/1");
    driver.succeed("b:compensate/1", json!(null));
    driver.succeed("a:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}

#[rstest]
#[case::said_no(FailureReason::Rejected, "hotel/1")]
#[case::said_it_failed(FailureReason::AgentError, "hotel/1")]
#[case::was_cut_off(FailureReason::Timeout, "hotel/1 hotel:compensate/1")]
#[case::was_lost(FailureReason::Unreachable, "hotel/1 hotel:compensate/1")]
fn a_step_that_may_have_been_done_is_undone_as_well(#[case] reason: FailureReason, #[case] dispatched: &str) {
    let mut definition = saga(&[("hotel", &[])]);
    definition.steps[0].compensate = Some(once(json!("by its booking number")));
    let mut driver = Driver::started(definition);
    driver.fail("hotel/1", reason);
    assert_eq!(driver.new_dispatches(), dispatched);
}

#[test]
fn an_unknown_outcome_is_undone_and_known_then() {
    let mut definition = trip();
    definition.steps[1].compensate = Some(once(json!("by its booking number")));
    let mut driver = Driver::started(definition);
    driver.succeed("flight/1", json!("F7"));
    driver.lose("hotel/1");
    driver.succeed("hotel:compensate/1", json!(null));
    driver.succeed("flight:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}

#[test]
fn a_compensation_is_retried() {
    let mut definition = saga(&[("a", &[]), ("b", &["a"])]);
    definition.steps[0].compensate = Some(task(json!(1)));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.fail("b/1", FailureReason::Rejected);
    driver.fail("a:compensate/1", FailureReason::Unreachable);
    driver.pass(1);
    driver.succeed("a:compensate/2", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}

#[test]
fn what_cannot_be_undone_is_named_and_keeps_nothing_else_from_being_undone() {
    let mut driver = Driver::started(trip());
    driver.succeed("flight/1", json!("F7"));
    driver.succeed("hotel/1", json!("H3"));
    driver.fail("car/1", FailureReason::Rejected);
    driver.fail("hotel:compensate/1", FailureReason::Rejected);
    driver.succeed("flight:compensate/1", json!(null));
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    let named = "undone: flight; still to be undone by hand: hotel (task hotel:compensate failed after 1 attempt: Rejected: no luck)";
    assert!(message.ends_with(named), "{message}");
    assert_eq!(driver.phases(), "flight:Compensated hotel:Succeeded car:Failed");
}

#[test]
fn a_compensation_with_an_unknown_outcome_leaves_the_run_unknown() {
    let mut driver = Driver::started(trip());
    driver.succeed("flight/1", json!("F7"));
    driver.fail("hotel/1", FailureReason::Rejected);
    driver.lose("flight:compensate/1");
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::OutcomeUnknown);
    assert!(
        message.contains("by hand: flight (it is not known whether its compensation, attempt 1, worked"),
        "{message}"
    );
}

#[test]
fn a_compensation_whose_input_cannot_be_made_is_named() {
    let mut definition = saga(&[("a", &[]), ("b", &["a"])]);
    definition.steps[0].compensate = Some(once(json!("${steps.a.output.number}")));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!({}));
    driver.fail("b/1", FailureReason::Rejected);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(message.contains("by hand: a (the input of its compensation: "), "{message}");
}

#[test]
fn a_cancel_undoes_too_and_stays_a_cancel() {
    let mut driver = Driver::started(trip());
    driver.succeed("flight/1", json!("F7"));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    // An agent works on the hotel.
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.succeed("hotel/1", json!("H3"));
    driver.succeed("hotel:compensate/1", json!(null));
    driver.succeed("flight:compensate/1", json!(null));
    assert_eq!(driver.end(), (FinalPhase::Cancelled, "cancelled: somebody; undone: hotel, flight".to_owned()));
}

#[test]
fn a_step_timeout_waits_for_the_agent_before_it_undoes() {
    let mut definition = saga(&[("a", &[]), ("b", &["a"])]);
    definition.steps[1].timeout = Some(Duration::from_secs(5));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.pass(6);
    assert_eq!((driver.run.phase(), driver.phases().as_str()), (RunPhase::Compensating, "a:Succeeded b:Running"));
    driver.run.reissue();
    driver.settle();
    driver.succeed("b/1", json!(2));
    driver.succeed("b:compensate/1", json!(null));
    driver.succeed("a:compensate/1", json!(null));
    let message = "step b: the step took longer than its timeout of 5s; undone: b, a";
    assert_eq!(driver.end(), (FinalPhase::Compensated, message.to_owned()));
}

#[test]
fn undoing_has_as_much_time_as_the_run_had() {
    let mut driver = Driver::started(trip());
    driver.succeed("flight/1", json!("F7"));
    driver.fail("hotel/1", FailureReason::Rejected);
    driver.pass(599);
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.pass(1);
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::OutcomeUnknown);
    assert!(message.contains("by hand: flight (its compensation was not finished in time)"), "{message}");
    assert_eq!(driver.withdrawn, ["flight:compensate/1"]);
}

#[test]
fn a_task_that_another_owner_dispatched_late_is_waited_for() {
    let mut driver = Driver::started(saga(&[("a", &[]), ("b", &[]), ("c", &[])]));
    let late = Entry::Dispatched { path: "b".parse().unwrap(), attempt: 2, pool: name("pool") };
    driver.succeed("a/1", json!(1));
    driver.fail("b/1", FailureReason::AgentError);
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.entry(&late);
    driver.succeed("c/1", json!(3));
    assert_eq!(driver.phases(), "a:Succeeded b:Running c:Succeeded");
    driver.succeed("b/2", json!(2));
    driver.succeed("b:compensate/1", json!(null));
    driver.succeed("c:compensate/1", json!(null));
    driver.succeed("a:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}

#[test]
fn an_attempt_dispatched_after_its_step_had_failed_is_waited_for_and_undone() {
    let mut definition = saga(&[("a", &[]), ("b", &["a"])]);
    definition.steps[1].kind = StepKind::Task(task(json!(1)));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.fail("b/1", FailureReason::AgentError);
    // One owner gives the step up, while another one repeats its task; nobody has written yet that the run is lost.
    driver.run.apply(&Entry::Run(RunEvent::StepFailed { step: name("b"), reason: "late".to_owned() }), driver.now);
    driver.entry(&Entry::Dispatched { path: "b".parse().unwrap(), attempt: 2, pool: name("pool") });
    assert_eq!(driver.run.phase(), RunPhase::Compensating);
    driver.succeed("b/2", json!(2));
    driver.succeed("b:compensate/1", json!(null));
    driver.succeed("a:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}
