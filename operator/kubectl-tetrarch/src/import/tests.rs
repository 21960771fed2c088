//! Documents as people have them: what comes of each, and that nothing in any of them can be lost without a word.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::*;

const DOCUMENTS: [(&str, &str); 5] = [
    ("argo-build", include_str!("tests/argo-build.yaml")),
    ("argo-steps", include_str!("tests/argo-steps.yaml")),
    ("argo-cron", include_str!("tests/argo-cron.yaml")),
    ("serverless-order", include_str!("tests/serverless-order.yaml")),
    ("serverless-pets", include_str!("tests/serverless-pets.yaml")),
];

fn document(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// Everything that an import tells: the manifest, the report, or the error.
fn told(document: &Value) -> String {
    match import(document, Some("front-desk")) {
        Ok(imported) => {
            format!("{}{}", comments(&imported.origin, &imported.findings), yaml(&imported.workflow).unwrap())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_document_becomes_a_workflow_with_its_report() {
    for (name, text) in DOCUMENTS {
        let document = document(text);
        import(&document, Some("front-desk")).unwrap_or_else(|error| panic!("{name}: {error}"));
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, told(&document)) });
    }
}

/// A value inside of a document, as the report writes its path.
fn places(value: &Value, path: &str, found: &mut Vec<(String, Vec<Value>)>, keys: &[Value]) {
    found.push((path.to_owned(), keys.to_vec()));
    let with = |key: Value| [keys, &[key]].concat();
    match value {
        Value::Object(fields) => {
            for (key, inside) in fields {
                let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c));
                let dot = if path.is_empty() { "" } else { "." };
                let path = if is_plain { format!("{path}{dot}{key}") } else { format!("{path}[{key:?}]") };
                places(inside, &path, found, &with(json!(key)));
            }
        }
        Value::Array(list) => {
            for (index, inside) in list.iter().enumerate() {
                places(inside, &format!("{path}[{index}]"), found, &with(json!(index)));
            }
        }
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, keys: &[Value]) -> &'v mut Value {
    keys.iter().fold(value, |value, key| match key {
        Value::String(key) => value.get_mut(key).unwrap(),
        other => value.get_mut(usize::try_from(other.as_u64().unwrap()).unwrap()).unwrap(),
    })
}

fn all_places(document: &Value) -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    places(document, "", &mut found, &[]);
    found
}

