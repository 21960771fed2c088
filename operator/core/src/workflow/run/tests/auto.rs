//! Steps that decompose a text.

use super::*;
use crate::decompose::{Complexity, Past, Pattern};
use crate::workflow::{
    auto::{AutoStep, Known},
    definition::Retry,
};

fn auto() -> AutoStep {
    let Value::Object(inputs) = json!({"topics": "${params.topics}"}) else { unreachable!() };
    AutoStep {
        text: "${params.text}".to_owned(),
        inputs,
        capabilities: vec![name("research"), name("review"), name("report")],
        planner: None,
        approval: None,
        max_steps: 8,
        max_parallel: 4,
        task_timeout: Duration::from_mins(1),
        retry: Retry { limit: 1, ..task(json!(0)).retry },
    }
}

fn planning(auto: AutoStep) -> Definition {
    let mut made = definition(vec![step("do", &[], StepKind::Auto(Box::new(auto))), task_step("after", &["do"])]);
    made.parameters.insert("text".to_owned(), Some(json!("Research the market, then write a report.")));
    made.parameters.insert("topics".to_owned(), Some(json!(["a", "b"])));
    made
}

fn with_planner() -> AutoStep {
    AutoStep { planner: Some(task(Value::Null)), ..auto() }
}

fn with_approval() -> AutoStep {
    AutoStep { approval: Some(approval()), ..auto() }
}

/// The plan as people see it, and the run that is begun for it.
fn plan(driver: &Driver) -> (Option<String>, Option<u32>) {
    let step = driver.run.steps().next().unwrap();
    (step.plan.map(ToString::to_string), driver.run.children().next().map(|child| child.attempt))
}

const PLAN: &str = "Simple work, Pipeline of 2 steps on 2 levels";

#[test]
fn a_text_becomes_a_run_of_its_plan_and_its_output_is_that_of_the_step() {
    let mut driver = Driver::started(planning(auto()));
    assert_eq!(plan(&driver), (Some(PLAN.to_owned()), Some(1)));
    assert_eq!(driver.new_dispatches(), "");
    let child = driver.run.children().next().unwrap();
    let definition = driver.run.definition_of(&child).unwrap();
    assert_eq!(definition.workflow, name("w"), "it is held to the limits of its own Workflow");
    let parameters = driver.run.parameters_of(&child).unwrap();
    let below = Run::accept(child.run.clone(), definition, &parameters, "test".to_owned(), at(0));
    let mut below =
        Driver { run: below.under(Some(driver.run.as_parent_of(&child))), ..Driver::started(planning(auto())) };
    assert!(below.run.is_of_plan() && !driver.run.is_of_plan());
    below.event(RunEvent::Started { deadline: at(600) });
    assert_eq!(below.new_dispatches(), "research/1");
    assert_eq!(
        below.inputs["research"],
        json!({
            "instruction": "Research the market",
            "text": "Research the market, then write a report.",
            "inputs": {"topics": ["a", "b"]},
            "results": {},
        })
    );
    below.succeed("research/1", json!("facts"));
    assert_eq!(below.inputs["report"]["results"], json!({"research": "facts"}));
    below.succeed("report/1", json!("report"));
    assert_eq!(below.end().0, FinalPhase::Succeeded);
    assert_eq!(below.run.output(), Some(json!("report")));
    driver.succeed("do/1", json!("report"));
    assert_eq!(driver.new_dispatches(), "after/1");
}

