//! The samples as the engine runs them, with an agent that answers with its input: each comes to the end that it promises,
//! through the steps that it promises. A real cluster does the same in `cluster_patterns`.

#![expect(clippy::unwrap_used, reason = "a sample that cannot be read fails its test")]

use std::{collections::BTreeMap, fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tetrarch_core::workflow::{
    approval::Decision,
    journal::{Entry, FailureReason, FinalPhase, Outcome, RunEvent},
    run::{Action, Run, RunPhase},
};
use tetrarch_plan::parse;

fn sample(name: &str) -> tetrarch_crds::Workflow {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples").join(name);
    // The Workflow comes last, behind what it needs.
    serde_yaml::from_str(fs::read_to_string(path).unwrap().rsplit("\n---\n").next().unwrap()).unwrap()
}

/// What the agent of the samples says.
fn echo(input: &Value) -> Outcome {
    let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).map(str::to_owned);
    match (text(input, "refuse"), input.get("handOver")) {
        (Some(message), _) => Outcome::Failed { reason: FailureReason::Rejected, message },
        (None, Some(named)) => Outcome::HandedOver {
            to: text(named, "capability").unwrap().parse().unwrap(),
            input: named.get("input").cloned(),
            reason: text(named, "reason"),
        },
        (None, None) => Outcome::Succeeded { output: input.clone() },
    }
}

/// Runs a sample to its end, every task answered at once.
fn ended(name: &str, parameters: &Value) -> Run {
    let definition = parse::workflow::definition(&sample(name)).unwrap();
    let given: BTreeMap<String, Value> = serde_json::from_value(parameters.clone()).unwrap();
    let mut now = Timestamp::UNIX_EPOCH;
    let mut run = Run::accept("sample".parse().unwrap(), definition, &given, "test".to_owned(), now);
    let started = RunEvent::Started { deadline: now + SignedDuration::from_hours(1) };
    let mut entries = vec![Entry::Run(started)];
    while !matches!(run.phase(), RunPhase::Ended(_)) {
        for entry in std::mem::take(&mut entries) {
            run.apply(&entry, now);
        }
        let asked = run.questions().map(|question| (question.step.clone(), question.attempt)).collect::<Vec<_>>();
        for (step, attempt) in asked {
            let decision =
                Decision { approved: true, by: "ada".to_owned(), at: now, reason: Some("it is right".to_owned()) };
            entries.push(Entry::Run(RunEvent::Decided { step, attempt, decision }));
        }
        let mut wake = None;
        for action in run.next(now) {
            if let Action::WakeAt(at) = action {
                wake = Some(at);
            } else if let Action::Append(event) = action {
                entries.push(Entry::Run(event));
            } else if let Action::Dispatch { path, attempt, input, .. } = action {
                let pool = "echo".parse().unwrap();
                entries.push(Entry::Dispatched { path: path.clone(), attempt, pool });
                entries.push(Entry::Result { path, attempt, outcome: echo(&input) });
            }
        }
        if entries.is_empty() && !matches!(run.phase(), RunPhase::Ended(_)) {
            now = wake.unwrap();
            assert!(now < Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24), "{name} waits for nothing");
        }
    }
    run
}

fn steps(run: &Run) -> String {
    let one =
        |step: tetrarch_core::workflow::run::StepView<'_>| format!("{}:{}", step.name.as_str(), step.phase.as_str());
    run.steps().map(one).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case::research("workflow-research.yaml", json!({}), FinalPhase::Succeeded, "plan:Succeeded read:Succeeded report:Succeeded")]
#[case::experts("workflow-experts.yaml", json!({}), FinalPhase::Succeeded,
    "panel:Succeeded plenum:Succeeded minority:Succeeded decide:Succeeded")]
#[case::experts_who_agree("workflow-experts.yaml", json!({"panel": ["accept", "accept", "accept"]}), FinalPhase::Succeeded,
    "panel:Succeeded plenum:Skipped minority:Skipped decide:Succeeded")]
#[case::experts_who_never_agree("workflow-experts.yaml",
    json!({"plenum": (0..5).map(|n| json!({"verdict": n, "confidence": 50})).collect::<Vec<_>>()}), FinalPhase::Failed,
    "panel:Succeeded plenum:Failed minority:Skipped decide:Skipped")]
#[case::escalation("workflow-escalation.yaml", json!({}), FinalPhase::Succeeded,
    "understand:Succeeded look-up:Succeeded answer:Succeeded brand:Succeeded specialist:Skipped fallback:Skipped send:Succeeded")]
