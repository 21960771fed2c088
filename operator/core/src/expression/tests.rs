//! Tests of expressions: tables of meaning, hostile texts, lossless values, and agreement with the `cel` crate.

mod policy;

use std::borrow::Cow;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn params() -> Value {
    json!({
        "n": 3, "big": u64::MAX, "least": i64::MIN, "half": 0.5, "text": "añb", "yes": true, "none": null,
        "list": [3, 1, 2], "words": ["b", "a"], "map": {"b": 1, "a": {"x": [10, 20]}},
        "people": [{"name": "Ada", "age": 36}, {"name": "Bo", "age": 17}]
    })
}

fn evaluate(source: &str) -> Result<Value, Error> {
    let (params, run) = (params(), json!({"id": "r-1", "workflow": "w"}));
    let view = json!({"output": {"score": 90}, "phase": "Succeeded"});
    let scope = Scope::default()
        .with(Variable::Params, Cow::Borrowed(&params))
        .with(Variable::Run, Cow::Borrowed(&run))
        .with(Variable::Index, Cow::Owned(json!(7)))
        .with_step("first-step", &view)
        .with_step("done", &view);
    Expression::compile(source, Vocabulary::Workflow)?.evaluate(&scope)
}

#[rstest]
#[case("1 + 2 * 3 - 4 / 2 % 3", json!(5))]
#[case("-params.n", json!(-3))]
#[case("1 + 0.5", json!(1.5))]
#[case("7 / 2", json!(3))]
#[case("-7 / 2", json!(-3))]
#[case("-7 % 3", json!(-1))]
#[case("1u + 1", json!(2))]
#[case("0x10", json!(16))]
#[case("params.big", json!(u64::MAX))]
#[case("params.big == 18446744073709551615u", json!(true))]
#[case("params.least", json!(i64::MIN))]
#[case("1 == 1.0 && 1 != 2 && [1] == [1.0]", json!(true))]
#[case("9007199254740993 > 9007199254740992.0", json!(true))]
#[case("{'a': 1} == {'a': 1.0}", json!(true))]
#[case("'1' == 1", json!(false))]
#[case("'a' < 'b' && 2 >= 2 && 1 <= 1.5 && false < true", json!(true))]
#[case("params.text + '!'", json!("añb!"))]
#[case("[1] + [2]", json!([1, 2]))]
#[case("2 in params.list && 'a' in params.map && !('z' in params.map)", json!(true))]
#[case("params.n > 2 ? 'yes' : 'no'", json!("yes"))]
#[case("params['n'] + params.list[0] + params.map.a.x[1]", json!(26))]
#[case("{'k': params.n, 'l': [params.yes, null]}", json!({"k": 3, "l": [true, null]}))]
#[case("has(params.n) && !has(params.zzz) && has(params.map.a) && !has(params.map.z)", json!(true))]
#[case("has(steps.done) && has(steps.done.output.score)", json!(true))]
#[case("steps.done.output.score >= 80", json!(true))]
#[case("steps['first-step'].phase", json!("Succeeded"))]
#[case("run.workflow + '/' + run.id + '/' + string(index)", json!("w/r-1/7"))]
#[case("params.list.map(x, x * 2)", json!([6, 2, 4]))]
#[case("params.list.map(x, x > 1, x * 2)", json!([6, 4]))]
#[case("params.people.filter(p, p.age >= 18).map(p, p.name)", json!(["Ada"]))]
#[case("params.people.filter(p, p.age >= 18)", json!([{"name": "Ada", "age": 36}]))]
#[case("params.list.exists(x, x == 2) && !params.list.exists(x, x == 9)", json!(true))]
#[case("params.list.all(x, x > 0) && !params.list.all(x, x > 1)", json!(true))]
#[case("params.list.exists_one(x, x > 2)", json!(true))]
#[case("[1, 2].map(x, [10, 20].map(y, x + y))", json!([[11, 21], [12, 22]]))]
#[case("[[1, 2], [3]].map(x, x.map(x, x + 1))", json!([[2, 3], [4]]))]
#[case("[1, 2].map(params, params)", json!([1, 2]))]
#[case("params.map.map(k, k)", json!(["a", "b"]))]
#[case("{'z': 1, 'a': 2, 'm': 3}.map(k, k)", json!(["a", "m", "z"]))]
#[case("[].all(x, false) && ![].exists(x, true)", json!(true))]
#[case("size(params.text) + size(params.list) + params.map.size()", json!(8))]
#[case("params.text.contains('ñ') && params.text.startsWith('a') && params.text.endsWith('b')", json!(true))]
#[case("'abc-12'.matches('^[a-z]+-[0-9]+$')", json!(true))]
#[case("int('-5') + int(2.9) + int(true ? 1 : 0)", json!(-2))]
#[case("double('1.5') + double(1)", json!(2.5))]
#[case("string(1) + string(1.5) + string(true) + string('x')", json!("11.5truex"))]
#[case("min(3, 1, 2) + max([4, 9, 5]) + min(5, 6)", json!(15))]
#[case("' A b '.trim().lowerAscii() + 'x'.upperAscii()", json!("a bX"))]
#[case("'a,b'.split(',').join('-')", json!("a-b"))]
#[case("true || params.zzz == 1", json!(true))]
#[case("params.zzz == 1 || true", json!(true))]
#[case("false && params.zzz == 1", json!(false))]
#[case("params.zzz == 1 && false", json!(false))]
#[case("[0, 1].exists(x, 1 / x == 1)", json!(true))]
#[case("[0, 1].all(x, 1 / x == 2)", json!(false))]
#[case("'it\\'s ' + \"\\\"quoted\\\"\" + r'\\d' + '\\n'", json!("it's \"quoted\"\\d\n"))]
fn evaluates(#[case] source: &str, #[case] expected: Value) {
    assert_eq!(evaluate(source), Ok(expected), "{source}");
}