/// Whether a path is one of those that are named, or inside of it.
fn is_within(path: &str, named: &[String]) -> bool {
    let rest = |named: &String| path.strip_prefix(named.as_str()).map(str::to_owned);
    named.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Paths of values that can be changed without anything that is told becoming different, and that no finding names.
fn silent(document: &Value, convert: impl Fn(&Value) -> String, named: &[String]) -> Vec<String> {
    let before = convert(document);
    let mut silent = Vec::new();
    for (path, keys) in all_places(document) {
        let mut changed = document.clone();
        let value = at(&mut changed, &keys);
        match value {
            Value::String(text) => text.push('z'),
            Value::Number(number) => *value = json!(number.as_i64().unwrap_or_default() + 1),
            Value::Bool(truth) => *truth = !*truth,
            _ => continue,
        }
        if !is_within(&path, named) && convert(&changed) == before {
            silent.push(path);
        }
    }
    silent
}

fn named(document: &Value) -> Vec<String> {
    import(document, None)
        .unwrap()
        .findings
        .iter()
        .map(|finding| finding.path.to_string())
        .filter(|path| !path.is_empty())
        .collect()
}

#[test]
fn nothing_of_a_document_can_be_changed_without_a_trace() {
    let mut wrong = String::new();
    for (name, text) in DOCUMENTS {
        let document = document(text);
        for path in silent(&document, told, &named(&document)) {
            let _ = writeln!(wrong, "{name}: {path}");
        }
    }
    assert!(wrong.is_empty(), "read, but of no effect and not told:\n{wrong}");
}

#[test]
fn a_field_that_nobody_knows_is_named_wherever_it_stands() {
    let mut wrong = String::new();
    for (name, text) in DOCUMENTS {
        let document = document(text);
        let forgotten: Vec<String> = ["status"].map(str::to_owned).to_vec();
        for (path, keys) in all_places(&document) {
            if is_within(&path, &forgotten) {
                continue;
            }
            let mut changed = document.clone();
            let Value::Object(fields) = at(&mut changed, &keys) else { continue };
            fields.insert("zeal".to_owned(), json!({"of": "convert"}));
            let told = told(&changed);
            // A document that cannot be imported any more is told with the place, too.
            if !told.contains("zeal") && !told.starts_with(&format!("{path}: ")) {
                let _ = writeln!(wrong, "{name}: {path}: {told}");
            }
        }
    }
    assert!(wrong.is_empty(), "fields are lost:\n{wrong}");
}

#[test]
fn a_conversion_that_reads_and_forgets_is_caught() {
    let document = json!({"kind": "Odd", "spec": {"name": "a", "limit": 3, "deep": [{"on": true}]}});
    let forgetful = |document: &Value| {
        let source = Source::new(document.clone());
        let root = source.root();
        let spec = root.get("spec").unwrap();
        root.text("kind");
        spec.get("deep").unwrap().whole();
        spec.number("limit");
        let name = spec.text("name").unwrap_or_default().to_owned();
        format!("{name} {:?}", source.finish())
    };
    assert_eq!(silent(&document, forgetful, &[]), ["kind", "spec.deep[0].on", "spec.limit"]);
}

#[rstest::rstest]
#[case(json!({"apiVersion": "v1", "kind": "Pod"}), "is v1 Pod: write an Argo Workflow")]
#[case(json!({"a": 1}), "is nothing that says what it is")]
#[case(json!({"specVersion": "0.8", "states": []}), "convert it to DSL 1.0 first")]
#[case(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "EventSource", "spec": {}}), "holds no steps")]
#[case(json!({"document": {"dsl": "0.9", "name": "x"}}), "convert it to 1.0 first")]
fn what_is_no_workflow_is_refused_with_what_to_give(#[case] document: Value, #[case] says: &str) {
    let error = told(&document);
    assert!(error.contains(says), "{error}");
}

fn argo(spec: &Value) -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": spec})
}

/// The spec of the Workflow that comes of a document, and what there is to tell.
fn spec(document: &Value) -> (Value, String) {
    let imported = import(document, None).unwrap();
    let told = imported.findings.iter().flat_map(Finding::lines).collect::<Vec<_>>().join("\n");
    (manifest(&imported.workflow).unwrap()["spec"].clone(), told)
}

fn cron(changes: &Value) -> Value {
    let mut of = json!({"workflowSpec": {"entrypoint": "a", "templates": [{"name": "a", "container": {}}]}});
    of.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": {"name": "x"}, "spec": of})
}

#[test]
fn the_times_of_a_cron_workflow_are_a_schedule() {
    let (nightly, _) =
        spec(&cron(&json!({"schedules": ["0 2 * * *"], "timezone": "Europe/Berlin", "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 90, "suspend": true})));
    let wanted = json!({"cron": "0 2 * * *", "timeZone": "Europe/Berlin", "concurrency": "Replace", "startingDeadline": "90s", "suspend": true});
    assert_eq!((&nightly["schedule"], &nightly["start"]), (&wanted, &json!("OnRequest")));
    assert_eq!(spec(&cron(&json!({"schedule": "@daily"}))).0["schedule"], json!({"cron": "@daily"}));
}

#[rstest::rstest]
#[case(json!({"schedule": "every now and then"}), "spec.schedule: cannot be read")]
#[case(json!({"schedule": "@daily", "timezone": "Moon/Sea"}), "spec.timezone: is no time zone that is known")]
#[case(json!({"timezone": "Europe/Berlin"}), "has no schedule")]
#[case(json!({"schedule": "@daily", "workflowSpec": {"entrypoint": "a", "arguments": {"parameters": [{"name": "p"}]},
    "templates": [{"name": "a", "container": {}}]}}), "give the parameter \"p\" a value, and write spec.schedule")]
