//! Tests of what only expressions of policies have: their variables, moments, quantities, their smaller budget.

use std::borrow::Cow;

use rstest::rstest;
use serde_json::{Value, json};

use super::super::*;

fn compile(source: &str) -> Result<Expression, Error> {
    Expression::compile(source, Vocabulary::Policy)
}

/// Evaluated on Friday, 20 November 2026, 22:30 in UTC, which is 23:30 in Berlin and Saturday in Tokyo.
fn evaluate(source: &str) -> Result<Value, Error> {
    let object = json!({
        "metadata": {"creationTimestamp": "2026-11-20T21:30:00Z", "labels": {"team": "a"}},
        "spec": {"scaling": {"max": 80}, "image": "registry.example/a:1", "resources": {"memory": "2Gi", "cpu": 2}}
    });
    let (user, domain) =
        (json!({"name": "ada", "groups": ["admins"]}), json!({"name": "d", "labels": {"tier": "gold"}}));
    let scope = Scope::default()
        .with(Variable::Object, Cow::Borrowed(&object))
        .with(Variable::OldObject, Cow::Owned(Value::Null))
        .with(Variable::Operation, Cow::Owned(json!("CREATE")))
        .with(Variable::User, Cow::Borrowed(&user))
        .with(Variable::Domain, Cow::Borrowed(&domain))
        .with_now("2026-11-20T22:30:05Z".parse().unwrap());
    compile(source)?.evaluate(&scope)
}

#[rstest]
#[case("object.spec.scaling.max <= 50", json!(false))]
#[case("operation == 'CREATE' && oldObject == null", json!(true))]
#[case("'admins' in user.groups && user.name.startsWith('a') && domain.labels.tier == 'gold'", json!(true))]
#[case("has(object.metadata.labels) && 'team' in object.metadata.labels", json!(true))]
#[case("object.spec.image.matches('^registry[.]example/[a-z]+:[0-9]+$')", json!(true))]
#[case("[now.getFullYear(), now.getMonth(), now.getDate(), now.getDayOfMonth()]", json!([2026, 10, 20, 19]))]
#[case("[now.getHours(), now.getMinutes(), now.getSeconds()]", json!([22, 30, 5]))]
#[case("[now.getDayOfWeek(), now.getDayOfWeek('Asia/Tokyo'), now.getDayOfYear()]", json!([5, 6, 323]))]
#[case("[now.getHours('Europe/Berlin'), now.getHours('+02:30'), now.getHours('-08:00')]", json!([23, 1, 14]))]
#[case("timestamp('2026-07-01T12:00:00Z').getHours('Europe/Berlin')", json!(14))]
#[case("timestamp('2026-07-01T14:00:00+02:00') == timestamp('2026-07-01T12:00:00Z')", json!(true))]
#[case("now > timestamp('2026-11-20T23:30:00+02:00') && now != timestamp('2027-01-01T00:00:00Z')", json!(true))]
#[case("timestamp(object.metadata.creationTimestamp) < now && now >= now", json!(true))]
#[case("now.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5] && now.getHours('Europe/Berlin') < 18", json!(false))]
#[case("['2026-01-01T00:00:00Z'].all(t, timestamp(t) < now)", json!(true))]
#[case("[1].map(now, now)", json!([1]))]
#[case("quantity('1Gi')", json!(1_073_741_824))]
#[case("quantity('250m') == 0.25 && quantity('1') == quantity('1000m') && quantity('1e3') == 1000", json!(true))]
#[case("quantity('0.1') == quantity('100m') && quantity('-1k') == -1000 && quantity('1.5Gi') == 1610612736", json!(true))]
#[case("quantity(object.spec.resources.memory) > quantity('1Gi')", json!(true))]
#[case("quantity(object.spec.resources.cpu) == 2", json!(true))]
fn evaluates(#[case] source: &str, #[case] expected: Value) {
    assert_eq!(evaluate(source), Ok(expected), "{source}");
}

#[rstest]
#[case("params.x", "unknown variable \"params\": write one of object, oldObject, operation, user, now, domain")]
#[case("steps.x", "unknown variable \"steps\"")]
#[case("now", "moments can only be compared with each other")]
#[case("now < '2027-01-01T00:00:00Z'", "write now < timestamp('2027-01-01T00:00:00Z')")]
#[case("now - timestamp('2026-01-01T00:00:00Z')", "moments can only be compared")]
#[case("object.getHours()", "moments can only be compared")]
#[case("now.getHours('Mars/Olympus')", "\"Mars/Olympus\" is no time zone: write a name such as 'Europe/Berlin'")]
#[case("now.getHours('+25:00')", "is no time zone")]
#[case("now.getHours(object.zone)", "is no time zone")]
#[case("object.getHours('UTC', 1)", "unknown function \"getHours\"")]
#[case("now.getCentury()", "moments can only be compared")]
#[case("now < timestamp('yesterday')", "\"yesterday\" is no moment: write one as in 2027-01-01T00:00:00Z")]
#[case("object.x.matches('(')", "invalid or too large pattern")]
#[case("object.x.matches('(a{1,1000}){1,1000}')", "invalid or too large pattern")]
#[case("quantity('1GB') < 1", "\"1GB\" is not a quantity: write a number with an optional suffix, such as 250m or 1Gi")]
#[case("frobnicate(1)", "quantity, size, split, startsWith, string, timestamp, trim, upperAscii")]
fn is_refused_when_compiled(#[case] source: &str, #[case] expected: &str) {
    let error = compile(source).expect_err(source).to_string();
    assert!(error.contains(expected), "{source}: {error}");
}

#[rstest]
#[case("timestamp(object.spec.image) < now", "is no moment")]
#[case("timestamp(object.spec.scaling.max) < now", "timestamp cannot be used with the number 80")]
#[case("object.spec.scaling.max.matches('a')", "matches cannot be used with the number 80")]
#[case("quantity(object.spec.image) < 1", "is not a quantity")]
#[case("quantity(object.spec) < 1", "quantity cannot be used with an object")]
fn fails_with_a_reason(#[case] source: &str, #[case] expected: &str) {
    let error = evaluate(source).expect_err(source).to_string();
    assert!(error.contains(expected), "{source}: {error}");
}

#[rstest]
#[case::patterns_that_are_computed("object.list.exists(x, x.matches('a' + x))")]
#[case::a_large_pattern_and_a_long_text("(object.list.join('') + object.text).matches('(a{1,50}){1,50}')")]
#[case::nested_loops("object.list.all(a, object.list.all(b, object.list.all(c, a == a)))")]
fn a_rule_has_a_smaller_budget_than_a_workflow(#[case] source: &str) {
    let object = json!({"list": vec!["b"; 60], "text": "a".repeat(100_000)});
    let scope = Scope::default().with(Variable::Object, Cow::Borrowed(&object));
    assert_eq!(compile(source).unwrap().evaluate(&scope), Err(Error::Cost));
}

#[test]
fn a_rule_may_walk_a_large_object() {
    let object = json!({"containers": vec![json!({"image": "registry.example/team/image:1", "env": [1, 2]}); 500]});
    let scope = Scope::default().with(Variable::Object, Cow::Borrowed(&object));
    let rule = compile("object.containers.all(c, c.image.startsWith('registry.example/') && size(c.env) < 5)").unwrap();
    assert_eq!(rule.evaluate_condition(&scope), Ok(true));
}
