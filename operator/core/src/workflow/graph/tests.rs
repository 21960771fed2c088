//! Tests of validation: one row for each mistake, with its field, what is wrong and what to write instead.

use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::workflow::{
    definition::{FailurePolicy, GateFailure, Gather, Late, MapStep, Reduce, Step, StepKind, Wait},
    samples::{
        approval, branch, definition, holds, judged, map, map_step, nested, once, repeated, scatter, stage, step,
        streamed, task_step,
    },
};

fn told(steps: Vec<Step>) -> Vec<String> {
    validate(&definition(steps)).iter().map(ToString::to_string).collect()
}

fn with_input(of: &str, after: &[&str], input: Value) -> Step {
    step(of, after, StepKind::Task(once(input)))
}

fn when(mut step: Step, condition: &str) -> Step {
    step.when = Some(condition.to_owned());
    step
}

#[test]
fn a_good_definition_has_no_violation() {
    let mut good = definition(vec![
        task_step("a", &[]),
        map_step("b", &["a"], map(json!("${steps.a.output}"), Reduce::Task(once(json!("${results}"))))),
        step("c", &["a"], StepKind::Parallel(vec![branch("x", vec![stage("s", json!("${previous} ${params.p}"))])])),
        when(
            step("d", &["b", "c"], StepKind::Pipeline(vec![stage("s", json!(1)), stage("t", json!("${previous}"))])),
            "steps.a.output == 1",
        ),
    ]);
    good.parameters.insert("p".to_owned(), None);
    good.output = Some(json!({"all": "${steps.d.output}", "id": "${run.id}"}));
    assert_eq!(validate(&good), []);
}