fn a_schedule_that_cannot_be_kept_is_named(#[case] changes: Value, #[case] says: &str) {
    let (made, told) = spec(&cron(&changes));
    assert!(made.get("schedule").is_none() && told.contains(says), "{told}");
}

#[test]
fn of_several_schedules_the_first_one_is_kept() {
    let (made, told) = spec(&cron(&json!({"schedules": ["@daily", "@weekly"]})));
    assert_eq!(made["schedule"]["cron"], json!("@daily"));
    assert!(told.contains("spec.schedules[1]: is a further schedule"), "{told}");
}

#[test]
fn what_waits_for_a_person_is_an_approval_unless_the_person_gives_something() {
    let asking = |outputs: Value| {
        let ask = json!({"name": "ask", "suspend": {}, "outputs": outputs});
        argo(
            &json!({"entrypoint": "a", "templates": [{"name": "a", "steps": [[{"name": "ask", "template": "ask"}]]}, ask]}),
        )
    };
    let (made, told) = spec(&asking(Value::Null));
    assert_eq!(made["steps"][0], json!({"name": "ask", "approval": {"timeout": "168h"}}));
    assert!(told.contains("it is an approval"), "{told}");
    let (made, told) = spec(&asking(json!({"parameters": [{"name": "choice", "valueFrom": {"supplied": {}}}]})));
    assert_eq!(made["steps"][0]["task"]["agent"], json!({"capability": "ask"}));
    assert!(told.contains("waits for what a person gives it"), "{told}");
}

#[test]
fn a_template_of_another_manifest_is_a_run_of_its_workflow() {
    let calling = |extra: Value| {
        let mut call = json!({"name": "report", "templateRef": {"name": "shared.tools", "template": "report"},
            "arguments": {"parameters": [{"name": "top-n", "value": "3"}]}});
        call.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "steps": [[call]]}]}))
    };
    let (made, told) = spec(&calling(json!({})));
    assert_eq!(
        made["steps"][0],
        json!({"name": "report", "workflow": {"name": "shared-tools", "parameters": {"top_n": "3"}}})
    );
    assert!(told.contains("import that manifest under this name, with the entrypoint \"report\""), "{told}");
    let (made, _) = spec(&calling(json!({"withItems": [1, 2]})));
    assert_eq!(made["steps"][0]["map"]["task"]["agent"], json!({"capability": "report"}));
}

#[test]
fn a_template_that_others_call_yields_what_its_only_step_yields() {
    let mut document = argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "container": {}}]}));
    assert_eq!(spec(&document).0.get("output"), None);
    document["kind"] = json!("WorkflowTemplate");
    assert_eq!(spec(&document).0["output"], json!("${steps.a.output}"));
}

#[test]
fn a_workflow_that_a_document_starts_is_a_step() {
    let run =
        json!({"workflow": {"namespace": "x", "name": "Bill", "version": "1.0.0", "input": {"order": "${ .id }"}}});
    let (made, told) = spec(&serverless(json!([{"charge": {"run": run}}])));
    assert_eq!(made["steps"][0]["workflow"], json!({"name": "bill", "parameters": {"order": "${params.id}"}}));
    assert!(told.contains("it is a run of the Workflow \"bill\""), "{told}");
}

#[rstest::rstest]
#[case(json!({"cron": "0 8 * * *"}), json!({"cron": "0 8 * * *"}), "")]
#[case(json!({"every": {"hours": 1}}), Value::Null, "schedule.every: starts runs at an interval")]
#[case(json!({"cron": "now"}), Value::Null, "schedule.cron: cannot be read")]
fn times_of_a_document_are_a_schedule(#[case] written: Value, #[case] wanted: Value, #[case] says: &str) {
    let mut document = serverless(json!([{"a": {"call": "b"}}]));
    document["schedule"] = written;
    let (made, told) = spec(&document);
    assert_eq!(made.get("schedule").cloned().unwrap_or_default(), wanted);
    assert!(told.contains(says), "{told}");
}

