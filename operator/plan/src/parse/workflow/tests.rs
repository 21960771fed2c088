//! Steps as they are read: what is refused, with its field and what to write instead.

use rstest::rstest;
use serde_json::{Value, json};
use tetrarch_core::workflow::definition::{Exhausted, Gather, Late, StepKind, Wait};

use super::definition;

fn workflow(step: &Value) -> tetrarch_crds::Workflow {
    serde_json::from_value(json!({
        "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow",
        "metadata": {"name": "w", "namespace": "n", "generation": 1},
        "spec": {"steps": [step]},
    }))
    .unwrap()
}

fn scatter(to: i32, gather: &Value) -> Value {
    json!({"name": "s", "scatter": {"to": to, "task": {"agent": {"capability": "c"}}, "gather": gather}})
}

#[rstest]
#[case::first(json!({"first": {}}), Gather::First)]
#[case::quorum(json!({"quorum": {"atLeast": 2}}), Gather::Quorum { at_least: 2, compare: None })]
#[case::best(
    json!({"best": {"score": "output.s", "compare": "output.v"}}),
    Gather::Best { score: "output.s".to_owned(), at_least: 1, compare: Some("output.v".to_owned()) }
)]
#[case::weighted(
    json!({"weighted": {"weight": "output.w", "atLeast": 3}}),
    Gather::Weighted { weight: "output.w".to_owned(), at_least: 3, compare: None }
)]
#[case::consensus(json!({"consensus": {"atLeast": 2}}), Gather::Consensus { at_least: 2, compare: None })]
fn ways_to_gather_are_read(#[case] written: Value, #[case] expected: Gather) {
    let read = definition(&workflow(&scatter(3, &written))).unwrap();
    let StepKind::Scatter(read) = &read.steps[0].kind else { panic!("{read:?}") };
    assert_eq!((read.to, &read.gather, read.late), (3, &expected, Late::Withdraw));
}

#[rstest]
#[case::no_way(
    scatter(3, &json!({})),
    "spec.steps[0].scatter.gather: needs one way to gather: write one of first, quorum, best, weighted or consensus"
)]
#[case::two_ways(
    scatter(3, &json!({"first": {}, "quorum": {"atLeast": 1}})),
    "spec.steps[0].scatter.gather: needs one way to gather: write one of first, quorum, best, weighted or consensus"
)]
#[case::too_many_targets(
    scatter(101, &json!({"first": {}})),
    "spec.steps[0].scatter.to: there are 101 targets: write 2 to 100; one target is a task"
)]
#[case::more_than_there_are(
    scatter(3, &json!({"quorum": {"atLeast": 4}})),
    "spec.steps[0].scatter.gather.quorum.atLeast: 4 of 3 answers can never be what is needed: write 1 to 3"
)]
#[case::no_kind(
    json!({"name": "s"}),
    "spec.steps[0]: has no kind: write one of task, map, parallel, pipeline, scatter, loop, wait, approval, workflow or auto"
)]
fn mistakes_are_told(#[case] step: Value, #[case] expected: &str) {
    let told: Vec<String> = definition(&workflow(&step)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told, [expected]);
}

#[test]
fn a_compensation_is_read_like_any_task() {
    let undone = json!({
        "name": "s", "task": {"agent": {"capability": "c"}},
        "compensate": {"agent": {"pool": "p"}, "timeout": "5s", "input": "${steps.s.output}"},
    });
    let mut object = workflow(&undone);
    object.spec.on_failure = tetrarch_crds::workflow::FailurePolicy::Compensate;
    let compensate = definition(&object).unwrap().steps[0].compensate.clone().unwrap();
    assert_eq!((compensate.timeout.as_secs(), compensate.input), (5, json!("${steps.s.output}")));
}

#[rstest]
#[case::never_called(
    json!({"name": "s", "task": {"agent": {"capability": "c"}}, "compensate": {"agent": {"capability": "c"}}}),
    "spec.steps[0].compensate: nothing ever calls it: write spec.onFailure: Compensate, or remove it"
)]
#[case::no_agent(
    json!({"name": "s", "task": {"agent": {"capability": "c"}}, "compensate": {"agent": {}}}),
    "spec.steps[0].compensate.agent: needs one selector: write either pool (an AgentPool by name) or capability (any pool that has it)"
)]
fn mistakes_of_compensations_are_told(#[case] step: Value, #[case] expected: &str) {
    let told: Vec<String> = definition(&workflow(&step)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told, [expected]);
}

