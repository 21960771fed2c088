//! Tests of the format itself.

use serde_json::json;

use super::*;

fn suite(tests: &Value) -> Suite {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION, "kind": KIND, "user": "alice",
        "manifests": {"pool": {"kind": "AgentPool", "metadata": {"name": "p", "namespace": "n"}, "spec": {"replicas": 1}}},
        "tests": tests,
    }))
    .unwrap()
}

fn expanded(case: &Value) -> Result<Change, String> {
    let mut case = case.clone();
    case["name"] = json!("t");
    case["expect"] = json!("Deny");
    let suite = suite(&json!([case]));
    let known = [
        json!({"kind": "Domain", "metadata": {"name": "d"}, "spec": {}}),
        json!({"kind": "Supervisor", "metadata": {"name": "s", "namespace": "a"}}),
        json!({"kind": "Supervisor", "metadata": {"name": "s", "namespace": "b"}}),
    ];
    expand(&suite, &suite.tests[0], &known).map_err(|violations| violations[0].to_string())
}

#[test]
fn a_manifest_is_created_with_what_is_different() {
    let change = expanded(&json!({"create": "pool", "with": {"spec": {"replicas": 7}}})).unwrap();
    assert_eq!((change.operation, change.old), (Operation::Create, None));
    assert_eq!(change.new.unwrap()["spec"]["replicas"], 7);
    assert_eq!(change.user.name, "alice");
}

#[test]
fn an_object_of_the_hierarchy_is_changed_scaled_and_deleted() {
    let change = expanded(&json!({"update": "domain/d", "with": {"spec": {"x": 1}}})).unwrap();
    assert_eq!((&change.old.unwrap()["spec"], &change.new.unwrap()["spec"]), (&json!({}), &json!({"x": 1})));
    assert_eq!(expanded(&json!({"scale": "pool", "replicas": 4})).unwrap().new.unwrap()["spec"]["replicas"], 4);
    assert_eq!(expanded(&json!({"delete": "Supervisor/a/s"})).unwrap().new, None);
}

#[rstest::rstest]
#[case(json!({}), "exactly one of create")]
#[case(json!({"create": "pool", "delete": "pool"}), "exactly one of create")]
#[case(json!({"update": "pool"}), "with: is missing")]
#[case(json!({"scale": "pool"}), "replicas: is missing")]
#[case(json!({"delete": "pool", "with": {}}), "with: has no meaning beside delete")]
#[case(json!({"create": "pol"}), "create: \"pol\" is not among manifests (there are: pool)")]
#[case(json!({"delete": "Supervisor/s"}), "write Supervisor/<namespace>/s")]
#[case(json!({"delete": "Domain/x"}), "is not in the hierarchy")]
fn a_test_that_cannot_be_run_says_what_to_write(#[case] case: Value, #[case] message: &str) {
    let error = expanded(&case).unwrap_err();
    assert!(error.contains(message), "{error}");
}

#[test]
fn the_verdict_and_the_messages_are_compared() {
    let case = |fields: &Value| -> Case {
        let mut case = json!({"name": "t", "create": "pool", "expect": "Deny"});
        merge_patch(&mut case, fields);
        serde_json::from_value(case).unwrap()
    };
    let refused = Outcome { verdict: Expect::Deny, messages: vec!["a: is 5".to_owned(), "b: is 6".to_owned()] };
    assert_eq!(case(&json!({"message": "is 5"})).compare(&refused), []);
    assert_eq!(case(&json!({"message": ["is 6", "is 5"]})).compare(&refused), []);
    assert_eq!(case(&json!({"exactMessage": ["b: is 6", "a: is 5"]})).compare(&refused), []);
    assert_eq!(case(&json!({"exactMessage": "a: is 5"})).compare(&refused).len(), 1);
    assert_eq!(case(&json!({"message": "is 7"})).compare(&refused)[0].expected, "… is 7 …");
    let admitted = Outcome { verdict: Expect::Accept, messages: Vec::new() };
    let mismatches = case(&json!({"message": "is 5"})).compare(&admitted);
    assert_eq!(mismatches[0], Mismatch { expected: "Deny".to_owned(), found: "Accept".to_owned() });
    assert_eq!(mismatches[1].found, "nothing is told");
}

#[test]
fn a_user_is_a_name_or_a_name_with_groups() {
    let who: Who = serde_json::from_value(json!({"name": "a", "groups": ["g"]})).unwrap();
    assert_eq!(who.groups, ["g"]);
    assert!(serde_json::from_value::<Who>(json!({"nme": "a"})).unwrap_err().to_string().contains("write a name"));
}