#[rstest]
#[case::no_steps(vec![], "spec.steps: the list is empty: write at least one step")]
#[case::same_name(
    vec![task_step("a", &[]), task_step("a", &[])],
    "spec.steps[1].name: \"a\" is already the name of spec.steps[0]: write another name"
)]
#[case::unknown_step(
    vec![task_step("a", &[]), task_step("b", &["c"])],
    "spec.steps[1].after[0]: there is no step \"c\": write one of a, b"
)]
#[case::named_twice(
    vec![task_step("a", &[]), task_step("b", &["a", "a"])],
    "spec.steps[1].after[1]: \"a\" stands here twice: write it once"
)]
#[case::waits_for_itself(
    vec![task_step("a", &["a"])],
    "spec.steps[0].after[0]: steps wait for each other in a cycle: a -> a: remove one of these from the `after` of the next"
)]
#[case::cycle(
    vec![task_step("a", &["c"]), task_step("b", &["a"]), task_step("c", &["b"])],
    "spec.steps[1].after[0]: steps wait for each other in a cycle: b -> c -> a -> b: remove one of these from the `after` of the next"
)]
#[case::bad_condition(
    vec![when(task_step("a", &[]), "1 +")],
    "spec.steps[0].when: invalid CEL at column 4: mismatched input the end of the text: write a CEL condition"
)]
#[case::template_as_condition(
    vec![when(task_step("a", &[]), "${true}")],
    "write a CEL condition without ${}"
)]
#[case::bad_expression_in_an_input(
    vec![with_input("a", &[], json!({"x": ["${nope}"]}))],
    "spec.steps[0].task.input.x[0]: unknown variable \"nope\": write one of params"
)]
#[case::unclosed(
    vec![with_input("a", &[], json!("${params.x"))],
    "spec.steps[0].task.input: \"${\" without its \"}\""
)]
#[case::reads_an_unknown_step(
    vec![with_input("a", &[], json!("${steps.x.output}"))],
    "spec.steps[0].task.input: there is no step \"x\": write steps.<name> with one of a"
)]
#[case::reads_a_step_that_it_does_not_wait_for(
    vec![task_step("a", &[]), task_step("b", &[]), with_input("c", &["b"], json!("${steps['a'].output}"))],
    "spec.steps[2].task.input: it reads the output of step \"a\" without waiting for it: add \"a\" to spec.steps[2].after"
)]
#[case::reads_itself(
    vec![when(task_step("a", &[]), "steps.a.output == 1")],
    "spec.steps[0].when: it reads the output of step \"a\" without waiting for it"
)]
#[case::reads_an_unknown_parameter(
    vec![with_input("a", &[], json!("${params.x}"))],
    "spec.steps[0].task.input: there is no parameter \"x\": add it to spec.parameters"
)]
#[case::item_outside_of_a_map(
    vec![with_input("a", &[], json!("${item}"))],
    "spec.steps[0].task.input: \"item\" has a value only in the task of a map: write one of params, steps, run"
)]
#[case::previous_outside_of_stages(
    vec![map_step("a", &[], map(json!("${previous}"), Reduce::Collect))],
    "spec.steps[0].map.items: \"previous\" has a value only in the stages of a pipeline or a branch"
)]
#[case::results_in_the_task_of_a_map(
    vec![map_step("a", &[], map(json!([]), Reduce::Task(once(json!("${item}")))))],
    "spec.steps[0].map.reduce.task.input: \"item\" has a value only in the task of a map: write one of params, steps, run, results"
)]
#[case::items_is_no_list(
    vec![map_step("a", &[], map(json!(3), Reduce::Collect))],
    "spec.steps[0].map.items: this is no list: write a list, ${…} with an expression that yields one, or {from, to, step}"
)]
#[case::items_is_a_text(
    vec![map_step("a", &[], map(json!("params.list"), Reduce::Collect))],
    "spec.steps[0].map.items: this is a text: write ${…} around an expression that yields a list"
)]
#[case::no_branches(
    vec![step("a", &[], StepKind::Parallel(vec![]))],
    "spec.steps[0].parallel.branches: the list is empty: write at least one branch"
)]
#[case::no_stages_in_a_branch(
    vec![step("a", &[], StepKind::Parallel(vec![branch("x", vec![])]))],
    "spec.steps[0].parallel.branches[0].stages: the list is empty: write at least one stage"
)]
#[case::same_branch(
    vec![step("a", &[], StepKind::Parallel(vec![branch("x", vec![stage("s", json!(1))]), branch("x", vec![stage("s", json!(1))])]))],
    "spec.steps[0].parallel.branches[1].name: \"x\" is already the name of spec.steps[0].parallel.branches[0]"
)]
#[case::same_stage(
    vec![step("a", &[], StepKind::Pipeline(vec![stage("s", json!(1)), stage("s", json!(1))]))],
    "spec.steps[0].pipeline.stages[1].name: \"s\" is already the name"
)]
#[case::too_many_stages(
    vec![step("a", &[], StepKind::Pipeline((0..65).map(|i| stage(&format!("s{i}"), json!(1))).collect()))],
    "spec.steps[0].pipeline.stages: there are 65 entries: write at most 64"
)]
#[case::one_target(
    vec![step("a", &[], scatter(1, Gather::First, Late::Withdraw))],
    "spec.steps[0].scatter.to: there are 1 targets: write 2 to 100; one target is a task"
)]
#[case::quorum_beyond_the_targets(
    vec![step("a", &[], scatter(2, Gather::Quorum { at_least: 3, compare: None }, Late::Withdraw))],
    "spec.steps[0].scatter.gather.quorum.atLeast: 3 of 2 answers can never be what is needed: write 1 to 2"
)]
#[case::consensus_of_one(
    vec![step("a", &[], scatter(3, Gather::Consensus { at_least: 1, compare: None }, Late::Withdraw))],
    "spec.steps[0].scatter.gather.consensus.atLeast: 1 of 3 answers can never be what is needed: write 2 to 3"
)]
#[case::score_is_no_cel(
    vec![step("a", &[], scatter(2, Gather::Best { score: "output.".to_owned(), at_least: 1, compare: None }, Late::Withdraw))],
    "spec.steps[0].scatter.gather.best.score: invalid CEL"
)]
#[case::gathering_reads_an_item(
    vec![step("a", &[], scatter(2, Gather::Quorum { at_least: 1, compare: Some("item".to_owned()) }, Late::Withdraw))],
    "spec.steps[0].scatter.gather.quorum.compare: \"item\" has a value only in the task of a map: write one of params, steps, run, output, index"
)]
#[case::output_outside_of_a_gathering(
    vec![with_input("a", &[], json!("${output}"))],
    "spec.steps[0].task.input: \"output\" has a value only in the gathering of a scatter"
)]
#[case::too_many_steps(
    (0..257).map(|i| task_step(&format!("s{i}"), &[])).collect(),
    "spec.steps: there are 257 steps: write at most "
)]
#[case::too_large(
    vec![with_input("a", &[], json!("x".repeat(600_000)))],
    "as JSON: write at most 524288"
)]
fn mistakes_are_told(#[case] steps: Vec<Step>, #[case] expected: &str) {
    let told = told(steps);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains(expected), "{}", told[0]);
}

