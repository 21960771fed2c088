//! Runs that are opened again, and what people find out about their tasks, on a real bus.

mod world;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tetrarch_core::{
    id::{RunId, TaskId},
    workflow::journal::{Entry, Resolution, RunEvent},
};
use tetrarch_protocol::{
    control::{Asked, Control, Resolve, Retry},
    summary::Phase,
    task::ResultOutcome,
};
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, fail, map, name, run_id, step, succeed, task, workflow, workflow_with};

fn retry(run: &str, request: &str) -> Control {
    let retry = Retry { run: run_id(run), request: request.to_owned(), cause: "by ada".to_owned(), stamp: None };
    Control { retry: vec![retry], ..Control::default() }
}

#[expect(clippy::unwrap_used, reason = "the places of a test are written well")]
fn resolve(task: &str, resolution: Resolution) -> Control {
    let task: TaskId = task.parse().unwrap();
    Control {
        resolve: vec![Resolve { task, resolution, cause: "by ada".to_owned(), stamp: None }],
        ..Control::default()
    }
}

/// Nobody knows how attempts at these places ended.
fn lost(place: &'static str) -> Behaviour {
    Arc::new(move |subject, input| {
        if format!("{subject}.").contains(place) {
            ResultOutcome::Unknown { message: "the pod is gone".to_owned() }
        } else {
            succeed(input)
        }
    })
}

/// Answers `"flaky"` only when it is repaired.
fn repairable(is_repaired: &Arc<AtomicBool>) -> Behaviour {
    let is_repaired = is_repaired.clone();
    Arc::new(move |_, input| match input.as_str() {
        Some("flaky") if !is_repaired.load(Ordering::SeqCst) => fail("it is broken"),
        _ => succeed(input),
    })
}

/// Dispatches of a run, as `path/attempt`.
async fn dispatches(world: &World, run: &str) -> Vec<String> {
    let journal = world.journal(run).await;
    let told = journal.iter().filter_map(|record| match &record.body {
        Body::Entry(Entry::Dispatched { path, attempt, .. }) => Some(format!("{path}/{attempt}")),
        Body::Entry(Entry::Run(RunEvent::ChildStarted { step, attempt, .. })) => Some(format!("{step}/{attempt}")),
        _ => None,
    });
    told.collect()
}

fn three_steps() -> Value {
    json!([map("items", 3, 3), step("flaky", &["items"], json!("flaky")), step("last", &["flaky"], json!("end"))])
}

#[tokio::test]
async fn a_failed_run_goes_on_from_the_step_that_failed_and_keeps_its_id() {
    let world = World::start().await;
    let is_repaired = Arc::new(AtomicBool::new(false));
    let agent = world.agent("worker", repairable(&is_repaired)).await;
    let definition = workflow("w", three_steps());
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("w", "w-1").await.phase, Phase::Failed);
    let calls = agent.calls();
    is_repaired.store(true, Ordering::SeqCst);
    world.want_under(&definition, &["w-1"], retry("w-1", "again")).await;
    let summary = world.await_summary("w", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!((summary.run.as_str(), summary.retried, summary.ended), ("w-1", 1, 3));
    assert_eq!(agent.calls(), calls + 2, "the step that failed and the one behind it");
    replica.stop().await;
    // Another replica sees the same, and the same request opens nothing again.
    let replica = world.replica("two").await;
    world.want_under(&definition, &["w-1", "w-2"], retry("w-1", "again")).await;
    world.await_end("w", "w-2").await;
    let told = dispatches(&world, "w-1").await;
    assert_eq!(told[told.len() - 2..], ["flaky/1001", "last/1001"], "{told:?}");
    let opened = world
        .journal("w-1")
        .await
        .iter()
        .filter(|record| matches!(&record.body, Body::Entry(Entry::Run(RunEvent::Reopened { .. }))))
        .count();
    assert_eq!(opened, 1);
    replica.stop().await;
}

