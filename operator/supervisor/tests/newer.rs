//! Entries that a newer version wrote: they are never misread, their runs are left alone, and that is said.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use tetrarch_protocol::{stream::WORK, summary::Phase};
use tetrarch_supervisor::inspect;
use world::{World, echo, run_id, step, workflow};

/// Writes to a subject behind what is there, as a newer version might.
async fn write_as_newer(world: &World, subject: &str, body: Value) {
    let stream = world.bus.jetstream().get_stream(WORK).await.unwrap();
    let last = stream.get_last_raw_message_by_subject(subject).await.map_or(0, |message| message.sequence);
    world.bus.append(subject, last, body.to_string()).await.unwrap();
}

#[tokio::test]
async fn a_run_that_a_newer_version_went_on_with_is_left_alone() {
    for (name, subject, body) in [
        ("event", "run.sup.event-1", json!({"version": 2, "type": "blessed", "by": "ada"})),
        ("unknown", "run.sup.unknown-1", json!({"type": "blessed", "by": "ada"})),
        ("result", "res.sup.worker.result-1.b.1", json!({"version": 2, "outcome": {"deferred": {}}})),
        ("task", "task.sup.worker.normal.task-1.b.1", json!({"version": 2, "input": {"streamed": 1}})),
    ] {
        let world = World::start().await;
        let replica = world.replica("one").await;
        world
            .want(
                &workflow(name, json!([step("a", &[], json!(1)), step("b", &["a"], json!(2))])),
                &[&format!("{name}-1")],
            )
            .await;
        while world.count("task.>").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        write_as_newer(&world, subject, body).await;
        let told =
            world.await_summary(name, |told| told.message.as_ref().is_some_and(|m| m.contains("left alone"))).await;
        assert_eq!(told.phase, Phase::Running, "{told:#?}");

        // Nothing follows from the answer of the agent that had its task before.
        let _agent = world.agent("worker", echo()).await;
        let answer = format!("res.sup.worker.{name}-1.a.1");
        while world.count(&answer).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ours = world.journal(&format!("{name}-1")).await;
        let events = inspect::read_journal(&world.bus, &world.supervisor, &run_id(&format!("{name}-1"))).await.unwrap();
        assert!(!events.iter().any(|line| line["body"]["type"] == "finished"), "{ours:#?}");
        assert!(name == "task" || world.count("task.sup.worker.normal.*.b.*").await == 0, "{ours:#?}");

        let output = inspect::read_output(&world.bus, &world.supervisor, &run_id(&format!("{name}-1"))).await;
        assert!(output.unwrap_err().to_string().contains("cannot be read"), "{name}");
        replica.stop().await;
    }
}

#[tokio::test]
async fn a_run_that_a_newer_version_accepted_is_not_accepted_again() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    write_as_newer(&world, "run.sup.later-1", json!({"version": 2, "type": "accepted", "definition": {}})).await;
    let replica = world.replica("one").await;
    world.want(&workflow("later", json!([step("a", &[], json!(1))])), &["later-1"]).await;
    let told = world.await_summary("later", |told| told.message.is_some()).await;
    assert!(told.message.as_ref().is_some_and(|message| message.contains("left alone")), "{told:#?}");
    assert_eq!((world.count("run.>").await, world.count("task.>").await), (1, 0));
    replica.stop().await;
}