#[rstest]
#[case::for_a_while(json!({"duration": "90s"}), Ok(Wait::For(std::time::Duration::from_secs(90))))]
#[case::until_a_moment(json!({"until": "2026-11-21T17:00:00Z"}), Ok(Wait::Until(json!("2026-11-21T17:00:00Z"))))]
#[case::no_end(json!({}), Err("spec.steps[0].wait: needs one end: write either duration, such as 10m, or until, a moment"))]
#[case::no_duration(
    json!({"duration": "long"}),
    Err("spec.steps[0].wait.duration: \"long\" is not a duration: write a number with a unit ms, s, m or h, such as 30s, 5m or 1h30m")
)]
fn waits_are_read(#[case] written: Value, #[case] expected: Result<Wait, &str>) {
    let read = definition(&workflow(&json!({"name": "s", "wait": written})));
    match (read, expected) {
        (Ok(read), Ok(expected)) => assert_eq!(read.steps[0].kind, StepKind::Wait(expected)),
        (Err(told), Err(expected)) => assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]),
        (read, expected) => panic!("{read:?} instead of {expected:?}"),
    }
}

#[test]
fn a_run_of_another_workflow_is_not_repeated_unless_it_says_so() {
    let read = |retry: Value| {
        let mut called = json!({"name": "other", "parameters": {"text": "${params}"}});
        if !retry.is_null() {
            called["retry"] = retry;
        }
        let definition = definition(&workflow(&json!({"name": "s", "workflow": called}))).unwrap();
        let StepKind::Workflow(called) = definition.steps[0].kind.clone() else { panic!("{definition:?}") };
        (called.name.to_string(), called.parameters["text"].clone(), called.retry.limit)
    };
    assert_eq!(read(Value::Null), ("other".to_owned(), json!("${params}"), 0));
    assert_eq!(read(json!({"limit": 2})).2, 2);
    assert_eq!(read(json!({})).2, 3, "as any retry that is written");
}

#[rstest]
#[case::itself(
    json!({"name": "w"}),
    "spec.steps[0].workflow.name: a Workflow cannot begin runs of itself, they would never end: write the name of another Workflow of the same Supervisor"
)]
#[case::no_name(json!({"name": "No Name"}), "spec.steps[0].workflow.name: \"No Name\" holds 'N': use lower-case letters, digits and -")]
#[case::no_expression(
    json!({"name": "other", "parameters": {"a": "${params.missing}"}}),
    "spec.steps[0].workflow.parameters.a: there is no parameter \"missing\": add it to spec.parameters, or correct the name"
)]
#[case::backoff(
    json!({"name": "other", "retry": {"backoff": {"initial": "1m", "max": "1s"}}}),
    "spec.steps[0].workflow.retry.backoff.initial: is 1m, longer than max, 1s: write an initial that is at most max"
)]
fn mistakes_of_runs_of_other_workflows_are_told(#[case] called: Value, #[case] expected: &str) {
    let step = json!({"name": "s", "workflow": called});
    let told: Vec<String> = definition(&workflow(&step)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told, [expected]);
}

#[rstest]
#[case::left_out(json!({}), Ok(None))]
#[case::at_once(json!({"keepOutputsFor": "0s"}), Ok(Some(0)))]
#[case::as_long_as_the_run(json!({"keepRunsFor": "24h", "keepOutputsFor": "24h"}), Ok(Some(86_400)))]
#[case::without_a_bound_of_the_run(json!({"keepOutputsFor": "720h"}), Ok(Some(2_592_000)))]
#[case::longer_than_the_run(
    json!({"keepRunsFor": "24h", "keepOutputsFor": "25h"}),
    Err("spec.keepOutputsFor: \"25h\" is longer than spec.keepRunsFor, with which the outputs go as well: write at most 24h, or keep the runs longer")
)]
#[case::too_long(
    json!({"keepOutputsFor": "721h"}),
    Err("spec.keepOutputsFor: \"721h\" is out of range: write a duration from 0s to 720h")
)]
fn outputs_are_kept_no_longer_than_their_run(#[case] written: Value, #[case] expected: Result<Option<u64>, &str>) {
    let mut spec = json!({"steps": [{"name": "s", "task": {"agent": {"capability": "c"}}}]});
    spec.as_object_mut().unwrap().extend(written.as_object().cloned().unwrap());
    let mut made = workflow(&json!({"name": "s"}));
    made.spec = serde_json::from_value(spec).unwrap();
    let read = definition(&made).map(|read| read.keep_outputs_for.map(|keep| keep.as_secs()));
    let read = read.map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    assert_eq!(read, expected.map_err(str::to_owned));
}

