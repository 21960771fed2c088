//! Plans by rules and by planners: what is asked for, within the limits, or a reason. How texts are read is tested where they are.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::workflow::{
    definition::{Definition, FailurePolicy, Retry},
    graph,
    samples::{name, task_step},
};

fn auto() -> AutoStep {
    AutoStep {
        text: "${params.text}".to_owned(),
        inputs: Map::new(),
        capabilities: ["research", "review", "report", "booking", "cancel-booking"].map(name).to_vec(),
        planner: None,
        approval: None,
        max_steps: 8,
        max_parallel: 5,
        task_timeout: Duration::from_mins(1),
        retry: Retry { limit: 3, initial: Duration::from_secs(1), factor: 2, max: Duration::from_secs(30) },
    }
}

fn parent() -> Definition {
    crate::workflow::samples::definition(vec![task_step("a", &[])])
}

fn everything() -> Known {
    Known { capabilities: auto().capabilities, past: Vec::new() }
}

fn inputs() -> BTreeMap<String, Value> {
    BTreeMap::from([("files".to_owned(), json!(["a", "b"])), ("tone".to_owned(), json!("dry"))])
}

fn with_inputs(step: AutoStep) -> AutoStep {
    AutoStep { inputs: inputs().into_iter().collect(), ..step }
}

fn planned_with(step: AutoStep, text: &str, known: &Known) -> Result<Planned, String> {
    let step = with_inputs(step);
    let made = plan(&Request { step: &step, text, inputs: &inputs(), known })?;
    assert_eq!(graph::validate(&definition(&made, &step, &parent())), [], "{text:?}");
    Ok(made)
}

fn planned(text: &str) -> Planned {
    planned_with(auto(), text, &everything()).unwrap()
}

/// Such as `research report<research`.
fn told(planned: &Planned) -> String {
    let steps = planned.steps.iter().map(|step| {
        let after: Vec<&str> = step.after.iter().map(Name::as_str).collect();
        let after = if after.is_empty() { String::new() } else { format!("<{}", after.join("+")) };
        let kind = match (&step.for_each, step.votes) {
            (Some(List::Input(list)), _) => format!("*{list}"),
            (Some(List::Step(list)), _) => format!("*steps.{list}"),
            (None, Some(votes)) => format!("*{votes}"),
            (None, None) => String::new(),
        };
        format!("{}{kind}{after}", step.name)
    });
    format!("{planned}: {}", steps.collect::<Vec<_>>().join(" "))
}

#[rstest]
#[case::task("Research the market.", "Atomic work, Task of 1 step: research")]
#[case::pipeline(
    "Research the market, then write a report.",
    "Simple work, Pipeline of 2 steps on 2 levels: research report<research"
)]
#[case::fork("- research the market\n- review the law", "Simple work, ForkJoin of 2 steps on 1 level: research review")]
#[case::map("Review each of the files.", "Simple work, MapReduce of 1 step: review*files")]
#[case::maps(
    "Review each of the files, then report on each result.",
    "Simple work, Dag of 2 steps on 2 levels: review*files report*steps.review<review"
)]
#[case::scatter("Review the law independently by four agents.", "Moderate work, ScatterGather of 1 step: review*4")]
#[case::saga(
    "Book the flight, then review the plan.",
    "Simple work, Saga of 2 steps on 2 levels: booking review<booking"
)]
fn a_text_becomes_a_plan(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(told(&planned(text)), expected);
}

#[test]
fn what_changes_the_world_is_undone_by_the_definition_of_the_plan() {
    let made = definition(&planned("Book the flight, then review the plan."), &auto(), &parent());
    assert_eq!(made.on_failure, FailurePolicy::Compensate);
    let undo = made.steps[0].compensate.clone().unwrap();
    assert_eq!(undo.agent, crate::workflow::definition::AgentSelector::Capability(name("cancel-booking")));
}

