//! Steps that decompose a text, on a real bus.

mod world;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_core::{
    decompose::{Complexity, Past, Pattern},
    id::RunId,
    workflow::{
        approval::Decision,
        auto::Planned,
        definition::Definition,
        journal::{Entry, FinalPhase, RunEvent},
    },
};
use tetrarch_protocol::{
    snapshot::StepDecision,
    summary::{Phase, StepSummary},
};
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, echo, name, run_id, step, succeed, workflow_with};

/// Two instructions that follow each other.
const TEXT: &str = "[work] Look, then [work] leap.";

fn planning(workflow: &str, text: &str, extra: &Value) -> Definition {
    let retry = json!({"limit": 0, "initial": 100, "factor": 1, "max": 100});
    let mut auto = json!({
        "text": text, "inputs": {"places": ["a", "b"]}, "capabilities": ["work"],
        "maxSteps": 4, "maxParallel": 3, "taskTimeout": 60_000, "retry": retry,
    });
    auto.as_object_mut().into_iter().for_each(|auto| auto.extend(extra.as_object().cloned().unwrap_or_default()));
    let steps = json!([{"name": "do", "kind": {"auto": auto}}, step("after", &["do"], json!("${steps.do.output}"))]);
    workflow_with(workflow, steps, json!({"keepRuns": 10}))
}

fn of_plan(workflow: &str, parent: &str) -> String {
    RunId::of_child(&name(workflow), &run_id(parent), &name("do"), 1).to_string()
}

/// The plans that the journal of a run holds.
async fn plans(world: &World, run: &str) -> Vec<Planned> {
    let journal = world.journal(run).await;
    let plans = journal.into_iter().filter_map(|record| match record.body {
        Body::Entry(Entry::Run(RunEvent::Planned { plan, .. })) => Some(*plan),
        _ => None,
    });
    plans.collect()
}