#[test]
fn a_plan_follows_from_what_is_known_when_it_is_made_and_stands_in_the_journal() {
    let text = json!({"text": "- research the market\n- review the law"});
    let mut driver = Driver::accepted(planning(auto()), text.clone());
    let mut past = Vec::new();
    for _ in 0..10 {
        Past::note(&mut past, (Pattern::ForkJoin, Complexity::Simple), false, 5);
        Past::note(&mut past, (Pattern::Pipeline, Complexity::Simple), true, 5);
    }
    driver.run.learn(Arc::new(Known { capabilities: auto().capabilities, past }));
    driver.event(RunEvent::Started { deadline: at(600) });
    let made = driver.run.plan_of(&name("do")).unwrap().clone();
    assert_eq!(made.pattern, Pattern::Pipeline, "{}", made.reason);
    let event = RunEvent::Planned { step: name("do"), round: 0, plan: Box::new(made.clone()) };
    let stored: RunEvent = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
    let mut replayed = Driver::accepted(planning(auto()), text);
    replayed.run.apply(&Entry::Run(RunEvent::Started { deadline: at(600) }), at(0));
    replayed.run.apply(&Entry::Run(stored), at(0));
    assert_eq!(replayed.run.plan_of(&name("do")), Some(&made), "a replay knows nothing else and has the same plan");
}

#[rstest]
#[case::nothing(json!({"text": ""}), "step do: auto.text: the goal is empty: write what is to be done, such as \"classify each package, then write a report\"")]
#[case::no_text(json!({"text": 7}), "step do: auto.text: it is no text: write ${…} with an expression that yields one")]
fn what_cannot_be_planned_fails_the_step(#[case] parameters: Value, #[case] expected: &str) {
    let mut driver = Driver::accepted(planning(auto()), parameters);
    driver.event(RunEvent::Started { deadline: at(600) });
    assert_eq!(driver.end(), (FinalPhase::Failed, expected.to_owned()));
}

#[test]
fn a_planner_gets_what_the_rules_would_do_and_its_reply_is_the_plan() {
    let mut driver = Driver::started(planning(with_planner()));
    assert_eq!((driver.new_dispatches().as_str(), plan(&driver).1), ("do:plan:1/1", None));
    let input = &driver.inputs["do:plan:1"];
    assert_eq!(input["draft"]["pattern"], "Pipeline");
    assert_eq!(
        input["draft"]["steps"][1],
        json!({"name": "report", "capability": "report", "instruction": "write a report", "after": ["research"]})
    );
    assert_eq!((&input["limits"]["maxSteps"], &input["mistakes"]), (&json!(8), &json!([])));
    driver.succeed(
        "do:plan:1/1",
        json!({"steps": [{"name": "all", "capability": "report", "instruction": "Do it.", "forEach": "topics"}]}),
    );
    assert_eq!(plan(&driver), (Some("Simple work, MapReduce of 1 step".to_owned()), Some(1)));
    let steps = driver.run.steps().next().unwrap();
    assert_eq!((steps.tasks, steps.succeeded), (2, 1));
}

#[test]
fn a_reply_that_is_no_plan_goes_back_once_with_its_mistakes() {
    let bad = json!({"steps": [{"name": "all", "capability": "fly", "instruction": "Do it."}]});
    let mistake = "steps[0].capability: \"fly\" is none that this plan may use and a pool has: write one of research, review, report";
    let mut driver = Driver::started(planning(with_planner()));
    driver.succeed("do:plan:1/1", bad.clone());
    assert_eq!(driver.new_dispatches(), "do:plan:1/1 do:plan:2/1");
    assert_eq!(driver.inputs["do:plan:2"]["mistakes"], json!([mistake]));
    driver.succeed("do:plan:2/1", bad);
    assert_eq!(driver.end(), (FinalPhase::Failed, format!("step do: auto.planner: its reply is no plan: {mistake}")));
}

#[test]
fn a_planner_that_fails_for_good_fails_the_step() {
    let mut driver = Driver::started(planning(with_planner()));
    driver.lose("do:plan:1/1");
    driver.pass(1);
    assert_eq!(driver.new_dispatches(), "do:plan:1/1 do:plan:1/2", "planning does nothing that could be done twice");
    driver.fail("do:plan:1/2", FailureReason::Rejected);
    assert_eq!(driver.end().1, "step do: task do:plan:1 failed after 2 attempts: Rejected: no luck");
}

