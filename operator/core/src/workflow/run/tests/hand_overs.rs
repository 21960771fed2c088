//! Tasks that agents hand to their peers.

use super::*;
use crate::workflow::{definition::Task, hand_over::HandOver};

/// A step `a` that may be handed to `billing` and `refunds`, twice, and a step that follows.
fn handing(change: impl Fn(&mut Task)) -> Definition {
    let mut made = task(json!({"ticket": 7}));
    made.hand_over = Some(HandOver { to: vec![name("billing"), name("refunds")], limit: 2 });
    change(&mut made);
    definition(vec![step("a", &[], StepKind::Task(made)), task_step("b", &["a"])])
}

fn to(capability: &str) -> AgentSelector {
    AgentSelector::Capability(name(capability))
}

impl Driver {
    fn hand_over(&mut self, task: &str, to: &str, input: Option<Value>) {
        let reason = Some("not mine".to_owned());
        self.answer(task, Outcome::HandedOver { to: name(to), input, reason });
    }

    fn message(&self) -> String {
        self.run.steps().next().unwrap().message.unwrap_or_default().to_owned()
    }
}

#[test]
fn the_output_is_that_of_the_last_who_has_it() {
    let mut driver = Driver::started(handing(|_| {}));
    driver.hand_over("a/1", "billing", Some(json!({"ticket": 7, "amount": 12})));
    assert_eq!(
        (driver.agent.clone(), driver.inputs["a"].clone()),
        (Some(to("billing")), json!({"ticket": 7, "amount": 12}))
    );
    assert_eq!(driver.message(), "task a was handed over to capability billing (hand-over 1): not mine");
    driver.hand_over("a/2", "refunds", None);
    assert_eq!(
        (driver.agent.clone(), driver.inputs["a"].clone()),
        (Some(to("refunds")), json!({"ticket": 7, "amount": 12}))
    );
    driver.succeed("a/3", json!("paid back"));
    assert_eq!(driver.new_dispatches(), "a/1 a/2 a/3 b/1");
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.tasks, view.succeeded, view.failed, view.retries), (3, 3, 0, 0));
    driver.succeed("b/1", json!(1));
    assert_eq!(driver.end().0, FinalPhase::Succeeded);
}

#[test]
fn without_an_input_the_next_one_gets_the_same() {
    let mut driver = Driver::started(handing(|_| {}));
    driver.hand_over("a/1", "billing", None);
    assert_eq!(driver.inputs["a"], json!({"ticket": 7}));
}

#[rstest]
#[case::not_listed(|_: &mut Task| {}, "legal", "handOver.to does not list: there are billing, refunds")]
#[case::not_allowed(|of: &mut Task| of.hand_over = None, "billing", "the task does not allow: write handOver.to")]
fn a_hand_over_without_leave_is_a_failed_attempt_that_is_repeated(
    #[case] change: fn(&mut Task),
    #[case] whom: &str,
    #[case] why: &str,
) {
    let mut driver = Driver::started(handing(change));
    let own = driver.agent.clone();
    for attempt in 1..=3 {
        driver.hand_over(&format!("a/{attempt}"), whom, None);
        driver.pass(3);
        assert_eq!(driver.agent, own);
    }
    let (phase, message) = driver.end();
    assert!(phase == FinalPhase::Failed && message.contains(why) && message.contains("after 3 attempts"), "{message}");
}

#[test]
fn nobody_hands_over_more_often_than_the_limit() {
    let mut driver = Driver::started(handing(|of| of.retry.limit = 0));
    driver.hand_over("a/1", "billing", None);
    driver.hand_over("a/2", "refunds", None);
    driver.hand_over("a/3", "billing", None);
    assert!(driver.end().1.contains("after 2 hand-overs: raise handOver.limit, 2 now"), "{}", driver.end().1);
}

#[test]
fn a_failed_attempt_is_repeated_by_those_who_have_it() {
    let mut driver = Driver::started(handing(|_| {}));
    driver.hand_over("a/1", "billing", Some(json!(1)));
    driver.fail("a/2", FailureReason::Timeout);
    driver.pass(1);
    assert_eq!((driver.agent.clone(), driver.inputs["a"].clone()), (Some(to("billing")), json!(1)));
    driver.succeed("a/3", json!(2));
    assert_eq!(driver.run.steps().next().unwrap().retries, 1);
}

