//! How long finished runs are kept, and what those that go on say they wait for, on a real bus.

mod world;

use std::time::Duration;

use serde_json::json;
use tetrarch_protocol::summary::Phase;
use world::{World, echo, step, workflow_with};

#[tokio::test]
async fn a_finished_run_is_kept_for_its_time_and_the_latest_one_for_ever() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let definition =
        workflow_with("w", json!([step("a", &[], json!(1))]), json!({"keepRuns": 10, "keepRunsFor": 1000}));
    world.want(&definition, &["w-1", "w-2"]).await;
    let replica = world.replica("one").await;
    world.await_runs_to_end(&["w-1", "w-2"]).await;
    world.want(&definition, &["w-3"]).await;
    world.await_runs_to_end(&["w-3"]).await;
    let entries = |run: &str| format!("run.sup.{run}");
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while world.count(&entries("w-1")).await + world.count(&entries("w-2")).await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "runs that are too old are still kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A replica that starts anew comes to the same.
    replica.stop().await;
    let replica = world.replica("two").await;
    let latest = world.await_summary("w", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!((latest.run.as_str(), latest.waits_for), ("w-3", None));
    assert!(!world.journal("w-3").await.is_empty());
    replica.stop().await;
}

#[tokio::test]
async fn a_run_says_what_it_waits_for() {
    let mut world = World::start().await;
    world.configure(&["worker"], 1).await;
    let definition = workflow_with("w", json!([step("a", &[], json!(1))]), json!({}));
    world.want(&definition, &["w-1"]).await;
    let replica = world.replica("one").await;
    let says = |text: &'static str| {
        move |summary: &tetrarch_protocol::summary::RunSummary| {
            summary.waits_for.as_deref().is_some_and(|said| said.contains(text))
        }
    };
    world.await_summary("w", says("AgentPool worker, which has no ready agent")).await;
    let other = workflow_with("other", json!([step("a", &[], json!(1))]), json!({}));
    world.want(&other, &["other-1"]).await;
    world.await_summary("other", says("waits for a place in class normal: 1st of 1")).await;
    let _agent = world.agent("worker", echo()).await;
    let end = world.await_end("other", "other-1").await;
    assert_eq!((end.phase, end.waits_for), (Phase::Succeeded, None));
    replica.stop().await;
}