#[case::escalation_of_a_poor_answer("workflow-escalation.yaml", json!({"quality": 60}), FinalPhase::Succeeded,
    "understand:Succeeded look-up:Succeeded answer:Succeeded brand:Succeeded specialist:Skipped fallback:Skipped send:Succeeded")]
#[case::escalation_of_what_is_urgent("workflow-escalation.yaml", json!({"message": {"text": "my card is gone", "urgent": true}}), FinalPhase::Succeeded,
    "understand:Succeeded look-up:Succeeded answer:Skipped brand:Skipped specialist:Succeeded fallback:Skipped send:Succeeded")]
#[case::escalation_of_nothing("workflow-escalation.yaml", json!({"message": {"text": "good morning", "urgent": false}}), FinalPhase::Succeeded,
    "understand:Succeeded look-up:Succeeded answer:Skipped brand:Skipped specialist:Skipped fallback:Succeeded send:Succeeded")]
#[case::hand_over("workflow-hand-over.yaml", json!({}), FinalPhase::Succeeded, "answer:Succeeded send:Succeeded")]
#[case::saga("workflow-saga.yaml", json!({}), FinalPhase::Compensated, "flight:Compensated hotel:Compensated pay:Failed")]
#[case::release("workflow-release.yaml", json!({}), FinalPhase::Succeeded,
    "code:Succeeded security:Succeeded performance:Succeeded compliance:Succeeded review:Succeeded stage:Succeeded canary:Succeeded \
     watch-canary:Succeeded half:Succeeded watch-half:Succeeded full:Succeeded verify:Succeeded report:Succeeded")]
#[case::release_that_is_taken_back("workflow-release.yaml", json!({"errors": 7}), FinalPhase::Compensated,
    "code:Succeeded security:Succeeded performance:Succeeded compliance:Succeeded review:Succeeded stage:Compensated \
     canary:Compensated watch-canary:Skipped half:Skipped watch-half:Skipped full:Skipped verify:Skipped report:Skipped")]
fn a_sample_comes_to_the_end_that_it_promises(
    #[case] name: &str,
    #[case] parameters: Value,
    #[case] phase: FinalPhase,
    #[case] wanted: &str,
) {
    let run = ended(name, &parameters);
    assert_eq!((run.phase(), steps(&run).as_str()), (RunPhase::Ended(phase), wanted), "{:?}", run.message());
}

#[test]
fn what_the_experts_and_the_researchers_find_is_in_the_output() {
    let output = ended("workflow-experts.yaml", &json!({})).output().unwrap();
    assert_eq!(output["decide"], json!({"verdict": "accept", "minority": ["revise", "reject", "revise"]}));
    let output = ended("workflow-research.yaml", &json!({})).output().unwrap();
    let wanted =
        ["the manual", "the register"].map(|title| format!("{title} on: Which licences may a container image hold?"));
    assert_eq!(output["findings"], json!(wanted));
}

#[test]
fn a_person_reads_a_poor_answer_and_a_foreign_tone_is_replaced() {
    let said = |parameters: Value| {
        let run = ended("workflow-escalation.yaml", &parameters);
        let message =
            |name: &str| run.steps().find(|step| step.name.as_str() == name).unwrap().message.map(str::to_owned);
        (message("answer"), message("brand"), run.output().unwrap()["sent"].clone())
    };
    let known = json!("We looked into 2 places for your delivery.");
    assert_eq!(said(json!({})), (None, None, known.clone()));
    let (read, _, sent) = said(json!({"quality": 60}));
    assert_eq!(sent, known);
    assert!(
        read.as_ref().is_some_and(|read| read.contains("60, 80 are needed") && read.contains("approved by ada")),
        "{read:?}"
    );
    let (_, replaced, sent) = said(json!({"brand": 50}));
    assert_eq!(sent, json!("We have your message and answer within a day."));
    assert_eq!(replaced.as_deref(), Some("fell back: gate: the reply does not sound like us"));
}

#[test]
fn results_are_reduced_by_sums_expressions_and_trees() {
    let output = ended("workflow-map-reduce.yaml", &json!({})).output().unwrap();
    assert_eq!(output, json!({"total": {"amount": 12}, "large": 2, "last": 9}));
}

#[test]
fn what_one_map_has_read_another_one_checks_at_once() {
    let output = ended("workflow-streams.yaml", &json!({})).output().unwrap();
    assert_eq!(output, json!({"good": ["Emma 2"], "read": {"Emma": 2, "Persuasion": 1, "Sanditon": 0}}));
}