#[test]
fn numbers_that_cannot_work_are_told() {
    let mut bad = map(json!([]), Reduce::Collect);
    bad.max_parallel = 0;
    bad.min_success_percent = 101;
    bad.task.timeout = Duration::ZERO;
    bad.task.retry.factor = 0;
    let mut step = map_step("a", &[], bad);
    step.timeout = Some(Duration::ZERO);
    let mut definition = definition(vec![step]);
    definition.timeout = Some(Duration::ZERO);
    let violations = validate(&definition);
    let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.timeout",
            "spec.steps[0].timeout",
            "spec.steps[0].map.maxParallel",
            "spec.steps[0].map.minSuccessPercent",
            "spec.steps[0].map.task.timeout",
            "spec.steps[0].map.task.retry.backoff.factor",
        ]
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = told(vec![
        when(with_input("a", &["b"], json!({"p": "${steps.z.output}", "q": "${1 +}", "r": "${item}"})), "nope"),
        task_step("b", &["a", "q"]),
    ]);
    assert_eq!(told.len(), 6, "{told:#?}");
}

proptest! {
    /// A definition without violations can be put into an order in which every step comes after those it waits for.
    #[test]
    fn what_is_valid_can_be_ordered(edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
        let mut steps: Vec<Step> = (0..8).map(|i| task_step(&format!("s{i}"), &[])).collect();
        for (from, to) in edges {
            let before = steps[from].name.clone();
            if !steps[to].after.contains(&before) {
                steps[to].after.push(before);
            }
        }
        let mut ordered: Vec<&Step> = Vec::new();
        while let Some(next) = steps.iter().find(|step| {
            !ordered.contains(step) && step.after.iter().all(|before| ordered.iter().any(|o| o.name == *before))
        }) {
            ordered.push(next);
        }
        prop_assert_eq!(validate(&definition(steps.clone())).is_empty(), ordered.len() == steps.len());
    }
}

fn undone(mut step: Step, input: Value) -> Step {
    step.compensate = Some(once(input));
    step
}

#[rstest]
#[case::never_called(
    FailurePolicy::Stop,
    vec![undone(task_step("a", &[]), json!(1))],
    "spec.steps[0].compensate: nothing ever calls it: write spec.onFailure: Compensate, or remove it"
)]
#[case::nothing_to_call(
    FailurePolicy::Compensate,
    vec![task_step("a", &[])],
    "spec.onFailure: no step says how it is undone: write compensate in the steps that have to be undone, or onFailure: Stop"
)]
#[case::undoes_many_tasks(
    FailurePolicy::Compensate,
    vec![undone(map_step("a", &[], map(json!([1]), Reduce::Collect)), json!(1))],
    "spec.steps[0].compensate: it undoes one task, and this step is none: split the step into tasks that can be undone one by one, or remove it"
)]
#[case::reads_what_may_not_have_run(
    FailurePolicy::Compensate,
    vec![undone(task_step("a", &[]), json!("${steps.b.output}")), task_step("b", &["a"])],
    "spec.steps[0].compensate.input: it reads the output of step \"b\" without waiting for it"
)]
fn a_compensation_that_cannot_work_is_refused(
    #[case] policy: FailurePolicy,
    #[case] steps: Vec<Step>,
    #[case] expected: &str,
) {
    let mut written = definition(steps);
    written.on_failure = policy;
    let told: Vec<String> = validate(&written).iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

#[test]
fn a_compensation_may_read_its_own_step() {
    let mut written = definition(vec![undone(task_step("a", &[]), json!("${steps.a.output}"))]);
    written.on_failure = FailurePolicy::Compensate;
    assert_eq!(validate(&written), []);
}

fn gate(mut step: Step, expression: &str, on_failure: GateFailure) -> Step {
    step.gate = Some(holds(expression, on_failure));
    step
}

#[rstest]
#[case::no_condition(gate(task_step("a", &[]), "1 +", GateFailure::Fail), "spec.steps[0].gate.expression: invalid CEL")]
#[case::reads_what_has_no_value(
    gate(task_step("a", &[]), "item > 1", GateFailure::Fail),
    "spec.steps[0].gate.expression: \"item\" has a value only in the task of a map: write one of params, steps, run, output"
)]
#[case::repeats_what_must_not_be_repeated(
    gate(task_step("a", &[]), "output > 1", GateFailure::Retry),
    "spec.steps[0].task.retry.limit: the gate retries what must not be repeated: write a limit of 1 or more, or gate.onFailure: Fail"
)]
#[case::repeats_many_tasks(
    gate(map_step("a", &[], map(json!([1]), Reduce::Collect)), "output > 1", GateFailure::Retry),
    "spec.steps[0].gate.onFailure: only one task can be repeated because of its output: write Fail, Continue or Escalate, or judge a step of kind task"
)]
#[case::a_verdict_without_a_gate(
    with_input("a", &[], json!("${verdict}")),
    "spec.steps[0].task.input: \"verdict\" has a value only in the task of a step whose gate retries"
)]
fn a_gate_that_cannot_work_is_refused(#[case] step: Step, #[case] expected: &str) {
    let told = told(vec![step]);
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

#[rstest]
#[case::written("2026-11-21T17:00:00Z", None)]
#[case::computed("${params.at}", Some("there is no parameter \"at\""))]
#[case::no_moment(
    "tomorrow",
    Some("spec.steps[0].wait.until: \"tomorrow\" is no moment: write one such as 2026-11-21T17:00:00Z")
)]
fn moments_are_checked_as_far_as_they_are_known(#[case] moment: &str, #[case] expected: Option<&str>) {
    let told = told(vec![step("a", &[], StepKind::Wait(Wait::Until(json!(moment))))]);
    match expected {
        None => assert!(told.is_empty(), "{told:?}"),
        Some(expected) => assert!(told.len() == 1 && told[0].contains(expected), "{told:?}"),
    }
}

