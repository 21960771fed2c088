//! Every plan is a Workflow that is admitted.

use rstest::rstest;
use tetrarch_core::{
    decompose::{Goal, decompose},
    id::Name,
};
use tetrarch_crds::Workflow;

use super::*;

const CAPABILITIES: [&str; 7] =
    ["research", "review", "report", "flight-booking", "cancel-booking", "card-charge", "fact-check"];

fn planned(text: &str, given: &Value) -> (Decomposition, Value) {
    let inputs: BTreeMap<String, Value> = given.as_object().unwrap().clone().into_iter().collect();
    let capabilities: Vec<Name> = CAPABILITIES.iter().map(|name| name.parse().unwrap()).collect();
    let plan = decompose(Goal { text, inputs: &inputs, capabilities: &capabilities, past: &[] }).unwrap();
    let place = Place { name: "goal", namespace: "office", supervisor: Some("desk") };
    let manifest = manifest(&plan, &inputs, place);
    (plan, manifest)
}

/// Admission reads a manifest by the same parser.
#[rstest]
#[case::task("Research prices of ${sums}", json!({}), Pattern::Task)]
#[case::map("Review each contract", json!({"contracts": ["a", "b"], "law": "EU"}), Pattern::MapReduce)]
#[case::scatter("Check the facts independently by five agents", json!({"text": "…"}), Pattern::ScatterGather)]
#[case::chain("Research the market, then review it, then write the report", json!({"market": "tea"}), Pattern::Pipeline)]
#[case::branches("- research the market\n- review the contract", json!({}), Pattern::ForkJoin)]
#[case::saga("Book the flight, then charge the card", json!({"budget": 500}), Pattern::Saga)]
#[case::graph("Review each contract, then review each result, then write the report", json!({"contracts": ["a"]}), Pattern::Dag)]
fn every_plan_is_a_workflow_that_is_admitted(#[case] text: &str, #[case] inputs: Value, #[case] pattern: Pattern) {
    let (plan, manifest) = planned(text, &inputs);
    assert_eq!(plan.recommendation.pattern, pattern);
    let workflow: Workflow = serde_json::from_value(manifest.clone()).unwrap();
    let definition = tetrarch_plan::parse::workflow::definition(&workflow);
    assert!(definition.is_ok(), "{definition:#?}\n{manifest:#}");
    let again = serde_json::to_value(&workflow.spec).unwrap();
    let written = manifest["spec"].as_object().unwrap();
    assert!(written.keys().all(|key| again.get(key).is_some()), "a field that no schema knows: {written:?}");
}

#[test]
fn the_manifest_of_a_graph() {
    let text = "Review each contract and research the market, then write the report if anything is wrong.";
    let (plan, manifest) = planned(text, &json!({"contracts": ["a", "b"]}));
    let yaml = serde_yaml::to_string(&manifest).unwrap();
    insta::assert_snapshot!(format!("{}---\n{yaml}", explanation(&plan)));
}