#[test]
fn a_plan_waits_until_somebody_has_approved_it() {
    let mut driver = Driver::started(planning(with_approval()));
    let told = "plan: Simple work, Pipeline of 2 steps on 2 levels: research (research), report (report); 2 steps, 2 levels after each other, 2 capabilities; each step takes what the one before it made";
    assert_eq!(driver.run.questions().map(|question| question.message.to_owned()).collect::<Vec<_>>(), [told]);
    assert_eq!((driver.run.phase(), plan(&driver).1), (RunPhase::Waiting, None));
    driver.event(decided(true));
    assert_eq!((driver.run.phase(), plan(&driver).1), (RunPhase::Running, Some(1)));
}

fn decided(approved: bool) -> RunEvent {
    let decision = crate::workflow::approval::Decision { approved, by: "ada".to_owned(), at: at(1), reason: None };
    RunEvent::Decided { step: name("do"), attempt: 1, decision }
}

#[test]
fn a_plan_that_is_rejected_fails_the_step_and_is_made_anew_when_the_run_is_opened_again() {
    let mut driver = Driver::started(planning(with_approval()));
    driver.event(decided(false));
    assert_eq!(driver.end(), (FinalPhase::Failed, "step do: rejected by ada".to_owned()));
    reopen(&mut driver);
    assert_eq!(driver.run.questions().next().unwrap().attempt, 2, "people are asked about the new plan");
}

fn reopen(driver: &mut Driver) {
    let (request, cause) = ("again".to_owned(), "ada".to_owned());
    driver.event(RunEvent::Reopened { request, cause, unknown: Vec::new(), stamp: None });
    driver.event(RunEvent::Started { deadline: at(900) });
}

#[test]
fn a_plan_that_failed_is_begun_again_as_it_was_when_the_run_is_opened_again() {
    let mut driver = Driver::started(planning(with_approval()));
    driver.event(decided(true));
    driver.fail("do/1", FailureReason::RunFailed);
    assert_eq!(driver.end().0, FinalPhase::Failed);
    reopen(&mut driver);
    assert_eq!(plan(&driver), (Some(PLAN.to_owned()), Some(1001)));
}

#[test]
fn the_time_of_a_decision_does_not_count_for_the_step() {
    let mut definition = planning(with_approval());
    definition.steps[0].timeout = Some(Duration::from_secs(20));
    let mut driver = Driver::started(definition);
    driver.pass(9);
    driver.event(decided(true));
    driver.pass(19);
    assert_eq!(plan(&driver).1, Some(1));
    driver.pass(1);
    assert_eq!(driver.end().1, "step do: the step took longer than its timeout of 20s");
}

#[test]
fn nothing_is_planned_in_a_pause() {
    let mut driver = Driver::accepted(planning(auto()), json!({}));
    driver.event(RunEvent::Paused { cause: "ada".to_owned(), stamp: None });
    driver.event(RunEvent::Started { deadline: at(600) });
    assert_eq!((driver.run.is_to_plan(), plan(&driver)), (true, (None, None)));
    driver.event(RunEvent::Resumed { cause: "ada".to_owned(), stamp: None });
    assert_eq!(plan(&driver).1, Some(1));
}

#[test]
fn a_plan_is_no_more_than_so_deep_below_the_first_run() {
    let above = crate::workflow::child::Parent {
        run: "v-1".parse().unwrap(),
        step: name("s"),
        attempt: 1,
        lineage: ["a", "b", "c", "d", "e"].map(name).to_vec(),
    };
    let mut driver = Driver::accepted(planning(auto()), json!({}));
    driver.run = driver.run.under(Some(above));
    driver.event(RunEvent::Started { deadline: at(600) });
    let (_, message) = driver.end();
    assert!(message.contains("a -> b -> c -> d -> e -> w -> do would be more than 5 runs"), "{message}");
}