fn asking(change: fn(&mut crate::workflow::approval::Approval)) -> Step {
    let mut asked = approval();
    change(&mut asked);
    step("a", &[], StepKind::Approval(asked))
}

fn escalating(escalation: Option<crate::workflow::approval::Approval>, on_failure: GateFailure) -> Step {
    let mut step = gate(task_step("a", &[]), "output > 1", on_failure);
    if let Some(gate) = &mut step.gate {
        gate.escalation = escalation;
    }
    step
}

#[rstest]
#[case::no_time(asking(|asked| asked.timeout = Duration::ZERO), "spec.steps[0].approval.timeout: nobody could decide in no time")]
#[case::reminder_after_the_end(
    asking(|asked| asked.reminders_ms = vec![10_000]),
    "spec.steps[0].approval.reminders[0]: it would come when the time is over: write one that is shorter than the timeout"
)]
#[case::reminders_without_order(
    asking(|asked| asked.reminders_ms = vec![2_000, 1_000]),
    "spec.steps[0].approval.reminders[1]: it is not later than the one before: write them in ascending order"
)]
#[case::asks_about_what_is_not_there(
    asking(|asked| asked.message = Some("${steps.b.output}".to_owned())),
    "spec.steps[0].approval.message: there is no step \"b\""
)]
#[case::asks_about_an_output_that_it_has_not(
    asking(|asked| asked.message = Some("${output}".to_owned())),
    "spec.steps[0].approval.message: \"output\" has a value only in"
)]
#[case::escalates_to_nobody(
    escalating(None, GateFailure::Escalate),
    "spec.steps[0].gate.escalation: it is not said who is asked"
)]
#[case::asks_and_never_escalates(
    escalating(Some(approval()), GateFailure::Fail),
    "spec.steps[0].gate.escalation: nobody is ever asked: write onFailure: Escalate, or remove it"
)]
fn a_question_that_cannot_work_is_refused(#[case] step: Step, #[case] expected: &str) {
    let told = told(vec![step]);
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

#[test]
fn the_question_of_an_escalation_may_read_the_output() {
    let mut asked = approval();
    asked.message = Some("${output} is too low".to_owned());
    assert_eq!(told(vec![escalating(Some(asked), GateFailure::Escalate)]), Vec::<String>::new());
}

#[rstest]
#[case::no_bound("true", 0, "spec.steps[0].loop.maxIterations: 0 iterations are no bound: write 1 to 1000")]
#[case::too_many("true", 1001, "spec.steps[0].loop.maxIterations: 1001 iterations are no bound: write 1 to 1000")]
#[case::no_condition("1 +", 3, "spec.steps[0].loop.until: invalid CEL")]
#[case::reads_what_has_no_value(
    "item > 1",
    3,
    "spec.steps[0].loop.until: \"item\" has a value only in the task of a map"
)]
fn a_loop_that_cannot_work_is_refused(#[case] until: &str, #[case] most: u32, #[case] expected: &str) {
    let told = told(vec![step("a", &[], StepKind::Loop(Box::new(repeated(json!("${previous}"), until, most))))]);
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

fn gate_with(kind: StepKind, change: impl Fn(&mut crate::workflow::definition::Gate)) -> Step {
    let mut made = step("a", &[], kind);
    let mut gate = holds("output > 1", GateFailure::Fail);
    change(&mut gate);
    made.gate = Some(gate);
    made
}

fn of_task() -> StepKind {
    StepKind::Task(once(json!(1)))
}

#[rstest]
#[case::asks_nothing(gate_with(of_task(), |gate| gate.expression = None), "spec.steps[0].gate: it asks for nothing: write schema, schemaRef, expression or judge")]
#[case::no_schema(gate_with(of_task(), |gate| gate.schema = Some(json!({"type": "text"}))), "spec.steps[0].gate.schema: this is no JSON Schema that can be used (at \"/type\")")]
#[case::schema_elsewhere(gate_with(of_task(), |gate| gate.schema = Some(json!({"$ref": "https://example.com/s"}))), "spec.steps[0].gate.schema: the reference \"https://example.com/s\" leaves the schema: write #/$defs/<name>")]
#[case::nothing_to_fall_back_to(gate_with(of_task(), |gate| gate.on_failure = GateFailure::Fallback), "spec.steps[0].gate.onFailure: there is nothing to fall back to: write gate.fallback")]
#[case::fallback_that_nothing_calls(gate_with(of_task(), |gate| gate.fallback = Some(Box::new(once(json!(1))))), "spec.steps[0].gate.fallback: nothing ever calls it")]
#[case::fallback_of_many_tasks(
    gate_with(map_step("a", &[], map(json!([1]), Reduce::Collect)).kind, |gate| {
        gate.on_failure = GateFailure::Fallback;
        gate.fallback = Some(Box::new(once(json!(1))));
    }),
    "spec.steps[0].gate.onFailure: only one task can be repeated because of its output"
)]
#[case::score_too_high(gate_with(of_task(), |gate| {
    *gate = judged(GateFailure::Fail);
    gate.judge.as_mut().unwrap().at_least = 101;
}), "spec.steps[0].gate.judge.atLeast: no output ever gets 101: write 0 to 100")]
#[case::judge_reads_what_has_no_value(gate_with(of_task(), |gate| {
    *gate = judged(GateFailure::Fail);
    gate.judge.as_mut().unwrap().task.input = json!("${item}");
}), "spec.steps[0].gate.judge.task.input: \"item\" has a value only in the task of a map")]
#[case::branch_of_the_judge(
    gate_with(StepKind::Parallel(vec![branch("judge", vec![stage("1", json!(1))])]), |gate| *gate = judged(GateFailure::Fail)),
    "spec.steps[0].gate.judge: a branch has the name of the judge's own tasks"
)]
#[case::judge_of_a_wait(
    gate_with(StepKind::Wait(Wait::For(Duration::from_secs(1))), |gate| *gate = judged(GateFailure::Fail)),
    "spec.steps[0].gate.judge: no agent makes an output here that could be judged"
)]
#[case::nothing_to_undo(
    gate_with(of_task(), |gate| gate.on_failure = GateFailure::Compensate),
    "spec.steps[0].gate.onFailure: no step says how it is undone: write compensate in the steps"
)]
fn a_gate_of_schema_judge_or_fallback_that_cannot_work_is_refused(#[case] step: Step, #[case] expected: &str) {
    let told = told(vec![step]);
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

#[test]
fn a_gate_does_not_undo_what_the_run_keeps() {
    let mut made = gate_with(of_task(), |gate| gate.on_failure = GateFailure::Compensate);
    made.compensate = Some(once(json!(1)));
    let mut definition = definition(vec![made]);
    definition.on_failure = FailurePolicy::Continue;
    let told: Vec<String> = validate(&definition).iter().map(ToString::to_string).collect();
    let expected = "spec.steps[0].gate.onFailure: spec.onFailure: Continue keeps what this gate would undo";
    assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    definition.on_failure = FailurePolicy::Stop;
    assert_eq!(validate(&definition), []);
}

#[rstest]
#[case::no_tree(map(json!([1]), Reduce::Tree { task: once(json!(1)), fan_in: 1 }), "spec.steps[0].map.reduce.fanIn: 1 outputs make no tree: write 2 to 1000")]
#[case::no_expression(map(json!([1]), Reduce::Expression("1 +".to_owned())), "spec.steps[0].map.reduce.expression: invalid CEL")]
#[case::reads_an_item(map(json!([1]), Reduce::Expression("item".to_owned())), "spec.steps[0].map.reduce.expression: \"item\" has a value only in the task of a map")]
#[case::no_end(map(json!({"from": 1}), Reduce::Collect), "spec.steps[0].map.items: a range needs \"to\"")]
#[case::never_ends(map(json!({"from": 1, "to": "${params.n}", "step": 0}), Reduce::Collect), "spec.steps[0].map.items: a range with the step 0 never ends")]
fn a_map_that_cannot_work_is_refused(#[case] written: MapStep, #[case] expected: &str) {
    let mut written = definition(vec![map_step("a", &[], written)]);
    written.parameters.insert("n".to_owned(), None);
    let told: Vec<String> = validate(&written).iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
}

/// A map `a`, a task `t`, a map `g` with a gate, and a step that streams.
fn streaming(of: Step) -> Vec<String> {
    let mut gated = map_step("g", &[], map(json!([]), Reduce::Collect));
    gated.gate = Some(holds("true", GateFailure::Fail));
    told(vec![map_step("a", &["t"], map(json!([]), Reduce::Collect)), task_step("t", &[]), gated, of])
}

#[rstest]
#[case::no_such_step(
    map_step("b", &[], streamed("x", Reduce::Collect)),
    "spec.steps[3].map.itemsFrom.step: there is no step \"x\": write one of a, g"
)]
#[case::itself(
    map_step("b", &[], streamed("b", Reduce::Collect)),
    "spec.steps[3].map.itemsFrom.step: a step cannot get its items from itself: write one of a, g"
)]
#[case::no_map(
    map_step("b", &[], streamed("t", Reduce::Collect)),
    "spec.steps[3].map.itemsFrom.step: step \"t\" is no map, so it has no items that could come one by one: name a map step, or write `after` and map.items with its output"
)]
#[case::gated(
    map_step("b", &[], streamed("g", Reduce::Collect)),
    "spec.steps[3].map.itemsFrom.step: the gate of step \"g\" looks at its output when all of its items are done: remove that gate, or write `after` and map.items here, so that this step waits for it"
)]
#[case::waits_for_it_as_well(
    map_step("b", &["t", "a"], streamed("a", Reduce::Collect)),
    "spec.steps[3].after[1]: step \"a\" has to end before this one, so nothing of it comes while it runs: remove it from `after`, for itemsFrom waits for its items, or write map.items instead"
)]
#[case::both(
    map_step("b", &[], MapStep { items: json!([1]), ..streamed("a", Reduce::Collect) }),
    "spec.steps[3].map.itemsFrom: the items are written in items already: remove it, or remove items"
)]
#[case::nested(
    map_step("b", &[], MapStep {
        items: Value::Null,
        items_from: Some("a".parse().unwrap()),
        ..nested(json!([1]), json!("${item}"), Reduce::Collect, Reduce::Collect)
    }),
    "spec.steps[3].map.nested: how many inner items there are has to be known when the step begins: write `after` and map.items instead of itemsFrom"
)]
#[case::neither(
    map_step("b", &[], map(Value::Null, Reduce::Collect)),
    "spec.steps[3].map.items: there are no items: write items with a list, or itemsFrom with the map step whose outputs are the items"
)]
#[case::condition_over_the_output(
    when(map_step("b", &[], streamed("a", Reduce::Collect)), "steps.a.output == []"),
    "spec.steps[3].when: it reads the output of step \"a\", which has not ended when this one begins: read `item`, or write map.items and `after` instead of map.itemsFrom"
)]
#[case::input_over_the_output(
    map_step("b", &[], MapStep { task: once(json!("${steps.a.output}")), ..streamed("a", Reduce::Collect) }),
    "spec.steps[3].map.task.input: it reads the output of step \"a\", which has not ended when this one begins"
)]
#[case::reduction_over_the_output(
    map_step("b", &[], streamed("a", Reduce::Expression("steps.a.output".to_owned()))),
    "spec.steps[3].map.reduce.expression: it reads the output of step \"a\", which has not ended when this one begins"
)]
fn streams_that_cannot_be_are_told(#[case] of: Step, #[case] expected: &str) {
    let told = streaming(of);
    assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
}

