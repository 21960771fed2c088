//! Outputs that an agent judges.

use super::*;

fn judged_step(on_failure: GateFailure) -> Definition {
    let mut made = step("a", &[], StepKind::Task(task(json!(1))));
    if on_failure == GateFailure::Retry {
        made.kind = StepKind::Task(task(json!("${verdict}")));
    }
    made.gate = Some(judged(on_failure));
    definition(vec![made, task_step("b", &["a"])])
}

#[test]
fn nothing_follows_before_the_judge_has_spoken() {
    let mut driver = Driver::started(judged_step(GateFailure::Fail));
    driver.succeed("a/1", json!("a draft"));
    assert_eq!(
        (driver.new_dispatches().as_str(), driver.phases().as_str()),
        ("a/1 a:judge:1/1", "a:Running b:Pending")
    );
    assert_eq!(driver.inputs["a:judge:1"], json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 80}));
    assert_eq!(driver.new_dispatches(), "b/1");
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.tasks, view.succeeded, view.failed), (2, 2, 0));
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn a_score_that_is_too_low_fails_the_step_with_the_reason() {
    let mut driver = Driver::started(judged_step(GateFailure::Fail));
    driver.succeed("a/1", json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 79.5, "reason": "too long"}));
    let said = "step a: gate: the judge gives 79.5, 80 are needed: too long";
    assert_eq!(driver.end(), (FinalPhase::Failed, said.to_owned()));
}

#[test]
fn the_next_attempt_reads_what_the_judge_said_and_is_judged_anew() {
    let mut driver = Driver::started(judged_step(GateFailure::Retry));
    driver.succeed("a/1", json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 10, "reason": "too long"}));
    driver.pass(1);
    assert_eq!(driver.inputs["a"], json!("gate: the judge gives 10, 80 are needed: too long"));
    driver.succeed("a/2", json!("a shorter one"));
    assert_eq!(driver.inputs["a:judge:2"], json!("a shorter one"));
    driver.succeed("a:judge:2/1", json!({"score": 90}));
    assert_eq!(driver.new_dispatches(), "a/1 a:judge:1/1 a/2 a:judge:2/1 b/1");
}

#[test]
fn a_judge_without_a_score_is_asked_again() {
    let mut definition = judged_step(GateFailure::Fail);
    definition.steps[0].gate.as_mut().unwrap().judge.as_mut().unwrap().task.retry.limit = 1;
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.succeed("a:judge:1/1", json!({"score": 101}));
    driver.pass(1);
    driver.succeed("a:judge:1/2", json!("good"));
    let (phase, message) = driver.end();
    assert_eq!(phase, FinalPhase::Failed);
    assert!(
        message.contains("it cannot be judged: task a:judge:1 failed after 2 attempts: the judge gives no score"),
        "{message}"
    );
}

#[test]
fn the_work_is_not_repeated_because_of_a_judge_who_is_ill() {
    let mut driver = Driver::started(judged_step(GateFailure::Retry));
    driver.succeed("a/1", json!(1));
    driver.fail("a:judge:1/1", FailureReason::Rejected);
    driver.pass(30);
    assert_eq!((driver.end().0, driver.new_dispatches().as_str()), (FinalPhase::Failed, "a/1 a:judge:1/1"));
}

#[test]
fn a_step_may_go_on_without_its_judge() {
    let mut driver = Driver::started(judged_step(GateFailure::Continue));
    driver.succeed("a/1", json!(1));
    driver.fail("a:judge:1/1", FailureReason::Rejected);
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn a_judgement_of_which_nobody_knows_is_asked_for_again() {
    let mut definition = judged_step(GateFailure::Fail);
    definition.steps[0].gate.as_mut().unwrap().judge.as_mut().unwrap().task.retry.limit = 1;
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.lose("a:judge:1/1");
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "a/1 a:judge:1/1 a:judge:1/2");
}