#[rstest]
#[case::nothing("", "auto.text: the goal is empty")]
#[case::nobody("Paint the fence.", "auto.text: no capability fits \"Paint the fence\"")]
#[case::too_many_steps("1. review a\n2. review b\n3. review c", "the plan has 3 steps, and auto.maxSteps allows 2")]
#[case::too_many_votes("Review it by a vote of nine.", "the plan asks 9 agents at once, and auto.maxParallel allows 5")]
fn what_cannot_be_planned_has_a_reason(#[case] text: &str, #[case] expected: &str) {
    let found = planned_with(AutoStep { max_steps: 2, ..auto() }, text, &everything()).unwrap_err();
    assert!(found.contains(expected), "{found}");
}

#[test]
fn a_text_that_is_too_long_is_no_plan() {
    let found = planned_with(auto(), &"a ".repeat(MAX_TEXT), &everything()).unwrap_err();
    assert!(found.contains("give at most 65536"), "{found}");
}

#[test]
fn a_capability_that_no_pool_has_is_not_used_unless_no_pool_has_any() {
    let known = Known { capabilities: vec![name("report")], past: Vec::new() };
    let found = planned_with(auto(), "Review the law.", &known).unwrap_err();
    assert!(found.contains("there are: report"), "{found}");
    assert_eq!(planned_with(auto(), "Review the law.", &Known::default()).unwrap().steps[0].capability, name("review"));
}

#[test]
fn what_looks_like_an_expression_in_a_text_is_none() {
    let made = definition(&planned("Review ${run.id} and ${1/0}."), &auto(), &parent());
    let text = serde_json::to_string(&made).unwrap();
    assert!(!text.contains("1/0"), "{text}");
}

#[test]
fn experience_decides_between_side_by_side_and_one_after_the_other() {
    let mut known = everything();
    for run in 0..20 {
        Past::note(&mut known.past, (Pattern::ForkJoin, Complexity::Simple), run < 5, 10);
        Past::note(&mut known.past, (Pattern::Pipeline, Complexity::Simple), true, 50);
        Past::note(&mut known.past, (Pattern::Dag, Complexity::Simple), true, 1);
        Past::note(&mut known.past, (Pattern::Pipeline, Complexity::Complex), true, 50);
    }
    let made = planned_with(auto(), "- research the market\n- review the law", &known).unwrap();
    assert_eq!(told(&made), "Simple work, Pipeline of 2 steps on 2 levels: research review<research");
    assert!(
        made.reason.starts_with("20 of 20 runs of Simple work succeeded as Pipeline, and 5 of 20 as ForkJoin"),
        "{}",
        made.reason
    );
    assert_eq!(made.known.past.len(), 2, "what was known of this class stands in the plan");
}

fn replied(reply: &Value) -> Result<Planned, Vec<String>> {
    let (step, known, inputs) = (with_inputs(auto()), everything(), inputs());
    read_reply(reply, &Request { step: &step, text: "Read the files.", inputs: &inputs, known: &known }, &parent())
}

#[test]
fn the_reply_of_a_planner_is_a_plan() {
    let reply = json!({"reason": "files first", "steps": [
        {"name": "read", "capability": "research", "instruction": "Read it.", "forEach": "files"},
        {"name": "sum-up", "capability": "report", "instruction": "Sum it up.", "forEach": "read", "after": ["read"]},
        {"name": "doubt", "capability": "review", "instruction": "Is it so?", "after": ["sum-up"], "votes": 3},
        {"name": "book", "capability": "booking", "instruction": "Book.", "undoneBy": "cancel-booking"},
        {"name": "tell", "capability": "report", "instruction": "Tell.", "after": ["doubt", "book"]},
    ]});
    let made = replied(&reply).unwrap();
    assert_eq!(
        told(&made),
        "Moderate work, Saga of 5 steps on 4 levels: read*files sum-up*steps.read<read doubt*3<sum-up book tell<doubt+book"
    );
    assert!(made.reason.ends_with("the planner says: files first"), "{}", made.reason);
    assert_eq!(made.author, Author::Planner);
}