#[test]
fn a_loop_is_read_with_its_defaults() {
    let of = |extra: Value| {
        let mut written = json!({"task": {"agent": {"capability": "c"}}, "until": "output.done"});
        written.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        let read = definition(&workflow(&json!({"name": "s", "loop": written}))).unwrap();
        let StepKind::Loop(read) = &read.steps[0].kind else { panic!("{read:?}") };
        (read.max_iterations, read.interval.as_secs(), read.on_exhausted)
    };
    assert_eq!(of(json!({})), (10, 0, Exhausted::Fail));
    assert_eq!(
        of(json!({"maxIterations": 3, "interval": "5s", "onExhausted": "Continue"})),
        (3, 5, Exhausted::Continue)
    );
}

#[test]
fn the_selector_of_a_loop_is_known_to_policies() {
    let read = super::selectors(&workflow(
        &json!({"name": "s", "loop": {"task": {"agent": {"capability": "c"}}, "until": "true"}}),
    ));
    assert_eq!(read[0].0, "spec.steps[0].loop.task.agent.capability");
}

fn gated(gate: &Value) -> tetrarch_crds::Workflow {
    let task = json!({"agent": {"capability": "c"}, "input": {"text": "${params.text}"}});
    let mut made = workflow(&json!({"name": "s", "task": task, "gate": gate}));
    made.spec = serde_json::from_value(json!({
        "steps": made.spec.steps, "parameters": [{"name": "text", "value": "hello"}],
        "schemas": [{"name": "text", "version": "1", "schema": {"type": "object"}}, {"name": "text", "version": "2", "schema": {"type": "string"}}],
    }))
    .unwrap();
    made
}

#[test]
fn a_gate_gets_the_version_of_a_schema_that_it_names() {
    let read = definition(&gated(&json!({"schemaRef": {"name": "text", "version": "2"}}))).unwrap();
    let gate = read.steps[0].gate.as_ref().unwrap();
    assert_eq!((&gate.schema, gate.schema_name.as_deref()), (&Some(json!({"type": "string"})), Some("text 2")));
}

#[test]
fn judges_and_fallbacks_are_read_with_their_defaults_and_are_known_to_policies() {
    let task = json!({"agent": {"capability": "other"}});
    let gate = json!({"judge": {"task": task}, "onFailure": "Fallback", "fallback": task});
    let read = definition(&gated(&gate)).unwrap();
    let gate_read = read.steps[0].gate.as_ref().unwrap();
    let judge = gate_read.judge.as_ref().unwrap();
    assert_eq!((judge.at_least, &judge.task.input), (80, &json!({"output": "${output}"})));
    assert_eq!(gate_read.fallback.as_ref().unwrap().input, json!({"text": "${params.text}"}));
    let fields: Vec<String> = super::selectors(&gated(&gate)).into_iter().map(|(field, _)| field).collect();
    let of_gate = ["judge.task", "fallback"].map(|field| format!("spec.steps[0].gate.{field}.agent.capability"));
    assert_eq!(fields[1..], of_gate);
}

#[rstest]
#[case::of_a_map(json!({"itemsFrom": {"step": "a"}}), Ok("a"))]
#[case::of_nobody(json!({"itemsFrom": {"step": "x"}}), Err("spec.steps[1].map.itemsFrom.step: there is no step \"x\""))]
#[case::of_no_name(json!({"itemsFrom": {"step": "A b"}}), Err("spec.steps[1].map.itemsFrom.step: "))]
#[case::as_well(json!({"items": [1], "itemsFrom": {"step": "a"}}), Err("spec.steps[1].map.itemsFrom: the items are written in items already"))]
#[case::of_nothing(json!({}), Err("spec.steps[1].map.items: there are no items"))]
#[case::null(json!({"items": null}), Err("spec.steps[1].map.items: there are no items"))]
fn items_may_come_from_a_step(#[case] items: Value, #[case] expected: Result<&str, &str>) {
    let task = json!({"agent": {"capability": "c"}});
    let mut map = items;
    map["task"] = task.clone();
    let mut object = workflow(&json!({"name": "a", "map": {"items": [1], "task": task}}));
    object.spec.steps.push(serde_json::from_value(json!({"name": "b", "map": map})).unwrap());
    match (definition(&object), expected) {
        (Ok(read), Ok(expected)) => assert_eq!(read.steps[1].streams_from().unwrap().as_str(), expected),
        (Err(told), Err(expected)) => assert!(told[0].to_string().starts_with(expected), "{told:?}"),
        (read, expected) => panic!("{read:?} instead of {expected:?}"),
    }
}