fn serverless(tasks: Value) -> Value {
    let mut document = Map::new();
    document.insert("document".to_owned(), json!({"dsl": "1.0.0", "namespace": "x", "name": "x", "version": "1"}));
    document.insert("do".to_owned(), tasks);
    Value::Object(document)
}

#[rstest::rstest]
#[case(argo(&json!({"entrypoint": "a", "templates": []})), "names the entrypoint \"a\", which is no template")]
#[case(argo(&json!({"templates": []})), "has no entrypoint")]
#[case(argo(&json!({"workflowTemplateRef": {"name": "y"}})), "spec.workflowTemplateRef: takes the templates from another manifest")]
#[case(argo(&json!({"entrypoint": "a", "templates": [{"name": "a"}]})), "spec.templates[0]: does nothing that is known here")]
#[case(argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "dag": {"tasks": [
    {"name": "b", "template": "a", "dependencies": ["c"]}, {"name": "c", "template": "a", "dependencies": ["b"]}]}}]})),
    "spec.templates[0].dag: has tasks that wait for each other in a circle")]
#[case(argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "dag": {"tasks": [{"name": "b", "template": "gone"}]}}]})),
    "calls \"gone\", which is no template")]
#[case(argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "inputs": {"parameters": [{"name": "p"}]}, "container": {}}]})),
    "\"p\" has no value")]
