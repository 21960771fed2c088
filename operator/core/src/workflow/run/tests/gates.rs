//! What a gate makes of the output of its step.

use super::*;

fn gated(on_failure: GateFailure) -> Definition {
    let mut made = step("a", &[], StepKind::Task(task(json!({"before": "${verdict}"}))));
    if on_failure != GateFailure::Retry {
        made.kind = StepKind::Task(task(json!(1)));
    }
    made.gate = Some(holds("output.score >= 80", on_failure));
    definition(vec![made, task_step("b", &["a"])])
}

#[test]
fn what_is_good_enough_goes_on() {
    let mut driver = Driver::started(gated(GateFailure::Fail));
    driver.succeed("a/1", json!({"score": 80}));
    assert_eq!(driver.new_dispatches(), "a/1 b/1");
}

#[test]
fn what_is_not_good_enough_fails_its_step() {
    let mut driver = Driver::started(gated(GateFailure::Fail));
    driver.succeed("a/1", json!({"score": 79}));
    assert_eq!(driver.end(), (FinalPhase::Failed, "step a: gate: output.score >= 80 does not hold".to_owned()));
}

#[test]
fn an_output_that_cannot_be_judged_does_not_pass() {
    let mut driver = Driver::started(gated(GateFailure::Fail));
    driver.succeed("a/1", json!({"mark": "A"}));
    let (phase, message) = driver.end();
    assert!(phase == FinalPhase::Failed && message.starts_with("step a: gate: "), "{message}");
}

#[test]
fn a_message_of_ones_own_is_said() {
    let mut definition = gated(GateFailure::Fail);
    definition.steps[0].gate.as_mut().unwrap().message = Some("not good enough".to_owned());
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!({"score": 1}));
    assert_eq!(driver.end().1, "step a: gate: not good enough");
}

