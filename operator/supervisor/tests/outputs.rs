//! Outputs that are removed before their run is, on a real bus.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_core::{
    id::RunId,
    workflow::{
        definition::Definition,
        journal::{Entry, FinalPhase, RunEvent},
        run::Run,
        trigger::Trigger,
    },
};
use tetrarch_protocol::{
    VERSION,
    control::{Control, Retry},
    journal::RunEnvelope,
    snapshot::{TriggerSnapshot, WorkflowSnapshot},
    stream::{BLOB_STORE, WORK},
    subject::{self, Subject},
    summary::{Phase, RunSummary},
};
use tetrarch_supervisor::{build_summary, inspect, journal::Body};
use world::{Behaviour, World, echo, fail, large, name, run_id, step, succeed, wanted, workflow_with};

/// Makes a text that is no message any more, and hands it on.
fn bulky(settings: Value) -> Definition {
    workflow_with("w", json!([step("a", &[], json!("make")), step("b", &["a"], json!("${steps.a.output}"))]), settings)
}

fn is_removed(summary: &RunSummary) -> bool {
    summary.outputs_removed_at.is_some()
}

async fn objects(world: &World) -> usize {
    let store = world.bus.jetstream().get_object_store(BLOB_STORE).await.unwrap();
    store.list().await.unwrap().count().await
}

/// Messages of a run, without its own events.
async fn work_of(world: &World, run: &str) -> usize {
    let filters = subject::work_of_run(&world.supervisor, &run_id(run));
    let mut count = 0;
    for filter in filters {
        count += world.count(&filter).await;
    }
    count
}

async fn await_no_work_of(world: &World, run: &str) {
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while work_of(world, run).await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "outputs of {run} are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The run as its whole journal tells of it.
async fn folded(world: &World, run: &str) -> Run {
    let records = world.journal(run).await.into_iter();
    let entries = records.filter_map(|record| match record.body {
        Body::Entry(entry) => Some((entry, record.at)),
        Body::Unreadable(_) => None,
    });
    Run::replay(run_id(run), entries).unwrap()
}

async fn events(world: &World, run: &str, wanted: fn(&RunEvent) -> bool) -> usize {
    let is_one = |body: &Body| matches!(body, Body::Entry(Entry::Run(event)) if wanted(event));
    world.journal(run).await.iter().filter(|record| is_one(&record.body)).count()
}

/// What stays told of a run.
fn facts(summary: &RunSummary) -> RunSummary {
    RunSummary { output: None, outputs_removed_at: None, accepted: Vec::new(), ..summary.clone() }
}

#[tokio::test]
async fn outputs_go_when_their_time_is_over_and_the_run_stays_as_it_was() {
    let world = World::start().await;
    let _agent = world.agent("worker", large()).await;
    let replicas = [world.replica("one").await, world.replica("two").await];
    world.want(&bulky(json!({"keepRuns": 10})), &["w-1"]).await;
    let kept = world.await_end("w", "w-1").await;
    assert_eq!((kept.output.clone(), kept.outputs_removed_at), (Some(json!({"b": 3 * 1024 * 1024})), None));
    let (work, stored) = (work_of(&world, "w-1").await, objects(&world).await);
    assert!(work >= 4 && stored >= 1, "{work} messages and {stored} objects");

    // The setting of today holds also for the run of yesterday.
    world.want(&bulky(json!({"keepRuns": 10, "keepOutputsFor": 0})), &["w-1"]).await;
    let removed = world.await_summary("w", is_removed).await;
    assert_eq!(facts(&removed), facts(&kept));
    assert_eq!((removed.output.clone(), removed.phase), (None, Phase::Succeeded));
    await_no_work_of(&world, "w-1").await;
    assert_eq!(objects(&world).await, 0);
    assert_eq!(events(&world, "w-1", |event| matches!(event, RunEvent::OutputsRemoved { .. })).await, 1);
    for replica in replicas {
        replica.stop().await;
    }

    // Who reads nothing but what is left comes to the same.
    let replica = world.replica("three").await;
    world.want(&bulky(json!({"keepRuns": 10, "keepOutputsFor": 0})), &["w-1", "w-2"]).await;
    world.await_summary("w", |summary| summary.run.as_str() == "w-2" && is_removed(summary)).await;
    let left = build_summary(&folded(&world, "w-1").await, None);
    assert_eq!((facts(&left), left.outputs_removed_at), (facts(&kept), removed.outputs_removed_at));
    let error = inspect::read_output(&world.bus, &world.supervisor, &run_id("w-1")).await.unwrap_err().to_string();
    assert!(error.starts_with("the outputs of run w-1 were removed at "), "{error}");
    let listed = inspect::list_runs(&world.bus, &world.supervisor).await.unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|run| run.outputs_removed_at.is_some()), "{listed:?}");
    replica.stop().await;
}