#[tokio::test]
async fn a_replica_that_dies_in_the_middle_of_the_second_round_is_survived() {
    let world = World::start().await;
    let is_repaired = Arc::new(AtomicBool::new(false));
    let agent = world.agent("worker", repairable(&is_repaired)).await;
    let definition = workflow("w", three_steps());
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("w", "w-1").await.phase, Phase::Failed);
    drop(agent);
    world.want_under(&definition, &["w-1"], retry("w-1", "again")).await;
    world.await_summary("w", |summary| summary.phase == Phase::Running && summary.retried == 1).await;
    replica.stop().await;
    is_repaired.store(true, Ordering::SeqCst);
    let replica = world.replica("two").await;
    let _agent = world.agent("worker", repairable(&is_repaired)).await;
    let summary = world.await_summary("w", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!((summary.retried, dispatches(&world, "w-1").await.last().map(String::as_str)), (1, Some("last/1001")));
    replica.stop().await;
}

#[tokio::test]
async fn a_person_is_asked_how_an_unknown_attempt_ended_and_the_run_goes_on_with_the_answer() {
    let world = World::start().await;
    let _agent = world.agent("worker", lost(".pay.")).await;
    let steps = json!([step("pay", &[], json!(1)), step("tell", &["pay"], json!("${steps.pay.output}"))]);
    let definition = workflow_with("w", steps, json!({"onUnknown": "Ask"}));
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    let asked = "waits for a person to say whether task pay, attempt 1, is done";
    world.await_summary("w", |summary| summary.message.as_deref().is_some_and(|said| said.starts_with(asked))).await;
    let done = resolve("w-1/pay/1", Resolution::Done { output: json!("receipt 7") });
    world.want_under(&definition, &["w-1"], done).await;
    let summary = world.await_summary("w", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!((summary.output, summary.retried), (Some(json!({"tell": "receipt 7"})), 0));
    replica.stop().await;
}

#[tokio::test]
async fn a_run_that_ended_without_knowing_is_opened_again_by_what_is_found_out() {
    let world = World::start().await;
    let _agent = world.agent("worker", lost(".pay.1.")).await;
    let definition = workflow("w", json!([step("pay", &[], json!(1)), step("tell", &["pay"], json!("told"))]));
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("w", "w-1").await.phase, Phase::OutcomeUnknown);
    world.want_under(&definition, &["w-1"], resolve("w-1/pay/1", Resolution::NotDone)).await;
    let summary = world.await_summary("w", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!(
        (summary.retried, dispatches(&world, "w-1").await),
        (1, ["pay/1", "pay/1001", "tell/1001"].map(str::to_owned).to_vec())
    );
    replica.stop().await;
}

#[tokio::test]
async fn a_step_that_stands_for_a_run_begins_another_one_when_the_first_has_ended() {
    let world = World::start().await;
    let inner = workflow("inner", json!([step("say", &[], json!("hello"))]));
    let called = json!({"name": "inner", "parameters": {}, "retry": task(json!(0))["retry"]});
    let outer = workflow("outer", json!([{"name": "call", "after": [], "kind": {"workflow": called}}]));
    world.want(&inner, &[]).await;
    world.want(&outer, &["outer-1"]).await;
    let replica = world.replica("one").await;
    let child = |attempt| RunId::of_child(&name("inner"), &run_id("outer-1"), &name("call"), attempt).to_string();
    world.await_summary("inner", |summary| summary.phase == Phase::Running).await;
    let terminate = vec![Asked { run: run_id("outer-1"), cause: "by ada".to_owned(), stamp: None }];
    world.want_under(&outer, &["outer-1"], Control { terminate, ..Control::default() }).await;
    world.await_end("outer", "outer-1").await;
    world.await_runs_to_end(&[&child(1)]).await;
    let _agent = world.agent("worker", world::echo()).await;
    world.want_under(&outer, &["outer-1"], retry("outer-1", "again")).await;
    let summary = world.await_summary("outer", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!(dispatches(&world, "outer-1").await, ["call/1", "call/1001"]);
    assert_eq!(
        (summary.retried, world.end(&child(1)).await),
        (1, Some(tetrarch_core::workflow::journal::FinalPhase::Cancelled))
    );
    world.assert_once(&child(1001)).await;
    replica.stop().await;
}
