//! Runs that begin because somebody publishes events, on a real bus.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{collections::BTreeMap, time::Duration};

use async_nats::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_core::workflow::{
    definition::Definition,
    journal::{Entry, RunEvent},
    message::{MessageTrigger, Source},
};
use tetrarch_protocol::{
    snapshot::{MessageSnapshot, WorkflowSnapshot},
    summary::Phase,
};
use tetrarch_supervisor::journal::Body;
use world::{PATIENCE, World, echo, name, step, wanted, workflow_with};

fn ship(keep: u32) -> Definition {
    let steps = json!([step("pack", &[], json!({"of": "${params.of}"}))]);
    workflow_with("ship", steps, json!({"keepRuns": keep, "parameters": {"of": null}}))
}

fn ordered(when: Option<&str>) -> MessageSnapshot {
    let trigger = MessageTrigger {
        name: name("ordered"),
        source: Source::Event { topic: name("orders") },
        when: when.map(str::to_owned),
        parameters: json!({"of": "${event.body.number}"}).as_object().unwrap().clone(),
    };
    let since = Timestamp::now() - Duration::from_mins(1);
    MessageSnapshot { trigger, since, prefix: "ship-0a1b2".to_owned() }
}

async fn want(world: &World, keep: u32, messages: Vec<MessageSnapshot>) {
    world.want_as(WorkflowSnapshot { messages, ..wanted(&ship(keep), &[], &[]) }).await;
}

/// Publishes an event, with an id of its own when one is given.
/// Publishes an event; false when the server still knows its id and drops it.
async fn publish(world: &World, topic: &str, id: Option<&str>, body: &str) -> bool {
    let mut headers = HeaderMap::new();
    if let Some(id) = id {
        headers.insert("Nats-Msg-Id", id);
    }
    let subject = format!("event.sup.{topic}");
    let stored = world.bus.jetstream().publish_with_headers(subject, headers, body.to_owned().into()).await.unwrap();
    !stored.await.unwrap().duplicate
}

/// How often a run was ever accepted, by the number that it was given.
async fn accepted(world: &World) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for record in tetrarch_supervisor::journal::read(&world.bus, vec!["run.sup.>".to_owned()]).await {
        if let Body::Entry(Entry::Run(RunEvent::Accepted { parameters, .. })) = record.body {
            *found.entry(parameters.get("of").unwrap_or(&Value::Null).to_string()).or_default() += 1;
        }
    }
    found
}

async fn await_that<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn each_event_begins_one_run_whatever_dies_and_is_gone_then() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    want(&world, 100, vec![ordered(Some("event.body.number != 3"))]).await;
    for number in 0..40 {
        publish(&world, "orders", Some(&format!("order-{number}")), &json!({"number": number}).to_string()).await;
    }
    for turn in 0..6 {
        let replica = world.replica(&format!("short-{turn}")).await;
        tokio::time::sleep(Duration::from_millis(60 * turn)).await;
        drop(replica);
    }
    let replicas = [world.replica("one").await, world.replica("two").await];
    await_that("no event is left", || async { world.count("event.>").await == 0 }).await;
    let expected: BTreeMap<String, u32> = (0..40).filter(|n| *n != 3).map(|n| (n.to_string(), 1)).collect();
    assert_eq!(accepted(&world).await, expected);
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn an_event_that_comes_again_begins_nothing_also_when_its_run_is_purged() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    want(&world, 1, vec![ordered(None)]).await;
    let replica = world.replica("one").await;
    for number in [1, 2, 3] {
        publish(&world, "orders", Some(&format!("order-{number}")), &json!({"number": number}).to_string()).await;
    }
    await_that("only one run is kept", || async {
        world.count("event.>").await == 0 && accepted(&world).await.len() == 1
    })
    .await;
    // The server itself drops repeated ids for a while, so this one comes as if that were over.
    let (kept, marks) = (accepted(&world).await, world.count("seen.>").await);
    assert_eq!(marks, 3);
    let work = world.bus.jetstream().get_stream("WORK").await.unwrap();
    let mut config = work.cached_info().config.clone();
    config.duplicate_window = Duration::from_millis(100);
    world.bus.jetstream().update_stream(config).await.unwrap();
    await_that("the server has forgotten the id", || publish(&world, "orders", Some("order-1"), r#"{"number": 1}"#))
        .await;
    await_that("no event is left", || async { world.count("event.>").await == 0 }).await;
    assert_eq!(accepted(&world).await, kept);
    let repeated = r#"messages_total{result="repeated"} "#;
    let metrics = replica.metrics().render().unwrap();
    // Once, or more often when the machine is so slow that the bus delivers it again.
    assert!(metrics.contains(repeated) && !metrics.contains(&format!("{repeated}0")), "{metrics}");
    replica.stop().await;
}

#[tokio::test]
async fn what_is_no_json_is_a_run_that_says_so_and_what_nobody_follows_yet_waits() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let replica = world.replica("one").await;
    publish(&world, "orders", Some("early"), r#"{"number": 7}"#).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.count("event.>").await, 1);
    want(&world, 10, vec![ordered(None)]).await;
    let summary = world.await_summary("ship", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!(summary.cause.as_deref(), Some("trigger ordered: event orders early"));
    assert_eq!(summary.output, Some(json!({"pack": {"of": 7}})));
    publish(&world, "orders", Some("odd"), "seven").await;
    let failed = world.await_summary("ship", |summary| summary.phase == Phase::Failed).await;
    let message = failed.message.unwrap();
    assert!(message.contains("event odd is no JSON") && message.contains("publish JSON"), "{message}");
    await_that("no event is left", || async { world.count("event.>").await == 0 }).await;
    replica.stop().await;
}