#[tokio::test]
async fn outputs_whose_time_is_not_over_are_kept() {
    let world = World::start().await;
    let _agent = world.agent("worker", large()).await;
    let replica = world.replica("one").await;
    world.want(&bulky(json!({"keepRuns": 10, "keepOutputsFor": 3_000})), &["w-1"]).await;
    let end = world.await_end("w", "w-1").await;
    assert!(end.output.is_some() && work_of(&world, "w-1").await > 0);
    let removed = world.await_summary("w", is_removed).await;
    let kept = removed.outputs_removed_at.unwrap().duration_since(removed.finished_at.unwrap());
    assert!(kept.as_millis() >= 3_000, "{kept}");
    await_no_work_of(&world, "w-1").await;
    replica.stop().await;
}

/// Whoever died had written what is kept, and had perhaps begun to remove.
#[tokio::test]
async fn a_removal_that_was_interrupted_is_completed_by_the_next_owner() {
    for begun in ["", "task.sup.>", "res.sup.worker.w-1.a.1"] {
        let world = World::start().await;
        let _agent = world.agent("worker", large()).await;
        let replica = world.replica("one").await;
        world.want(&bulky(json!({"keepRuns": 10})), &["w-1"]).await;
        let kept = world.await_end("w", "w-1").await;
        replica.stop().await;
        let event = folded(&world, "w-1").await.without_outputs().unwrap();
        let last = world.journal("w-1").await.iter().rfind(|record| is_event(&record.body)).unwrap().sequence;
        let body = serde_json::to_vec(&RunEnvelope { version: VERSION, event: &event }).unwrap();
        world.bus.append("run.sup.w-1", last, body).await.unwrap();
        if !begun.is_empty() {
            let stream = world.bus.jetstream().get_stream(WORK).await.unwrap();
            stream.purge().filter(begun).await.unwrap();
        }
        assert!(work_of(&world, "w-1").await > 0);

        let replica = world.replica("two").await;
        await_no_work_of(&world, "w-1").await;
        assert_eq!(objects(&world).await, 0, "after {begun:?}");
        let removed = world.await_summary("w", is_removed).await;
        assert_eq!(facts(&removed), facts(&kept), "after {begun:?}");
        assert_eq!(events(&world, "w-1", |event| matches!(event, RunEvent::OutputsRemoved { .. })).await, 1);
        replica.stop().await;
    }
}

fn is_event(body: &Body) -> bool {
    matches!(body, Body::Entry(Entry::Run(_)))
}

/// Without what is kept a journal that lost its results tells nonsense: the tests above can fail.
#[tokio::test]
async fn a_journal_that_only_lost_its_results_tells_something_else() {
    let world = World::start().await;
    let _agent = world.agent("worker", large()).await;
    let replica = world.replica("one").await;
    world.want(&bulky(json!({"keepRuns": 10})), &["w-1"]).await;
    let kept = world.await_end("w", "w-1").await;
    replica.stop().await;
    let stream = world.bus.jetstream().get_stream(WORK).await.unwrap();
    stream.purge().filter("res.sup.>").await.unwrap();
    stream.purge().filter("task.sup.>").await.unwrap();
    assert_ne!(facts(&build_summary(&folded(&world, "w-1").await, None)), facts(&kept));
}

fn retry(request: &str) -> Control {
    let retry = Retry { run: run_id("w-1"), request: request.to_owned(), cause: "by ada".to_owned(), stamp: None };
    Control { retry: vec![retry], ..Control::default() }
}

/// Fails until its run is opened again.
fn second_round() -> Behaviour {
    Arc::new(|subject, input| match subject {
        Subject::Task { task, .. } if task.attempt < 1_000 => fail("not yet"),
        _ => succeed(input),
    })
}