/// A good step with something else.
fn one(patch: &Value) -> Value {
    let mut step = json!({"name": "a", "capability": "review", "instruction": "x"});
    step.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    json!({"steps": [step]})
}

#[rstest]
#[case::text(json!("first this, then that"), "steps: is missing")]
#[case::empty(json!({"steps": []}), "there are 0: write 1 to 8")]
#[case::too_many(json!({"steps": vec![json!({}); 9]}), "there are 9: write 1 to 8")]
#[case::no_step(json!({"steps": [1]}), "steps[0]: is no object")]
#[case::no_name(one(&json!({"name": "A b"})), "steps[0].name: is no name")]
#[case::no_capability(one(&json!({"capability": "fly"})), "steps[0].capability: \"fly\" is none that this plan may use and a pool has: write one of research, review")]
#[case::no_instruction(one(&json!({"instruction": " "})), "steps[0].instruction: is missing")]
#[case::long_instruction(one(&json!({"instruction": "x".repeat(20_000)})), "steps[0].instruction: has 20000 bytes")]
#[case::unknown_field(one(&json!({"input": 1})), "steps[0].input: there is no such field")]
#[case::unknown_step(one(&json!({"after": ["b"]})), "steps[0].after[0]: \"b\" is no step before this one")]
#[case::itself(one(&json!({"after": ["a"]})), "steps[0].after[0]: \"a\" is no step before this one")]
#[case::no_order(one(&json!({"after": "b"})), "steps[0].after: is no list")]
#[case::twice(json!({"steps": [one(&json!({}))["steps"][0], one(&json!({}))["steps"][0]]}), "steps[1].name: \"a\" is the name of a step before")]
#[case::no_list(one(&json!({"forEach": "tone"})), "steps[0].forEach: \"tone\" is no list: write one of files")]
#[case::too_many_votes(one(&json!({"votes": 6})), "steps[0].votes: 6 agents cannot vote: write 2 to 5")]
#[case::both(one(&json!({"votes": 2, "forEach": "files"})), "has more than one of forEach, votes and undoneBy")]
#[case::no_undo(one(&json!({"undoneBy": "hope"})), "steps[0].undoneBy: \"hope\" is none")]
fn a_bad_reply_is_told_with_its_step_and_field(#[case] reply: Value, #[case] expected: &str) {
    let mistakes = replied(&reply).unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{mistakes:?}");
}

proptest! {
    /// Whatever is asked: a plan that passes the checks of a written definition and is within its limits, or a reason.
    #[test]
    fn every_text_gives_a_good_plan_or_a_reason(
        text in "([-*0-9.]{0,2} ?([a-zA-Zäß$]{1,9}|\\$\\{x\\}|and|then|each|files|it|,|\\.|;|\\[review\\]|vote|book|review|research|\n)[ \n]){0,30}",
        most in 1..20_u32,
        parallel in 1..12_u32,
    ) {
        let step = AutoStep { max_steps: most, max_parallel: parallel, ..auto() };
        match planned_with(step.clone(), &text, &everything()) {
            Ok(made) => {
                prop_assert!((1..=most as usize).contains(&made.steps.len()));
                prop_assert!(made.levels <= made.steps.len());
                prop_assert!(made.steps.iter().all(|of| of.votes.is_none_or(|votes| votes <= parallel)));
                prop_assert_eq!(planned_with(step, &text, &everything()), Ok(made));
            }
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn every_reply_is_read_or_refused_with_reasons(text in any::<String>(), number in any::<i64>(), deep in any::<bool>()) {
        let step = json!({"name": text, "capability": "review", "instruction": text, "after": [text], "votes": number, "forEach": text});
        let reply = if deep { json!({"steps": [step]}) } else { json!({"steps": step}) };
        prop_assert!(replied(&reply).is_err_and(|mistakes| !mistakes.is_empty()));
    }
}