#[test]
fn maps_that_stream_from_each_other_are_a_cycle() {
    let stream = |of, after: &[&str], from| map_step(of, after, streamed(from, Reduce::Collect));
    let expected = "spec.steps[1].map.itemsFrom.step: steps wait for each other in a cycle: b -> a -> b: name another step, or remove one of these from the `after` of the next";
    assert_eq!(told(vec![stream("a", &[], "b"), stream("b", &[], "a")]), [expected]);
    let expected = "spec.steps[1].after[0]: steps wait for each other in a cycle: b -> a -> b: remove one of these from the `after` of the next";
    assert_eq!(told(vec![stream("a", &[], "b"), map_step("b", &["a"], map(json!([]), Reduce::Collect))]), [expected]);
}

#[test]
fn a_map_that_streams_reads_what_the_other_one_waited_for() {
    let mut of = streamed("a", Reduce::Collect);
    of.task = once(json!("${item} ${steps.t.output}"));
    let mut steps = vec![task_step("t", &[]), map_step("a", &["t"], map(json!([]), Reduce::Collect))];
    steps.extend([map_step("b", &[], of), with_input("c", &["b", "a"], json!("${steps.a.output}"))]);
    assert_eq!(told(steps.clone()), [""; 0]);
    // A condition may skip the one that streams while the other one runs.
    steps[3].after.pop();
    assert_eq!(told(steps).len(), 1);
}