#[rstest]
#[case("params.zzz", "there is no field \"zzz\": test it with has()")]
#[case(
    "params.map['x' + [' '].map(x, '0123456789012345678901234567890123456789')[0]]",
    "there is no field of 41 bytes: test"
)]
#[case("params.text.length", "field \"length\" was read of the string \"añb\"")]
#[case("params.list[3]", "index 3 is outside of a list of 3")]
#[case("params.list[-1]", "index -1 is outside")]
#[case("params.list['a']", "was read of a list")]
#[case("1 / 0", "division by zero")]
#[case("1 % 0", "division by zero")]
#[case("1.0 / 0.0", "too large a number, or not a number")]
#[case("params.big + 1", "too large a number")]
#[case("params.least - 1", "too large a number")]
#[case("params.big * params.big", "too large a number")]
#[case("int(1e300)", "too large a number")]
#[case("'a' + 1", "+ cannot be used with the string \"a\" and the number 1")]
#[case("!1", "! cannot be used with the number 1")]
#[case("-'a'", "- cannot be used with the string \"a\"")]
#[case("1 < 'a'", "cannot be compared")]
#[case("null < null", "null cannot be compared with null")]
#[case("1 ? 2 : 3", "the number 1 stands where true or false is needed")]
#[case("params.zzz == 1 || false", "no field \"zzz\"")]
#[case("params.n.map(x, x)", "the number 3 stands where a list is needed")]
#[case("{1: 2}", "the key of a map is the number 1: write a string")]
#[case("'a'.matches('(')", "invalid or too large pattern")]
#[case("int('x')", "int() cannot read")]
#[case("min([])", "need at least one value")]
#[case("[1].join(',')", "convert it with string()")]
#[case("item", "item has no value here")]
#[case("steps.other.output", "step other has not ended")]
fn fails_with_a_reason(#[case] source: &str, #[case] expected: &str) {
    let error = evaluate(source).expect_err(source).to_string();
    assert!(error.contains(expected), "{source}: {error}");
}

