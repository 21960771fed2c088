//! What a gate makes of the output of its step.

use super::*;

fn gated(on_failure: GateFailure) -> Definition {
    let mut made = step("a", &[], StepKind::Task(task(json!({"before": "${verdict}"}))));
    if on_failure != GateFailure::Retry {
        made.kind = StepKind::Task(task(json!(1)));
    }
    made.gate = Some(Gate { expression: "output.score >= 80".to_owned(), message: None, on_failure, escalation: None });
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
    of_items.gate = Some(Gate {
        expression: "output < 10".to_owned(),
        message: None,
        on_failure: GateFailure::Fail,
        escalation: None,
    });
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