#[tokio::test]
async fn a_run_without_its_outputs_is_not_opened_again_and_says_why() {
    let world = World::start().await;
    let _agent = world.agent("worker", second_round()).await;
    let replica = world.replica("one").await;
    let definition = workflow_with("w", json!([step("a", &[], json!(1))]), json!({"keepOutputsFor": 0}));
    world.want(&definition, &["w-1"]).await;
    world.await_summary("w", is_removed).await;
    world.want_under(&definition, &["w-1"], retry("again")).await;
    let says = |summary: &RunSummary| summary.message.as_ref().is_some_and(|said| said.contains("not opened again"));
    let told = world.await_summary("w", says).await;
    assert!(told.message.as_ref().unwrap().contains("its outputs were removed at"), "{told:#?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(events(&world, "w-1", |event| matches!(event, RunEvent::Reopened { .. })).await, 0);
    replica.stop().await;
}

#[tokio::test]
async fn a_run_that_is_to_be_opened_again_keeps_its_outputs_until_then() {
    let world = World::start().await;
    let _agent = world.agent("worker", second_round()).await;
    let replica = world.replica("one").await;
    let steps = json!([step("a", &[], json!(1))]);
    let definition = workflow_with("w", steps, json!({"keepOutputsFor": 0}));
    world.want_under(&definition, &["w-1"], retry("again")).await;
    let removed = world.await_summary("w", is_removed).await;
    assert_eq!((removed.phase, removed.retried), (Phase::Succeeded, 1));
    replica.stop().await;
}

/// Its first step is done at once, its second one waits.
fn inner() -> Definition {
    let pause = json!({"name": "pause", "after": ["say"], "kind": {"wait": {"for": 600_000}}});
    workflow_with("inner", json!([step("say", &[], json!("hello")), pause]), json!({"keepOutputsFor": 0}))
}

fn calls_inner(of: &str) -> Value {
    let retry = json!({"limit": 0, "initial": 100, "factor": 1, "max": 100});
    json!({"name": of, "kind": {"workflow": {"name": "inner", "parameters": {}, "retry": retry}}})
}

#[tokio::test]
async fn a_step_has_the_output_of_a_run_that_keeps_none() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let replicas = [world.replica("one").await, world.replica("two").await];
    let settings = json!({"keepOutputsFor": 0, "output": "${steps.say.output}"});
    world.want(&workflow_with("inner", json!([step("say", &[], json!("hello"))]), settings), &[]).await;
    let outer = workflow_with(
        "outer",
        json!([calls_inner("go"), step("last", &["go"], json!("${steps.go.output}"))]),
        json!({"keepRuns": 10}),
    );
    let runs = ["outer-1", "outer-2", "outer-3", "outer-4"];
    world.want(&outer, &runs).await;
    world.await_runs_to_end(&runs).await;
    for run in runs {
        assert_eq!(folded(&world, run).await.output(), Some(json!({"last": "hello"})), "{run}");
        await_no_work_of(&world, RunId::of_child(&name("inner"), &run_id(run), &name("go"), 1).as_str()).await;
    }
    for replica in replicas {
        replica.stop().await;
    }
}

/// The run above could be opened again, and would hear how the one below ended.
#[tokio::test]
async fn a_run_that_another_one_may_hear_of_keeps_its_outputs_as_long_as_that_one() {
    let world = World::start().await;
    let refuse: Behaviour = Arc::new(|_, input| if input == "no" { fail("no") } else { succeed(input) });
    let _agent = world.agent("worker", refuse).await;
    let replica = world.replica("one").await;
    world.want(&inner(), &[]).await;
    let pause = json!({"name": "pause", "kind": {"wait": {"for": 500}}});
    let steps = json!([calls_inner("go"), pause, step("bad", &["pause"], json!("no"))]);
    world.want(&workflow_with("outer", steps.clone(), json!({})), &["outer-1"]).await;
    let below = RunId::of_child(&name("inner"), &run_id("outer-1"), &name("go"), 1).to_string();
    world.await_runs_to_end(&["outer-1", &below]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(work_of(&world, &below).await > 0 && work_of(&world, "outer-1").await > 0);
    world.want(&workflow_with("outer", steps, json!({"keepOutputsFor": 0})), &["outer-1"]).await;
    await_no_work_of(&world, "outer-1").await;
    await_no_work_of(&world, &below).await;
    assert_eq!(world.end(&below).await, Some(FinalPhase::Cancelled));
    replica.stop().await;
}

#[tokio::test]
async fn a_trigger_has_read_the_outputs_before_they_go() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let trigger = Trigger {
        name: name("after-scan"),
        workflow: name("scan"),
        phases: vec![FinalPhase::Succeeded],
        when: Some("output.look.found == 3".to_owned()),
        parameters: json!({"of": "${output.look.found}"}).as_object().unwrap().clone(),
    };
    let triggers = vec![TriggerSnapshot { trigger, since: Timestamp::now(), prefix: "report-0a1b2".to_owned() }];
    let report = workflow_with(
        "report",
        json!([step("write", &[], json!("${params.of}"))]),
        json!({"keepRuns": 10, "parameters": {"of": null}}),
    );
    world.want_as(WorkflowSnapshot { triggers, ..wanted(&report, &[], &[]) }).await;
    let scan = workflow_with("scan", json!([step("look", &[], json!({"found": 3}))]), json!({"keepOutputsFor": 0}));
    let replica = world.replica("one").await;
    world.want(&scan, &["scan-1"]).await;
    let written = world.await_summary("report", |summary| summary.phase.is_final()).await;
    assert_eq!((written.phase, written.output), (Phase::Succeeded, Some(json!({"write": 3}))));
    await_no_work_of(&world, "scan-1").await;
    replica.stop().await;
    // An end without its outputs begins nothing, also not for those who read it for the first time.
    let replica = world.replica("two").await;
    world.await_summary("scan", is_removed).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let runs = inspect::list_runs(&world.bus, &world.supervisor).await.unwrap();
    assert_eq!(runs.len(), 2, "{runs:?}");
    replica.stop().await;
}