/// Such as `Simple Pipeline: work Succeeded, work-2 Pending`.
fn told(step: &StepSummary) -> String {
    let Some(plan) = &step.plan else { return "no plan".to_owned() };
    let steps = plan.steps.iter().map(|step| format!("{} {:?}", step.name, step.phase));
    format!("{} {}: {}", plan.complexity, plan.pattern, steps.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn a_text_becomes_a_plan_that_is_stored_shown_and_run() {
    let mut world = World::start().await;
    // With places of their own the plans would wait for the runs above for ever.
    world.configure(&["worker"], 1).await;
    let _agent = world.agent("worker", echo()).await;
    let replicas = [world.replica("one").await, world.replica("two").await];
    let runs = ["errand-1", "errand-2", "errand-3"];
    world.want(&planning("errand", TEXT, &json!({})), &runs).await;
    world.await_runs_to_end(&runs).await;
    for run in runs {
        assert_eq!(world.end(run).await, Some(FinalPhase::Succeeded));
        world.assert_once(run).await;
        world.assert_once(&of_plan("errand", run)).await;
    }
    let summary = world.await_summary("errand", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!(told(&summary.steps[0]), "Simple Pipeline: work Succeeded, work-2 Succeeded");
    assert_eq!(summary.steps[0].run.as_ref().unwrap().to_string(), of_plan("errand", summary.run.as_str()));
    let output = &summary.output.unwrap()["after"];
    assert_eq!(output["instruction"], "leap");
    assert_eq!(output["results"]["work"]["instruction"], "Look", "{output}");
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn how_plans_ended_is_known_to_the_next_one_and_stands_in_its_journal() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let definition = planning("errand", TEXT, &json!({}));
    let replica = world.replica("one").await;
    world.want(&definition, &["errand-1"]).await;
    world.await_end("errand", "errand-1").await;
    world.want(&definition, &["errand-1", "errand-2"]).await;
    world.await_end("errand", "errand-2").await;
    let [first, second] = [plans(&world, "errand-1").await.remove(0), plans(&world, "errand-2").await.remove(0)];
    assert_eq!(first.known.past, []);
    assert_eq!(second.known.capabilities, [name("work")]);
    let [Past { pattern, complexity, runs, succeeded, took_ms }] = second.known.past[..] else { panic!("{second:?}") };
    assert_eq!((pattern, complexity, runs, succeeded), (Pattern::Pipeline, Complexity::Simple, 1, 1));
    assert!(took_ms > 0, "it took some time");
    replica.stop().await;
}

#[tokio::test]
async fn a_planner_plans_and_somebody_approves() {
    let world = World::start().await;
    // Its first reply is no plan.
    let planner: Behaviour = Arc::new(|_, input| match input["mistakes"].as_array().map(Vec::len) {
        None => succeed(json!("done")),
        Some(0) => succeed(json!({"steps": [{"name": "look", "capability": "fly", "instruction": "Look."}]})),
        Some(_) => {
            let step = json!({"name": "look", "capability": "work", "instruction": "Look.", "forEach": "places"});
            succeed(json!({"steps": [step]}))
        }
    });
    let _agent = world.agent("worker", planner).await;
    let retry = json!({"limit": 0, "initial": 100, "factor": 1, "max": 100});
    let extra = json!({
        "planner": {"agent": {"capability": "work"}, "input": null, "timeout": 60_000, "retry": retry},
        "approval": {"timeout": 600_000, "onTimeout": "Reject"},
    });
    let definition = planning("errand", "Nobody knows what.", &extra);
    world.want(&definition, &["errand-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_summary("errand", |summary| summary.phase == Phase::Waiting).await;
    assert_eq!(told(&summary.steps[0]), "Simple MapReduce: look Pending");
    assert!(summary.waiting[0].message.contains("look (work)"), "{}", summary.waiting[0].message);
    assert_eq!(world.journal(&of_plan("errand", "errand-1")).await.len(), 0, "nothing begins before that");
    let decision = Decision { approved: true, by: "ada".to_owned(), at: Timestamp::now(), reason: None };
    let (run, step, generation) = (run_id("errand-1"), name("do"), definition.generation);
    let decided = vec![StepDecision { run, step, attempt: 1, generation, decision }];
    world.want_decided(&definition, &["errand-1"], decided).await;
    let summary = world.await_end("errand", "errand-1").await;
    assert_eq!(summary.output, Some(json!({"after": "done"})), "{:?}", summary.message);
    assert_eq!(plans(&world, "errand-1").await.len(), 2, "a draft, and the plan");
    replica.stop().await;
}

#[tokio::test]
async fn a_plan_that_waits_for_agents_says_so_in_the_run_above() {
    let mut world = World::start().await;
    world.configure(&[], 1).await;
    world.want(&planning("errand", TEXT, &json!({})), &["errand-1"]).await;
    let replica = world.replica("one").await;
    let waits = |summary: &tetrarch_protocol::summary::RunSummary| {
        summary.waits_for.as_ref().is_some_and(|told| told.contains(": task work waits"))
    };
    let summary = world.await_summary("errand", waits).await;
    assert_eq!(told(&summary.steps[0]), "Simple Pipeline: work Running, work-2 Pending");
    replica.stop().await;
}

#[tokio::test]
async fn the_run_of_a_plan_is_kept_and_purged_with_the_run_above() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let mut definition = planning("errand", TEXT, &json!({}));
    definition.keep_runs = 1;
    let replica = world.replica("one").await;
    world.want(&definition, &["errand-1"]).await;
    world.await_end("errand", "errand-1").await;
    assert!(!world.journal("errand-1").await.is_empty(), "its own plan does not count as a run");
    world.want(&definition, &["errand-2"]).await;
    world.await_end("errand", "errand-2").await;
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while !world.journal("errand-1").await.is_empty() || !world.journal(&of_plan("errand", "errand-1")).await.is_empty()
    {
        assert!(tokio::time::Instant::now() < deadline, "both are purged");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(!world.journal(&of_plan("errand", "errand-2")).await.is_empty());
    replica.stop().await;
}
