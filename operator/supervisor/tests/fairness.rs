//! Workflows that compete for a pool on a real bus.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tetrarch_core::workflow::journal::Entry;
use tetrarch_protocol::{subject::Subject, summary::Phase};
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, map, step, succeed, workflow, workflow_with};

/// An agent that takes its time and notes whose task it got.
fn slow(seen: &Arc<Mutex<Vec<String>>>) -> Behaviour {
    let seen = seen.clone();
    Arc::new(move |subject, input| {
        if let Subject::Task { task, .. } = subject {
            seen.lock().unwrap().push(task.run.to_string());
        }
        std::thread::sleep(Duration::from_millis(20));
        succeed(input)
    })
}

async fn await_tasks(seen: &Arc<Mutex<Vec<String>>>, of: &str, count: usize) -> usize {
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    loop {
        let of_run = |run: &&String| run.as_str() == of;
        if seen.lock().unwrap().iter().filter(of_run).count() >= count {
            return seen.lock().unwrap().len();
        }
        assert!(tokio::time::Instant::now() < deadline, "{of} is not served");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_task_is_served_soon_beside_a_map_of_5000_items() {
    let world = World::start().await;
    let seen = Arc::default();
    let _agent = world.agent("worker", slow(&seen)).await;
    world.want(&workflow("flood", json!([map("each", 5000, 5000)])), &["flood-1"]).await;
    let replica = world.replica("one").await;
    await_tasks(&seen, "flood-1", 20).await;
    world.want(&workflow("small", json!([step("only", &[], json!(1))])), &["small-1"]).await;
    assert_eq!(world.await_end("small", "small-1").await.phase, Phase::Succeeded);
    let small = world.journal("small-1").await;
    let sequence = |is: fn(&Entry) -> bool| {
        small.iter().find(|record| matches!(&record.body, Body::Entry(entry) if is(entry))).unwrap().sequence
    };
    let waited = sequence(|entry| matches!(entry, Entry::Dispatched { .. }))..sequence(|entry| {
        matches!(entry, Entry::Result { .. })
    });
    let flood = world.journal("flood-1").await;
    let before = flood.iter().filter(|record| waited.contains(&record.sequence));
    let before = before.filter(|record| matches!(record.body, Body::Entry(Entry::Result { .. }))).count();
    assert!(before < 100, "{before} tasks of the map were served while the single one waited");
    let load = world.load().await.unwrap();
    assert!(load.pools["worker"].queued > 4000, "what waits for its turn counts as queued: {load:?}");
    assert!(world.count("task.>").await < 1000, "the queue holds a part of the map");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_of_three_times_the_weight_gets_three_times_the_agents() {
    let world = World::start().await;
    let seen = Arc::default();
    let light = workflow_with("light", json!([map("each", 2000, 2000)]), json!({"weight": 100}));
    let heavy = workflow_with("heavy", json!([map("each", 2000, 2000)]), json!({"weight": 300}));
    world.want(&light, &["light-1"]).await;
    world.want(&heavy, &["heavy-1"]).await;
    let replica = world.replica("one").await;
    world.await_summary("light", |summary| summary.phase == Phase::Running).await;
    world.await_summary("heavy", |summary| summary.phase == Phase::Running).await;
    let _agent = world.agent("worker", slow(&seen)).await;
    await_tasks(&seen, "light-1", 60).await;
    let seen = seen.lock().unwrap().clone();
    // The first ones were dispatched before both were there.
    let later = &seen[20..];
    let heavy = later.iter().filter(|run| run.as_str() == "heavy-1").count();
    let percent = heavy * 100 / later.len();
    assert!((60..90).contains(&percent), "{percent}% of the tasks are of the heavy one");
    replica.stop().await;
}

#[tokio::test]
async fn a_workflow_has_no_more_active_runs_than_it_may() {
    let world = World::start().await;
    let definition = workflow_with("two", json!([step("only", &[], json!(1))]), json!({"maxConcurrentRuns": 1}));
    world.want(&definition, &["two-1", "two-2"]).await;
    let replica = world.replica("one").await;
    // The latest one is told of; which of both that is, the bus decides.
    let waiting =
        world.await_summary("two", |summary| summary.message.is_some() && summary.phase == Phase::Pending).await;
    assert_eq!(
        waiting.message.as_deref(),
        Some(
            "waits until another run of this Workflow ends: 1 of spec.maxConcurrentRuns 1 are active, 1st of 1 in class normal"
        )
    );
    let _agent = world.agent("worker", world::echo()).await;
    world.await_runs_to_end(&["two-1", "two-2"]).await;
    replica.stop().await;
}
