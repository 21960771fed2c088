//! Tests of reading policies: what the numbers mean, and what is still read of an object that is wrong in parts.

use rstest::rstest;
use serde_json::{Value, json};
use tetrarch_core::policy::Limit;

use super::*;

fn read(policies: &Value, level: Level) -> (Layer, Vec<Violation>) {
    let written: Vec<written::Policy> = serde_json::from_value(policies.clone()).unwrap();
    layer(Owner { level, namespace: None, name: "x".to_owned(), generation: 1 }, &written, None)
}

#[rstest]
#[case(json!({"agents": 50}), Limit::Agents, 50)]
#[case(json!({"taskTimeout": "1h30m"}), Limit::TaskTimeout, 5_400_000)]
#[case(json!({"runTimeout": "500ms"}), Limit::RunTimeout, 500)]
#[case(json!({"cpuPerAgent": "1.5"}), Limit::CpuPerAgent, 1_500)]
#[case(json!({"cpuPerAgent": "0.0005"}), Limit::CpuPerAgent, 1)]
#[case(json!({"memoryPerAgent": "1Gi"}), Limit::MemoryPerAgent, 1 << 30)]
#[case(json!({"spendPerDay": "20.5"}), Limit::SpendPerDay, 20_500_000)]
fn limits_are_in_base_units(#[case] limits: Value, #[case] limit: Limit, #[case] expected: u64) {
    let (layer, violations) = read(&json!([{ "name": "a", "limits": limits }]), Level::Domain);
    assert_eq!(violations, Vec::new());
    assert_eq!(layer.policies[0].limits, BTreeMap::from([(limit, expected)]));
}

#[test]
fn what_can_be_read_of_a_stored_policy_still_governs() {
    let wrong = json!([
        { "name": "a", "limits": { "agents": 5, "runTimeout": "soon" }, "rules": [{ "expression": "(", "message": "m" }] },
        { "name": "b", "limits": { "agents": 6 } },
    ]);
    let (layer, violations) = read(&wrong, Level::Domain);
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert_eq!(layer.policies.len(), 2);
    assert_eq!(layer.policies[0].limits, BTreeMap::from([(Limit::Agents, 5)]));
}

#[test]
fn kinds_above_are_refused_and_do_not_widen_the_policy_to_all() {
    let (layer, violations) = read(&json!([{ "name": "a", "appliesTo": { "kinds": ["Domain"] } }]), Level::Workflow);
    assert_eq!(
        violations[0].to_string(),
        "spec.policies[0].appliesTo.kinds[0]: a policy of this Workflow cannot govern Domain, which is not below it: write Workflow"
    );
    assert_eq!(layer.policies[0].applies_to.kinds, BTreeSet::from([Kind::Workflow]));
}

#[test]
fn an_empty_list_of_domains_allows_none_and_a_missing_one_all() {
    let (layer, _) = read(&json!([{ "name": "a", "allow": { "domains": [] } }, { "name": "b" }]), Level::Domain);
    assert!(layer.policies[0].allow[&Allowance::Domains].is_empty());
    assert!(layer.policies[1].allow.is_empty());
}

#[test]
fn a_key_that_is_unknown_is_required_all_the_same() {
    let written: Vec<written::Policy> =
        serde_json::from_value(json!([{ "name": "a", "require": { "signedBy": ["k"] } }])).unwrap();
    let owner = Owner { level: Level::Domain, namespace: None, name: "x".to_owned(), generation: 1 };
    let (layer, violations) = layer(owner, &written, Some(&[]));
    assert_eq!(violations.len(), 1);
    assert!(layer.policies[0].require.contains(&Requirement::SignedBy("k".to_owned())));
}