#[rstest]
#[case::collected(json!({"items": "${item}"}), Ok("Collect"))]
#[case::summed(json!({"items": [1], "reduce": {"builtin": "Sum"}}), Ok("Sum"))]
#[case::by_an_agent(json!({"items": [1], "reduce": {"task": {"agent": {"capability": "c"}}}}), Err("spec.steps[0].map.nested.reduce.task: agents do not reduce"))]
#[case::by_two(json!({"items": [1], "reduce": {"builtin": "Sum", "expression": "1"}}), Err("spec.steps[0].map.nested.reduce: needs one reducer"))]
#[case::no_list(json!({"items": 7}), Err("spec.steps[0].map.nested.items: this is no list"))]
fn nested_maps_are_read(#[case] nested: Value, #[case] expected: Result<&str, &str>) {
    let step = json!({"name": "s", "map": {"items": [1], "nested": nested, "task": {"agent": {"capability": "c"}}}});
    match (definition(&workflow(&step)), expected) {
        (Ok(read), Ok(expected)) => {
            let StepKind::Map(read) = &read.steps[0].kind else { panic!("{read:?}") };
            assert_eq!(format!("{:?}", read.nested.as_ref().unwrap().reduce), expected);
        }
        (Err(told), Err(expected)) => assert!(told[0].to_string().starts_with(expected), "{told:?}"),
        (read, expected) => panic!("{read:?} instead of {expected:?}"),
    }
}

#[rstest]
#[case::tree(json!({"task": {"agent": {"capability": "c"}}, "fanIn": 10}), Ok("Tree"))]
#[case::expression(json!({"expression": "results.size()"}), Ok("Expression"))]
#[case::fan_in_of_nothing(json!({"builtin": "Sum", "fanIn": 10}), Err("spec.steps[0].map.reduce: needs one reducer"))]
#[case::two(json!({"builtin": "Sum", "expression": "1"}), Err("spec.steps[0].map.reduce: needs one reducer"))]
fn reducers_are_read(#[case] reduce: Value, #[case] expected: Result<&str, &str>) {
    let step = json!({"name": "s", "map": {"items": [1], "task": {"agent": {"capability": "c"}}, "reduce": reduce}});
    match (definition(&workflow(&step)), expected) {
        (Ok(read), Ok(expected)) => {
            let StepKind::Map(read) = &read.steps[0].kind else { panic!("{read:?}") };
            assert!(format!("{:?}", read.reduce).starts_with(expected), "{:?}", read.reduce);
        }
        (Err(told), Err(expected)) => assert!(told[0].to_string().starts_with(expected), "{told:?}"),
        (read, expected) => panic!("{read:?} instead of {expected:?}"),
    }
}

#[test]
fn a_text_that_becomes_a_plan_is_read_with_its_defaults() {
    let written = json!({"text": "do it", "capabilities": ["c"], "planner": {"agent": {"pool": "p"}}});
    let object = workflow(&json!({"name": "s", "auto": written}));
    let read = definition(&object).unwrap();
    let StepKind::Auto(auto) = &read.steps[0].kind else { panic!("{read:?}") };
    assert_eq!((auto.max_steps, auto.max_parallel, auto.task_timeout.as_secs(), auto.retry.limit), (16, 10, 60, 3));
    let planner = auto.planner.as_ref().unwrap();
    assert_eq!((&planner.input, planner.timeout.as_secs()), (&Value::Null, 60));
    let asked: Vec<String> = super::selectors(&object).into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["spec.steps[0].auto.capabilities[0]", "spec.steps[0].auto.planner.agent.pool"]);
}