#[test]
fn many_tasks_are_judged_as_one() {
    let mut of_items = map_step("a", &[], map(json!([1, 2]), Reduce::Collect));
    of_items.gate = Some(judged(GateFailure::Fail));
    let mut driver = Driver::started(definition(vec![of_items, task_step("b", &["a"])]));
    driver.succeed("a:0/1", json!(4));
    driver.succeed("a:1/1", json!(7));
    assert_eq!(driver.inputs["a:judge:1"], json!([4, 7]));
    driver.succeed("a:judge:1/1", json!({"score": 100}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

#[test]
fn another_owner_goes_on_with_a_judgement() {
    let mut driver = Driver::started(judged_step(GateFailure::Fail));
    driver.run.apply(
        &Entry::Result { path: "a".parse().unwrap(), attempt: 1, outcome: Outcome::Succeeded { output: json!(1) } },
        at(0),
    );
    driver.run.reissue();
    driver.settle();
    assert_eq!(driver.new_dispatches(), "a/1 a:judge:1/1");
}

#[test]
fn what_is_being_judged_was_done_and_is_undone() {
    let mut definition = judged_step(GateFailure::Fail);
    definition.on_failure = FailurePolicy::Compensate;
    definition.steps[0].compensate = Some(once(json!(1)));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.event(RunEvent::CancelRequested { cause: "somebody".to_owned(), stamp: None });
    assert_eq!(driver.new_dispatches(), "a/1 a:judge:1/1 a:compensate/1");
    assert_eq!(driver.withdrawn, ["a:judge:1/1"]);
}

#[test]
fn the_time_of_a_step_is_over_for_its_judge_too() {
    let mut definition = judged_step(GateFailure::Fail);
    definition.steps[0].timeout = Some(Duration::from_secs(5));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!(1));
    driver.pass(5);
    assert_eq!(driver.end().1, "step a: the step took longer than its timeout of 5s");
}

#[test]
fn a_person_decides_about_what_a_judge_did_not_let_pass() {
    let mut driver = Driver::started(judged_step(GateFailure::Escalate));
    driver.succeed("a/1", json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 60, "reason": "off brand"}));
    let asked = driver.run.questions().next().unwrap().message.to_owned();
    assert_eq!(asked, "gate: the judge gives 60, 80 are needed: off brand");
    let decision =
        crate::workflow::approval::Decision { approved: true, by: "ada".to_owned(), at: at(3), reason: None };
    driver.event(RunEvent::Decided { step: name("a"), attempt: 1, decision });
    assert_eq!(driver.new_dispatches(), "a/1 a:judge:1/1 b/1");
}

#[test]
fn a_person_decides_when_the_judge_is_ill() {
    let mut driver = Driver::started(judged_step(GateFailure::Escalate));
    driver.succeed("a/1", json!("a draft"));
    driver.fail("a:judge:1/1", FailureReason::Rejected);
    assert!(driver.run.questions().next().unwrap().message.starts_with("gate: it cannot be judged: "));
}

#[test]
fn a_fallback_is_judged_too() {
    let mut definition = judged_step(GateFailure::Fallback);
    definition.steps[0].gate.as_mut().unwrap().fallback = Some(Box::new(once(json!("${verdict}"))));
    let mut driver = Driver::started(definition);
    driver.succeed("a/1", json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 60}));
    driver.succeed("a/2", json!("another draft"));
    assert_eq!(driver.inputs["a:judge:2"], json!("another draft"));
    driver.succeed("a:judge:2/1", json!({"score": 90}));
    assert_eq!(driver.phases(), "a:Succeeded b:Running");
}

/// A late answer of the first judge says nothing about the second output.
#[test]
fn a_judgement_of_an_earlier_output_changes_nothing() {
    let mut driver = Driver::started(judged_step(GateFailure::Retry));
    driver.succeed("a/1", json!("a draft"));
    driver.succeed("a:judge:1/1", json!({"score": 10}));
    driver.pass(1);
    driver.succeed("a/2", json!("a shorter one"));
    let before = driver.run.ignored();
    driver.succeed("a:judge:1/1", json!({"score": 100}));
    assert_eq!((driver.phases().as_str(), driver.run.ignored()), ("a:Running b:Pending", before + 1));
}

/// Found by simulation: the last iteration was counted twice, so that two judges were asked about one output.
#[test]
fn a_result_that_is_told_twice_is_judged_once() {
    let mut repeating =
        step("a", &[], StepKind::Loop(Box::new(crate::workflow::samples::repeated(json!(1), "true", 3))));
    repeating.gate = Some(judged(GateFailure::Fail));
    let mut driver = Driver::started(definition(vec![repeating]));
    driver.succeed("a:0/1", json!("a draft"));
    driver.succeed("a:0/1", json!("a draft"));
    assert_eq!(driver.new_dispatches(), "a:0/1 a:judge:1/1");
}

/// A scatter that is decided takes back what else was asked, before its judge has spoken.
#[test]
fn what_a_judged_step_needs_no_more_is_taken_back() {
    let mut made = step(
        "a",
        &[],
        scatter(2, crate::workflow::definition::Gather::First, crate::workflow::definition::Late::Withdraw),
    );
    made.gate = Some(judged(GateFailure::Fail));
    let mut driver = Driver::started(definition(vec![made]));
    driver.succeed("a:0/1", json!("x"));
    assert_eq!(driver.withdrawn, ["a:1/1"]);
}