#[rstest]
#[case("", "invalid CEL at column 1")]
#[case("1 +", "invalid CEL at column")]
#[case("a b", "invalid CEL at column 3")]
#[case("item.name ==", "invalid CEL")]
#[case("9999999999999999999999", "invalid CEL")]
#[case(
    "foo",
    "unknown variable \"foo\": write one of params, steps, run, item, index, outer, previous, results, output, verdict"
)]
#[case("frobnicate(1)", "unknown function \"frobnicate\" with 1 arguments: write one of all, contains")]
#[case("size(1, 2)", "unknown function \"size\" with 2 arguments")]
#[case("timestamp('2020-01-01T00:00:00Z')", "unknown function \"timestamp\"")]
#[case("b'abc'", "a literal of bytes cannot be used here")]
#[case("Msg{a: 1}", "a message cannot be used here")]
#[case("steps", "write steps.<name>")]
#[case("steps[item]", "write steps.<name>")]
#[case("size(steps)", "write steps.<name>")]
#[case("has(params)", "invalid argument to has() macro")]
#[case("[1].map(1, 2)", "argument must be a simple name")]
fn is_refused_when_compiled(#[case] source: &str, #[case] expected: &str) {
    let error = check(source, Vocabulary::Workflow).expect_err(source).to_string();
    assert!(error.contains(expected), "{source}: {error}");
}

#[test]
fn references_are_what_is_read_from_the_run() {
    let found = Expression::compile(
        "steps.a.output.x + steps['b-c'].output + params.p + params['q'] + item.map(steps, steps)[0]",
        Vocabulary::Workflow,
    );
    let found = found.unwrap().references().clone();
    assert_eq!(found.steps, ["a", "b-c"].map(str::to_owned).into());
    assert_eq!(found.parameters, ["p", "q"].map(str::to_owned).into());
    assert_eq!(found.variables, [Variable::Params, Variable::Steps, Variable::Item].into());
}

/// Each text sits at or above a limit; none may panic or use up the stack of a thread as small as those of servers.
#[test]
fn hostile_texts_are_answered() {
    let long = |unit: &str, times: usize| unit.repeat(times);
    let at_the_limit = [
        format!("params{}", long(".a", MAX_OPERATORS)),
        format!("1{}", long("+1", MAX_OPERATORS)),
        format!("1{}", long(" in [1]", MAX_OPERATORS / 2)),
        format!("true{}", long("&&true", MAX_OPERATORS / 2)),
        format!("true{}", long("?true:true", MAX_OPERATORS / 2)),
        format!("{}true", long("!", MAX_OPERATORS)),
        format!("{}1", long("-", MAX_OPERATORS)),
        format!("{}1{}", long("(", MAX_NESTING), long(")", MAX_NESTING)),
        format!("{}1{}", long("[", MAX_NESTING), long("]", MAX_NESTING)),
        format!("{}1{}", long("{'a':", MAX_NESTING), long("}", MAX_NESTING)),
        format!("{}1{}", long("[1].map(x,", MAX_NESTING / 2), long(")", MAX_NESTING / 2)),
        format!("[{}1]", long("1,", MAX_OPERATORS - 1)),
        long("(", MAX_NESTING),
        long("[", 5000),
        long("!", 5000),
        long("a.", 5000),
        long("'", 4001),
        long("\\", 4001),
        long("{", 4001),
        long("r'\\'+", 800),
        format!("'{}'", long("\\u", 100)),
        format!("'{}'", "\u{0}\u{feff}\u{202e}"),
        "\u{0}".to_owned(),
        "1 ? ".to_owned(),
        "has(has(1))".to_owned(),
        "[1].map(x)".to_owned(),
        "@result".to_owned(),
        "__x__".to_owned(),
        ".a".to_owned(),
        "params.?a".to_owned(),
        "[?1]".to_owned(),
        "optional.of(1)".to_owned(),
        "'\\400' + \"\\UFFFFFFFF\"".to_owned(),
        "'".to_owned(),
    ];
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let answered = small.spawn(move || at_the_limit.iter().map(|text| evaluate(text)).filter(Result::is_err).count());
    assert!(answered.unwrap().join().is_ok_and(|refused| refused > 10));
}