#[test]
fn a_withdrawn_attempt_stays_with_those_who_have_it() {
    let mut driver = Driver::started(handing(|_| {}));
    driver.hand_over("a/1", "billing", None);
    driver.event(RunEvent::Withdrawn { path: "a".parse().unwrap(), attempt: 2 });
    assert_eq!((driver.new_dispatches().as_str(), driver.agent.clone()), ("a/1 a/2 a/3", Some(to("billing"))));
}

#[test]
fn another_owner_knows_with_whom_it_is() {
    let mut driver = Driver::started(handing(|_| {}));
    driver.fail("a/1", FailureReason::Timeout);
    driver.pass(1);
    driver.hand_over("a/2", "refunds", None);
    driver.run.reissue();
    driver.settle();
    assert_eq!(driver.agent, Some(to("refunds")));
    // Told a second time, it changes nothing.
    driver.hand_over("a/2", "billing", None);
    assert_eq!((driver.agent.clone(), driver.run.ignored()), (Some(to("refunds")), 1));
}

#[test]
fn a_gate_that_retries_begins_with_the_own_agents_of_the_task() {
    let mut made = handing(|of| of.retry.limit = 1);
    made.steps[0].gate = Some(holds("output == 'good'", GateFailure::Retry));
    let mut driver = Driver::started(made);
    let own = driver.agent.clone();
    driver.hand_over("a/1", "billing", None);
    driver.succeed("a/2", json!("bad"));
    driver.pass(1);
    assert_eq!((driver.new_dispatches().as_str(), driver.agent.clone()), ("a/1 a/2 a/3", own));
    driver.hand_over("a/3", "billing", None);
    driver.succeed("a/4", json!("bad"));
    assert_eq!(driver.end().0, FinalPhase::Failed);
}

#[test]
fn items_of_a_map_are_handed_over_one_by_one() {
    let mut made = map(json!([10, 11, 12]), Reduce::Collect);
    made.task.hand_over = Some(HandOver { to: vec![name("billing")], limit: 1 });
    let mut driver = Driver::started(definition(vec![map_step("a", &[], made)]));
    driver.hand_over("a:1/1", "billing", None);
    assert_eq!((driver.new_dispatches().as_str(), driver.agent.clone()), ("a:0/1 a:1/1 a:1/2", Some(to("billing"))));
    assert_eq!(driver.inputs["a:1"], json!(11));
    driver.succeed("a:0/1", json!(0));
    assert_eq!(driver.agent, Some(AgentSelector::Pool(name("pool"))));
    driver.succeed("a:2/1", json!(2));
    driver.succeed("a:1/2", json!(1));
    assert_eq!(driver.run.output(), Some(json!({"a": [0, 1, 2]})));
}

#[test]
fn what_a_peer_may_have_done_is_undone() {
    let mut made = handing(|of| of.retry.limit = 0);
    made.on_failure = FailurePolicy::Compensate;
    made.steps[0].compensate = Some(once(json!("undo")));
    let mut driver = Driver::started(made);
    driver.hand_over("a/1", "billing", None);
    driver.fail("a/2", FailureReason::Rejected);
    assert_eq!(driver.new_dispatches(), "a/1 a/2 a:compensate/1");
    driver.succeed("a:compensate/1", json!(null));
    assert_eq!(driver.end().0, FinalPhase::Compensated);
}

#[test]
fn a_run_that_is_opened_again_goes_on_with_those_who_had_it() {
    let mut driver = Driver::started(handing(|of| of.retry.limit = 0));
    driver.hand_over("a/1", "billing", Some(json!(5)));
    driver.fail("a/2", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    let (request, cause) = ("r".to_owned(), "test".to_owned());
    driver.event(RunEvent::Reopened { request, cause, unknown: Vec::new(), stamp: None });
    driver.event(RunEvent::Started { deadline: at(900) });
    assert_eq!((driver.new_dispatches().as_str(), driver.agent.clone()), ("a/1 a/2 a/1001", Some(to("billing"))));
    assert_eq!(driver.inputs["a"], json!(5));
    assert_eq!(driver.run.steps().next().unwrap().retries, 0);
}