#[test]
fn a_step_may_go_on_all_the_same_and_says_so() {
    let mut driver = Driver::started(gated(GateFailure::Continue));
    driver.succeed("a/1", json!({"score": 1}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
    assert_eq!(driver.run.steps().next().unwrap().message, Some("gate: output.score >= 80 does not hold"));
}

#[test]
fn the_next_attempt_reads_the_verdict() {
    let mut driver = Driver::started(gated(GateFailure::Retry));
    assert_eq!(driver.inputs["a"], json!({"before": ""}));
    driver.succeed("a/1", json!({"score": 1}));
    driver.pass(1);
    assert_eq!(driver.inputs["a"], json!({"before": "gate: output.score >= 80 does not hold"}));
    driver.succeed("a/2", json!({"score": 99}));
    assert_eq!(driver.new_dispatches(), "a/1 a/2 b/1");
    assert_eq!(driver.run.steps().next().unwrap().message, None);
}

#[test]
fn a_gate_retries_as_often_as_the_task_allows() {
    let mut driver = Driver::started(gated(GateFailure::Retry));
    for attempt in 1..=3 {
        driver.succeed(&format!("a/{attempt}"), json!({"score": 1}));
        driver.pass(30);
    }
    let message = "step a: task a failed after 3 attempts: gate: output.score >= 80 does not hold";
    assert_eq!(driver.end(), (FinalPhase::Failed, message.to_owned()));
}

#[test]
fn the_output_of_many_tasks_is_judged_as_one() {
    let mut of_items = map_step("a", &[], map(json!([1, 2]), Reduce::Sum));
    of_items.gate = Some(holds("output < 10", GateFailure::Fail));
    let mut driver = Driver::started(definition(vec![of_items]));
    driver.succeed("a:0/1", json!(4));
    driver.succeed("a:1/1", json!(7));
    assert_eq!(driver.end().1, "step a: gate: output < 10 does not hold");
}

#[test]
fn what_was_done_and_is_not_good_enough_is_undone() {
    let mut definition = gated(GateFailure::Fail);
    definition.on_failure = FailurePolicy::Compensate;
    definition.steps[0].compensate = Some(once(json!(1)));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!({"score": 1}));
    assert_eq!(driver.new_dispatches(), "a/1 a:compensate/1");
}

fn with_schema(on_failure: GateFailure) -> Definition {
    let mut definition = gated(on_failure);
    let gate = definition.steps[0].gate.as_mut().unwrap();
    gate.schema = Some(json!({"type": "object", "required": ["score"], "properties": {"score": {"type": "integer"}}}));
    definition
}

#[test]
fn an_output_that_is_not_of_its_schema_fails_its_step_and_names_the_place() {
    let mut driver = Driver::started(with_schema(GateFailure::Fail));
    driver.succeed("a/1", json!({"score": "high"}));
    let said = "step a: gate: the output is not of its schema: at \"/score\": value is not of type \"integer\"";
    assert_eq!(driver.end().1, said);
}

#[test]
fn an_output_of_its_schema_still_has_to_pass_the_expression() {
    let mut driver = Driver::started(with_schema(GateFailure::Fail));
    driver.succeed("a/1", json!({"score": 79}));
    assert_eq!(driver.end().1, "step a: gate: output.score >= 80 does not hold");
    let mut driver = Driver::started(with_schema(GateFailure::Fail));
    driver.succeed("a/1", json!({"score": 80}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn the_next_attempt_reads_what_violates_the_schema() {
    let mut driver = Driver::started(with_schema(GateFailure::Retry));
    driver.succeed("a/1", json!({}));
    driver.pass(1);
    let verdict = driver.inputs["a"]["before"].as_str().unwrap_or_default().to_owned();
    assert!(verdict.contains("at \"\": \"score\" is a required property"), "{verdict}");
}

fn falling_back(on_failure: GateFailure) -> Definition {
    let mut definition = gated(on_failure);
    let mut fallback = task(json!({"instead": "${verdict}"}));
    fallback.retry.limit = 1;
    definition.steps[0].gate.as_mut().unwrap().fallback = Some(Box::new(fallback));
    definition
}

#[test]
fn another_agent_does_what_is_not_good_enough() {
    let mut driver = Driver::started(falling_back(GateFailure::Fallback));
    driver.succeed("a/1", json!({"score": 1}));
    assert_eq!(driver.inputs["a"], json!({"instead": "gate: output.score >= 80 does not hold"}));
    driver.succeed("a/2", json!({"score": 90}));
    assert_eq!((driver.new_dispatches().as_str(), driver.phases().as_str()), ("a/1 a/2 b/1", "a:Succeeded b:Running"));
    let said = driver.run.steps().next().unwrap().message.map(str::to_owned);
    assert_eq!(said.as_deref(), Some("fell back: gate: output.score >= 80 does not hold"));
}

#[test]
fn another_agent_does_what_could_not_be_done() {
    let mut driver = Driver::started(falling_back(GateFailure::Fallback));
    driver.fail("a/1", FailureReason::Rejected);
    driver.fail("a/2", FailureReason::Timeout);
    driver.pass(1);
    driver.succeed("a/3", json!({"score": 90}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn there_is_one_fallback_and_no_more() {
    let mut driver = Driver::started(falling_back(GateFailure::Fallback));
    driver.succeed("a/1", json!({"score": 1}));
    driver.succeed("a/2", json!({"score": 1}));
    let said = "step a: task a failed after 2 attempts: gate: output.score >= 80 does not hold";
    assert_eq!(driver.end(), (FinalPhase::Failed, said.to_owned()));
}

#[test]
fn a_gate_may_retry_first_and_fall_back_then() {
    let mut driver = Driver::started(falling_back(GateFailure::Retry));
    for attempt in 1..=3 {
        driver.succeed(&format!("a/{attempt}"), json!({"score": 1}));
        driver.pass(30);
    }
    assert_eq!(driver.inputs["a"], json!({"instead": "gate: output.score >= 80 does not hold"}));
    driver.succeed("a/4", json!({"score": 80}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn what_nobody_knows_the_end_of_is_given_to_nobody_else() {
    let mut driver = Driver::started(falling_back(GateFailure::Fallback));
    driver.lose("a/1");
    assert_eq!(driver.end().0, FinalPhase::OutcomeUnknown);
}

#[test]
fn what_a_fallback_did_is_undone() {
    let mut definition = falling_back(GateFailure::Fallback);
    definition.on_failure = FailurePolicy::Compensate;
    definition.steps[0].compensate = Some(once(json!("${steps.a.output.by}")));
    let mut driver = Driver::started(definition);
    driver.fail("a/1", FailureReason::Rejected);
    driver.succeed("a/2", json!({"score": 90, "by": "another"}));
    driver.fail("b/1", FailureReason::Rejected);
    assert_eq!(
        (driver.new_dispatches().as_str(), &driver.inputs["a:compensate"]),
        ("a/1 a/2 b/1 a:compensate/1", &json!("another"))
    );
}

#[test]
fn a_schema_with_a_name_is_told_by_its_name_and_version() {
    let mut definition = with_schema(GateFailure::Fail);
    definition.steps[0].gate.as_mut().unwrap().schema_name = Some("ticket 2".to_owned());
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!([]));
    let said = "step a: gate: the output is not of schema ticket 2: at \"\": value is not of type \"object\"";
    assert_eq!(driver.end().1, said);
}

/// `a` can be undone, the gate of `b` undoes, and `c` has none.
fn undoing(on_failure: FailurePolicy) -> Driver {
    let mut first = step("a", &[], StepKind::Task(once(json!(1))));
    first.compensate = Some(once(json!("${steps.a.output}")));
    let mut second = step("b", &["a"], StepKind::Task(once(json!(1))));
    second.gate = Some(holds("output.score >= 80", GateFailure::Compensate));
    let mut made = definition(vec![first, second, step("c", &["a"], StepKind::Task(once(json!(1))))]);
    made.on_failure = on_failure;
    let mut driver = Driver::started(made);
    driver.succeed("a/1", json!("trip 7"));
    driver
}

#[test]
fn a_gate_undoes_what_was_done_in_a_run_that_would_only_stop() {
    let mut driver = undoing(FailurePolicy::Stop);
    driver.succeed("b/1", json!({"score": 1}));
    assert_eq!(
        (driver.new_dispatches().as_str(), &driver.inputs["a:compensate"]),
        ("a/1 b/1 c/1 a:compensate/1", &json!("trip 7"))
    );
    driver.succeed("a:compensate/1", json!(1));
    let said = "step b: gate: output.score >= 80 does not hold; undone: a";
    assert_eq!(driver.end(), (FinalPhase::Compensated, said.to_owned()));
}

#[test]
fn another_failure_of_that_run_undoes_nothing() {
    let mut driver = undoing(FailurePolicy::Stop);
    driver.fail("c/1", FailureReason::Rejected);
    assert_eq!((driver.end().0, driver.new_dispatches().as_str()), (FinalPhase::Failed, "a/1 b/1 c/1"));
}

#[test]
fn a_gate_that_undoes_does_so_in_a_saga_too() {
    let mut driver = undoing(FailurePolicy::Compensate);
    driver.succeed("b/1", json!({"score": 1}));
    assert_eq!(driver.new_dispatches(), "a/1 b/1 c/1 a:compensate/1");
}

#[test]
fn what_is_done_twice_is_undone_in_the_order_of_the_last_time() {
    let mut definition = gated(GateFailure::Retry);
    definition.on_failure = FailurePolicy::Compensate;
    definition.steps[0].compensate = Some(once(json!(1)));
    definition.steps[1] = step("b", &[], StepKind::Task(once(json!(1))));
    definition.steps[1].compensate = Some(once(json!(1)));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!({"score": 1}));
    driver.succeed("b/1", json!(1));
    driver.pass(1);
    driver.succeed("a/2", json!({"score": 1}));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(driver.new_dispatches(), "a/1 b/1 a/2 a:compensate/1");
}