#[case(serverless(json!([{"a": {"set": {"b": 1}}}])), "nothing in it is work for an agent")]
#[case(serverless(json!([{"a": {"call": "b", "then": "gone"}}])), "leads to \"gone\", which is no task")]
#[case(serverless(json!([{"a": {"fork": {}}}])), "has no branches")]
#[case(serverless(json!([{"a": {}}])), "do[0].a: does nothing that is known here")]
#[case(serverless(json!({"a": {}})), "do: is no list")]
fn what_would_not_run_is_refused_with_its_place(#[case] document: Value, #[case] says: &str) {
    let error = told(&document);
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_workflow_that_would_be_refused_is_an_error_that_names_why() {
    let error =
        told(&argo(&json!({"entrypoint": "a", "activeDeadlineSeconds": 60, "templates": [{"name": "a", "steps": [
        [{"name": "b", "inline": {"container": {"args": ["{{workflow.parameters.x}}"]}}}],
        (0..130).map(|n| json!({"name": format!("s{n}"), "inline": {"container": {}}})).collect::<Vec<_>>()]}]})));
    assert!(
        error.starts_with("the Workflow that comes of it would be refused: spec.steps: has 131 entries"),
        "{error}"
    );
}

/// A loop over a list, with one task that is done for each of its items.
fn each(list: &Value, arguments: &Value, ends: Option<&str>) -> Value {
    let mut step =
        json!({"for": {"each": "n", "at": "i", "in": list}, "do": [{"one": {"call": "add", "with": arguments}}]});
    if let Some(ends) = ends {
        step["while"] = json!(ends);
    }
    serverless(json!([{"first": {"call": "look"}}, {"walk": step}, {"last": {"call": "tell"}}]))
}

#[test]
fn items_of_which_none_needs_the_others_are_a_map() {
    let (made, told) = spec(&each(&json!([1, 2]), &json!({"n": "${ $n }", "i": "${ $i }"}), None));
    let map = &made["steps"][1]["map"];
    assert_eq!((&map["items"], &map["maxParallel"]), (&json!([1, 2]), &json!(1)));
    assert_eq!(map["task"]["input"], json!({"n": "${item}", "i": "${index}"}));
    assert_eq!(made["steps"][2]["task"]["input"], json!("${steps.walk.output[size(steps.walk.output) - 1]}"));
    assert!(told.contains("raise maxParallel where their order does not matter"), "{told}");
    let (made, _) = spec(&each(&json!("${ .list }"), &json!({"n": "${ $n }"}), None));
    let input = made["steps"][2]["task"]["input"].as_str().unwrap();
    assert!(
        input.starts_with("${(size(steps.walk.output) > 0) ? ") && input.ends_with(": steps.first.output}"),
        "{input}"
    );
}

#[test]
fn items_that_need_what_the_one_before_left_are_a_loop() {
    let (made, told) = spec(&each(&json!([5, 6, 7]), &json!({"n": "${ $n }", "sum": "${ .sum }"}), None));
    let repeated = &made["steps"][1]["loop"];
    assert_eq!((&repeated["until"], &repeated["maxIterations"]), (&json!("index >= 2"), &json!(3)));
    let sum = "${(index == 0) ? steps.first.output.sum : previous.sum}";
    assert_eq!(repeated["task"]["input"], json!({"n": "${[5, 6, 7][index]}", "sum": sum}));
    assert_eq!(
        (&made["steps"][1]["when"], &made["steps"][2]["task"]["input"]),
        (&Value::Null, &json!("${steps.walk.output}"))
    );
    assert!(!told.contains("one item after the other"), "{told}");
}

#[test]
fn a_condition_of_a_loop_is_asked_before_the_first_item_and_after_each() {
    let (made, told) = spec(&each(&json!("${ .list }"), &json!({"n": "${ $n }"}), Some("${ .more and $n < 9 }")));
    let (walk, list) = (&made["steps"][1], "steps.first.output.list");
    let first = walk["when"].as_str().unwrap();
    assert!(first.starts_with(&format!("(size({list}) > 0) && (")), "{first}");
    assert!(first.contains("steps.first.output.more") && first.contains(&format!("{list}[0] < 9")), "{first}");
    let until = walk["loop"]["until"].as_str().unwrap();
    assert!(until.starts_with(&format!("index + 1 >= size({list}) || !(")), "{until}");
    assert!(until.contains("output.more") && until.contains(&format!("{list}[index + 1] < 9")), "{until}");
    assert_eq!(walk["loop"]["maxIterations"], json!(1000));
    let after = made["steps"][2]["task"]["input"].as_str().unwrap();
    assert!(after.ends_with("? steps.walk.output : steps.first.output}"), "{after}");
    assert!(told.contains("a run whose list has more than 1000 items fails there"), "{told}");
}

#[rstest::rstest]
#[case(each(&json!([1, 2]), &json!({}), Some(".a | explode")), "do[1].walk.while: ends the loop by a condition that cannot be said in CEL", "write its opposite in until")]
#[case(each(&json!((0..1001).collect::<Vec<_>>()), &json!({}), Some(".a")), "do[1].walk.while: ends a loop early that has no item, or more than 1000", "let a Workflow do a part of the list")]
#[case(each(&json!((0..1001).collect::<Vec<_>>()), &json!({"a": "${ .a }"}), None), "do[1].walk.for: does one item after the other", "a loop has at most 1000 iterations")]
#[case(serverless(json!([{"walk": {"for": {"in": [1]}, "while": ".a", "do": [{"a": {"call": "b"}}, {"c": {"call": "d"}}]}}])), "do[0].walk.while: ends a loop of several tasks early", "a loop is of one task")]
#[case(serverless(json!([{"a": {"call": "b"}}, {"c": {"switch": [{"d": {"when": ".e", "then": "a"}}]}}])), "leads back to a task, which is a loop without a bound", "maxIterations")]
fn a_loop_that_cannot_be_carried_over_says_why_and_what_to_write(
    #[case] document: Value,
    #[case] why: &str,
    #[case] what: &str,
) {
    let (_, told) = spec(&document);
    assert!(told.lines().any(|line| line.contains(why) && line.contains(what)), "{told}");
}

#[test]
fn a_template_that_calls_itself_ends() {
    let document = argo(&json!({"entrypoint": "a", "templates": [{"name": "a", "steps": [
        [{"name": "again", "template": "a", "when": "true"}]]}]}));
    let told = told(&document);
    assert!(
        told.contains("calls \"a\" from within itself, which is a loop without a bound")
            && told.contains("capability: a"),
        "{told}"
    );
}