#[rstest]
#[case::good(nested(json!([1]), json!("${[item, index]}"), Reduce::Expression("[outer, results]".to_owned()), Reduce::Sum), "")]
#[case::no_list(
    nested(json!([1]), json!("text"), Reduce::Collect, Reduce::Collect),
    "spec.steps[0].map.nested.items: this is a text: write ${…} around an expression that yields a list"
)]
#[case::nothing(
    nested(json!([1]), Value::Null, Reduce::Collect, Reduce::Collect),
    "spec.steps[0].map.nested.items: this is no list"
)]
#[case::no_range(
    nested(json!([1]), json!({"from": "${item}"}), Reduce::Collect, Reduce::Collect),
    "spec.steps[0].map.nested.items: a range needs \"to\""
)]
#[case::outer_of_itself(
    nested(json!([1]), json!("${outer}"), Reduce::Collect, Reduce::Collect),
    "spec.steps[0].map.nested.items: \"outer\" has a value only in a map with nested: write one of params, steps, run, item, index"
)]
#[case::agents_reduce_it(
    nested(json!([[1]]), json!("${item}"), Reduce::Task(once(json!("${results}"))), Reduce::Collect),
    "spec.steps[0].map.nested.reduce.task: agents do not reduce what one outer item comes to: write builtin or expression here and the task in map.reduce, or a step of kind workflow for each outer item"
)]
#[case::a_tree_reduces_it(
    nested(json!([[1]]), json!("${item}"), Reduce::Tree { task: once(json!("${results}")), fan_in: 2 }, Reduce::Collect),
    "spec.steps[0].map.nested.reduce.task: agents do not reduce what one outer item comes to"
)]
#[case::item_in_the_reduction(
    nested(json!([[1]]), json!("${item}"), Reduce::Expression("item".to_owned()), Reduce::Collect),
    "spec.steps[0].map.nested.reduce.expression: \"item\" has a value only in the task of a map"
)]
#[case::outer_without_nested(
    MapStep { task: once(json!("${outer}")), ..map(json!([1]), Reduce::Collect) },
    "spec.steps[0].map.task.input: \"outer\" has a value only in a map with nested"
)]
fn nested_maps_that_cannot_work_are_refused(#[case] written: MapStep, #[case] expected: &str) {
    let told = told(vec![map_step("a", &[], written)]);
    assert!(told.len() == usize::from(!expected.is_empty()), "{told:?}");
    assert!(told.iter().all(|told| told.starts_with(expected)), "{told:?}");
}
