//! What people ask of runs that exist, on a real bus.

mod world;

use serde_json::json;
use tetrarch_core::workflow::{
    journal::{Entry, RunEvent},
    stamp::Stamp,
};
use tetrarch_protocol::{
    control::{Asked, Control, Retry},
    summary::Phase,
};
use tetrarch_supervisor::journal::Body;
use world::{World, echo, run_id, step, workflow};

fn asked(run: &str) -> Vec<Asked> {
    let stamp = Stamp { by: "ada".to_owned(), at: jiff::Timestamp::UNIX_EPOCH };
    vec![Asked { run: run_id(run), cause: "by ada".to_owned(), stamp: Some(stamp) }]
}

#[tokio::test]
async fn a_paused_run_hands_out_nothing_and_goes_on_when_it_is_taken_out_of_the_list() {
    let world = World::start().await;
    let agent = world.agent("worker", echo()).await;
    let definition = workflow("calm", json!([step("a", &[], json!(1)), step("b", &["a"], json!(2))]));
    let paused = Control { pause: asked("calm-1"), ..Control::default() };
    world.want_under(&definition, &["calm-1"], paused.clone()).await;
    let replica = world.replica("one").await;
    let is_paused = |message: &str| message.starts_with("paused since ") && message.contains("(by ada)");
    world.await_summary("calm", |summary| summary.message.as_deref().is_some_and(is_paused)).await;
    // A replica that takes over does not pause it a second time.
    replica.stop().await;
    let replica = world.replica("two").await;
    world.want_under(&definition, &["calm-1"], paused).await;
    world.await_summary("calm", |summary| summary.message.as_deref().is_some_and(is_paused)).await;
    assert!(agent.calls() <= 1, "what was handed out before the pause is at most the first task");
    let resumed = Control { resume: asked("calm-1"), ..Control::default() };
    world.want_under(&definition, &["calm-1"], resumed).await;
    assert_eq!(world.await_end("calm", "calm-1").await.phase, Phase::Succeeded);
    let told: Vec<String> = world
        .journal("calm-1")
        .await
        .into_iter()
        .filter_map(|record| match record.body {
            Body::Entry(Entry::Run(RunEvent::Paused { cause, stamp })) => {
                Some(format!("paused {cause}, {}", stamp?.by))
            }
            Body::Entry(Entry::Run(RunEvent::Resumed { cause, stamp })) => {
                Some(format!("resumed {cause}, {}", stamp?.by))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, ["paused by ada, ada", "resumed by ada, ada"]);
    world.assert_once("calm-1").await;
    replica.stop().await;
}

#[tokio::test]
async fn a_terminated_run_ends_at_once_and_leaves_no_task_in_any_queue() {
    let world = World::start().await;
    let definition = workflow("abrupt", json!([step("a", &[], json!(1))]));
    world.want(&definition, &["abrupt-1"]).await;
    let replica = world.replica("one").await;
    world.await_summary("abrupt", |summary| summary.phase == Phase::Running).await;
    let control = Control { terminate: asked("abrupt-1"), ..Control::default() };
    world.want_under(&definition, &["abrupt-1"], control).await;
    let summary = world.await_end("abrupt", "abrupt-1").await;
    assert_eq!((summary.phase, summary.message.as_deref()), (Phase::Cancelled, Some("terminated: by ada")));
    for _ in 0..500 {
        if world.count("task.>").await == 0 {
            replica.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a task of a terminated run stays in its queue");
}

fn again(run: &str) -> Control {
    let retry = Retry { run: run_id(run), request: "again".to_owned(), cause: "by ada".to_owned(), stamp: None };
    Control { retry: vec![retry], ..Control::default() }
}

#[tokio::test]
async fn what_is_asked_in_vain_is_told_of_every_run_and_not_only_of_the_latest() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let definition = workflow("w", json!([step("a", &[], json!(1))]));
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    world.await_end("w", "w-1").await;
    world.want_under(&definition, &["w-1", "w-2"], again("w-1")).await;
    world.await_end("w", "w-2").await;
    let told = world.await_summary("w", |summary| !summary.refused.is_empty()).await;
    assert_eq!(told.refused, ["run w-1: it is not opened again: it has succeeded: ask for a new run"]);
    world.want(&definition, &["w-1", "w-2"]).await;
    world.await_summary("w", |summary| summary.refused.is_empty()).await;
    replica.stop().await;
}

#[tokio::test]
async fn a_workflow_has_no_say_in_the_runs_of_another() {
    let world = World::start().await;
    let (one, other) =
        (workflow("one", json!([step("a", &[], json!(1))])), workflow("other", json!([step("a", &[], json!(1))])));
    world.want(&other, &["other-1"]).await;
    let replica = world.replica("one").await;
    world.await_summary("other", |summary| summary.phase == Phase::Running).await;
    world.want_with(&one, &["one-1"], &["other-1"], false).await;
    let told = world.await_summary("one", |summary| !summary.refused.is_empty()).await;
    assert_eq!(told.refused, ["run other-1: it is a run of Workflow other: ask there"]);
    let _agent = world.agent("worker", echo()).await;
    assert_eq!(world.await_end("other", "other-1").await.phase, Phase::Succeeded);
    replica.stop().await;
}