#[rstest]
#[case::nested_loops(
    "[1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(x, x))))))))))"
)]
#[case::doubled_text(
    "[1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(a, item + item))))))"
)]
#[case::patterns(
    "item.split('x').map(a, a.matches('(a{1,50}){1,50}')).size() + item.split('').map(a, a.matches('b' + a)).size()"
)]
#[case::hidden_by_or("item.split('').map(a, item.split('').map(b, 1)).size() > 0 || true")]
fn endless_work_ends_with_an_error(#[case] source: &str) {
    let item = json!("y".repeat(100_000));
    let scope = Scope::default().with(Variable::Item, Cow::Borrowed(&item));
    assert_eq!(Expression::compile(source, Vocabulary::Workflow).unwrap().evaluate(&scope), Err(Error::Cost));
}

#[rstest]
#[case("${params.n}", json!(3))]
#[case("${params.map}", json!({"b": 1, "a": {"x": [10, 20]}}))]
#[case("n=${params.n} ${params.text} ${params.yes} ${params.none} ${params.list}", json!("n=3 añb true null [3,1,2]"))]
#[case("${params.n}${params.n}", json!("33"))]
#[case("$${params.n} costs 5$ or $$", json!("${params.n} costs 5$ or $$"))]
#[case("$${${params.n}}", json!("${3}"))]
#[case("${{'a': '}'}.a}", json!("}"))]
#[case("${{'a': {'b': 1}}}", json!({"a": {"b": 1}}))]
#[case("no expression", json!("no expression"))]
#[case("", json!(""))]
#[case("$", json!("$"))]
fn fills_strings(#[case] template: &str, #[case] expected: Value) {
    let params = params();
    let scope = Scope::default().with(Variable::Params, Cow::Borrowed(&params));
    assert_eq!(Template::compile(&json!(template)).unwrap().evaluate(&scope), Ok(expected));
}

#[test]
fn fills_structures_and_says_where_a_mistake_is() {
    let params = params();
    let scope = Scope::default().with(Variable::Params, Cow::Borrowed(&params));
    let template = json!({"a": ["${params.n}", 1, {"b": "x${params.n}"}], "c": null, "${d}": 1});
    let filled = Template::compile(&template).unwrap().evaluate(&scope);
    assert_eq!(filled, Ok(json!({"a": [3, 1, {"b": "x3"}], "c": null, "${d}": 1})));

    let mistakes = Template::compile(&json!({"a": [1, "${foo}", "${"], "b": {"c": "${1 +}"}})).unwrap_err();
    let places: Vec<&str> = mistakes.iter().map(|mistake| mistake.place.as_str()).collect();
    assert_eq!(places, [".a[1]", ".a[2]", ".b.c"]);
    assert_eq!(mistakes[1].error, Error::Unclosed);
}

#[test]
fn values_that_no_reader_could_parse_are_refused() {
    let deep = (0..MAX_VALUE_DEPTH - 2).fold(json!(1), |inner, _| json!([inner]));
    let scope = Scope::default().with(Variable::Item, Cow::Borrowed(&deep));
    assert!(Template::compile(&json!(["${item}"])).unwrap().evaluate(&scope).is_ok());
    let deeper = Template::compile(&json!([["${item}"]])).unwrap();
    assert_eq!(deeper.evaluate(&scope), Err(Error::Depth(MAX_VALUE_DEPTH)));
}

/// Any JSON value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |d| d.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

