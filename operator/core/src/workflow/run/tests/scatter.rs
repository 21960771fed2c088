//! Scatters: when they end, what becomes of failures and of late answers.

use super::*;
use crate::workflow::definition::{Gather, Late};

fn scattered(to: u32, gather: Gather, late: Late) -> Driver {
    Driver::started(definition(vec![step("s", &[], scatter(to, gather, late))]))
}

fn consensus(at_least: u32) -> Gather {
    Gather::Consensus { at_least, compare: Some("output.verdict".to_owned()) }
}

fn best() -> Gather {
    Gather::Best { score: "output.score".to_owned(), at_least: 1, compare: None }
}

#[test]
fn every_target_gets_the_task_and_the_first_answer_wins() {
    let mut driver = scattered(3, Gather::First, Late::Withdraw);
    assert_eq!(driver.new_dispatches(), "s:0/1 s:1/1 s:2/1");
    assert_eq!(driver.inputs["s:2"], json!(2));
    driver.succeed("s:1/1", json!("quick"));
    assert_eq!(driver.withdrawn, ["s:0/1", "s:2/1"]);
    let output = json!({"chosen": "quick", "agreement": 100, "results": ["quick"], "failed": 0});
    assert_eq!(driver.run.output(), Some(json!({"s": output})));
    driver.succeed("s:0/1", json!("late"));
    assert_eq!(driver.run.ignored(), 1);
    let view = driver.run.steps().next().unwrap();
    assert_eq!((view.kind, view.tasks, view.succeeded, view.failed), ("scatter", 3, 1, 0));
}

#[test]
fn late_answers_are_collected_and_do_not_change_the_choice() {
    let mut driver = scattered(3, Gather::First, Late::Collect);
    driver.succeed("s:2/1", json!("quick"));
    assert_eq!(driver.run.phase(), RunPhase::Running);
    driver.fail("s:0/1", FailureReason::Rejected);
    driver.succeed("s:1/1", json!("slow"));
    let output = json!({"chosen": "quick", "agreement": 50, "results": ["slow", "quick"], "failed": 1});
    assert_eq!(driver.run.output(), Some(json!({"s": output})));
}

#[test]
fn a_consensus_is_found_on_a_part_of_the_answers() {
    let mut driver = scattered(4, consensus(2), Late::Withdraw);
    driver.succeed("s:3/1", json!({"verdict": "MIT", "by": 3}));
    driver.succeed("s:0/1", json!({"verdict": "GPL", "by": 0}));
    driver.succeed("s:1/1", json!({"verdict": "MIT", "by": 1}));
    let output = driver.run.output().unwrap();
    assert_eq!(output["s"]["chosen"], json!({"verdict": "MIT", "by": 1}));
    assert_eq!((&output["s"]["agreement"], driver.withdrawn.as_slice()), (&json!(66), &["s:2/1".to_owned()][..]));
}

#[test]
fn without_a_consensus_the_step_fails_and_says_how_far_it_was() {
    let mut driver = scattered(3, consensus(2), Late::Withdraw);
    driver.succeed("s:0/1", json!({"verdict": "MIT"}));
    driver.succeed("s:1/1", json!({"verdict": "GPL"}));
    driver.fail("s:2/1", FailureReason::Rejected);
    let expected = "step s: scatter.gather.consensus: 2 answers must agree, and at most 1 of 2 do; \
                    task s:2 failed after 1 attempt: Rejected: no luck";
    assert_eq!(driver.end(), (FinalPhase::Failed, expected.to_owned()));
}

#[test]
fn a_quorum_that_cannot_be_reached_any_more_fails_at_once() {
    let mut driver = scattered(3, Gather::Quorum { at_least: 3, compare: None }, Late::Collect);
    driver.fail("s:1/1", FailureReason::Rejected);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    assert_eq!(driver.withdrawn, ["s:0/1", "s:2/1"]);
}

#[test]
fn targets_are_retried_one_by_one() {
    let mut kind = scatter(2, best(), Late::Withdraw);
    if let StepKind::Scatter(scatter) = &mut kind {
        scatter.task = task(json!(null));
    }
    let mut driver = Driver::started(definition(vec![step("s", &[], kind)]));
    driver.fail("s:0/1", FailureReason::AgentError);
    driver.succeed("s:1/1", json!({"score": 1}));
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "s:0/1 s:1/1 s:0/2");
    driver.succeed("s:0/2", json!({"score": 2}));
    assert_eq!(driver.run.output().unwrap()["s"]["chosen"], json!({"score": 2}));
}

#[rstest]
#[case::no_such_field(json!({"x": 1}), "score: there is no field \"score\"")]
#[case::no_number(json!({"score": "high"}), "score: \"high\" is no number")]
fn an_answer_that_cannot_be_judged_counts_as_failed(#[case] answer: Value, #[case] reason: &str) {
    let mut driver = scattered(2, best(), Late::Withdraw);
    driver.succeed("s:0/1", answer);
    let message = driver.run.steps().next().unwrap().message.unwrap_or_default().to_owned();
    assert!(message.starts_with(&format!("the answer of target 0 cannot be judged: {reason}")), "{message}");
    driver.succeed("s:1/1", json!({"score": 1}));
    assert_eq!(driver.run.output().unwrap()["s"]["failed"], json!(1));
}

#[test]
fn a_weight_below_zero_is_no_weight() {
    let gather = Gather::Weighted { weight: "output".to_owned(), at_least: 2, compare: None };
    let mut driver = scattered(2, gather, Late::Withdraw);
    driver.succeed("s:0/1", json!(-1));
    assert!(driver.end().1.ends_with("weight: -1 is below 0"), "{}", driver.end().1);
}

#[test]
fn an_unknown_outcome_of_a_target_is_never_hidden_by_the_others() {
    let mut driver = scattered(3, Gather::First, Late::Collect);
    driver.succeed("s:0/1", json!(1));
    driver.lose("s:1/1");
    assert_eq!(driver.end().0, FinalPhase::OutcomeUnknown);
}