/// Expressions over integers, strings, lists and booleans whose meaning the `cel` crate and we must agree on.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-20_i64..20).prop_map(|i| format!("({i})")),
        prop_oneof![Just("true"), Just("false"), Just("null"), Just("'a'"), Just("'ab'"), Just("item"), Just("index")]
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        let operator = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("=="),
            Just("!="),
            Just("<"),
            Just(">="),
            Just("&&"),
            Just("||"),
        ];
        prop_oneof![
            (pair.clone(), operator).prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (pair.clone(), inner.clone()).prop_map(|((a, b), c)| format!("({a} ? {b} : {c})")),
            pair.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            pair.clone().prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            inner.clone().prop_map(|a| format!("{{'k': {a}}}.k")),
            pair.clone().prop_map(|(a, b)| format!("[{a}, 1].map(x, x == {b})")),
            pair.clone().prop_map(|(a, b)| format!("[{a}, 1].exists(x, x == {b})")),
            pair.prop_map(|(a, b)| format!("[{a}, 1, 2].filter(x, x != {b})")),
            inner.prop_map(|a| format!("size([{a}])")),
        ]
    })
}

proptest! {
    #[test]
    fn values_pass_through_expressions_unchanged(value in any_json()) {
        let scope = Scope::default().with(Variable::Item, Cow::Borrowed(&value));
        prop_assert_eq!(Expression::compile("item", Vocabulary::Workflow).unwrap().evaluate(&scope), Ok(value.clone()));
        prop_assert_eq!(Expression::compile("{'k': [item]}.k[0]", Vocabulary::Workflow).unwrap().evaluate(&scope), Ok(value.clone()));
        prop_assert_eq!(Expression::compile("[item].map(x, x)[0]", Vocabulary::Workflow).unwrap().evaluate(&scope), Ok(value.clone()));
        prop_assert_eq!(Template::compile(&json!("${item}")).unwrap().evaluate(&scope), Ok(value.clone()));
    }

    #[test]
    fn constants_pass_through_templates_unchanged(value in any_json()) {
        prop_assume!(!value.to_string().contains("${"));
        let template = Template::compile(&value).unwrap();
        prop_assert_eq!(template.evaluate(&Scope::default()), Ok(value));
    }

    #[test]
    fn any_text_is_answered(text in ".{0,60}", cel in "[\\[\\](){}.,?:!&|<>=+*/%'\"a-z0-9 -]{0,40}") {
        let _ = check(&text, Vocabulary::Workflow);
        let _ = evaluate(&cel);
        let _ = Template::compile(&json!([text, cel]));
    }

    /// The reference evaluates what it can; where both have a value, it is the same one. (It answers some mistakes with a
    /// value, and lacks comparisons that the standard has, so failures are not compared.)
    #[test]
    fn agrees_with_the_reference(source in any_expression()) {
        let mut context = cel::Context::default();
        context.add_variable_from_value("item", "it");
        context.add_variable_from_value("index", 5_i64);
        let scope = Scope::default()
            .with(Variable::Item, Cow::Owned(json!("it")))
            .with(Variable::Index, Cow::Owned(json!(5)));
        let ours = Expression::compile(&source, Vocabulary::Workflow).and_then(|expression| expression.evaluate(&scope));
        let reference = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cel::Program::compile(&source).unwrap().execute(&context)
        }));
        if let (Ok(ours), Ok(Ok(reference))) = (ours, reference) {
            prop_assert_eq!(to_json(&reference), Some(ours), "{}", source);
        }
    }
}

fn to_json(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(b) => json!(b),
        cel::Value::Int(i) => json!(i),
        cel::Value::String(s) => json!(s.as_str()),
        cel::Value::List(list) => list.iter().map(to_json).collect::<Option<Vec<_>>>()?.into(),
        cel::Value::Map(map) => {
            let fields = map.map.iter().map(|(key, value)| Some((key.to_string(), to_json(value)?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
