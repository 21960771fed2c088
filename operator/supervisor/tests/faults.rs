//! Runs that go on when servers and replicas die in the middle of them.

#![expect(clippy::panic, reason = "the steps of a test end it when they fail")]

mod world;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tetrarch_core::workflow::journal::{Entry, RunEvent};
use tetrarch_protocol::summary::Phase;
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, echo, fail, map, step, succeed, task, workflow, workflow_with};

fn definition(name: &str, items: usize) -> tetrarch_core::workflow::definition::Definition {
    let mut last = step("last", &["each"], json!("${steps.each.output}"));
    last["after"] = json!(["each"]);
    workflow(name, json!([map("each", items, 20), last]))
}

/// Waits until some results of a run are there, and not yet all.
async fn midway(world: &World, at_least: usize) {
    for _ in 0..30_000 {
        if world.count("res.>").await >= at_least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the run does not get on");
}

#[tokio::test]
async fn a_run_survives_the_death_of_the_bus_in_its_middle() {
    let mut world = World::start().await;
    let agent = world.agent("worker", echo()).await;
    world.want(&definition("tough", 1500), &["tough-1"]).await;
    let replica = world.replica("one").await;
    for results in [100, 400, 800] {
        midway(&world, results).await;
        world.server.restart().await.unwrap();
        world.bus.connected().await;
    }
    let summary = world.await_end("tough", "tough-1").await;
    assert_eq!((summary.phase, summary.steps[0].succeeded), (Phase::Succeeded, 1500), "{summary:#?}");
    assert!(agent.calls() >= 1501);
    world.assert_once("tough-1").await;
    replica.stop().await;
}

#[tokio::test]
async fn runs_go_on_at_another_replica_when_theirs_is_killed() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let one = world.replica("one").await;
    let two = world.replica("two").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let names: Vec<String> = (0..6).map(|n| format!("moved-{n}")).collect();
    for name in &names {
        world.want(&definition(name, 300), &[&format!("{name}-1")]).await;
    }
    midway(&world, 200).await;
    // Dropped, not stopped: its leases stay until they expire.
    drop(one);
    for name in &names {
        let run = format!("{name}-1");
        let summary = world.await_end(name, &run).await;
        assert_eq!((summary.phase, summary.steps[0].succeeded), (Phase::Succeeded, 300), "{summary:#?}");
        world.assert_once(&run).await;
    }
    two.stop().await;
}

#[tokio::test]
async fn replicas_hand_over_when_one_joins_and_one_leaves() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let mut current = world.replica("r0").await;
    for round in 1..4 {
        let name = format!("handed-{round}");
        world.want(&definition(&name, 200), &[&format!("{name}-1")]).await;
        midway(&world, 200 * (round - 1) + 50).await;
        let next = world.replica(&format!("r{round}")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        current.stop().await;
        current = next;
    }
    for round in 1..4 {
        let name = format!("handed-{round}");
        assert_eq!(world.await_end(&name, &format!("{name}-1")).await.phase, Phase::Succeeded);
        world.assert_once(&format!("{name}-1")).await;
    }
    current.stop().await;
}

#[tokio::test]
async fn two_replicas_that_both_believe_to_own_a_run_write_everything_once() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    // The same name: both hold all leases.
    let one = world.replica("same").await;
    let two = world.replica("same").await;
    world.want(&definition("double", 200), &["double-1"]).await;
    let summary = world.await_end("double", "double-1").await;
    assert_eq!(summary.phase, Phase::Succeeded, "{summary:#?}");
    world.assert_once("double-1").await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn what_was_done_is_undone_once_and_in_reverse_while_replicas_and_the_bus_die() {
    let mut world = World::start().await;
    let count = 30;
    // The last booking is refused; giving back takes a while, so that there is a middle to die in.
    let behaviour: Behaviour = Arc::new(|_, input| {
        if input == "refuse" {
            return fail("no");
        }
        if input.get("undo").is_some() {
            std::thread::sleep(Duration::from_millis(10));
        }
        succeed(input)
    });
    let _agent = world.agent("worker", behaviour).await;
    let mut steps: Vec<_> = (0..count)
        .map(|n| {
            let before = format!("s{}", usize::max(n, 1) - 1);
            let after: &[&str] = if n == 0 { &[] } else { &[&before] };
            let mut made = step(&format!("s{n}"), after, json!({"booking": n}));
            made["compensate"] = task(json!({"undo": format!("${{steps.s{n}.output.booking}}")}));
            made
        })
        .collect();
    steps.push(step("pay", &[&format!("s{}", count - 1)], json!("refuse")));
    let definition = workflow_with("saga", json!(steps), json!({"onFailure": "Compensate"}));
    world.want(&definition, &["saga-1"]).await;
    let mut replica = world.replica("r0").await;
    for (round, undone) in [5, 12, 20].into_iter().enumerate() {
        // The refused payment is tried three times.
        midway(&world, count + 3 + undone).await;
        let next = world.replica(&format!("r{}", round + 1)).await;
        // Dropped, not stopped: its leases stay until they expire.
        drop(std::mem::replace(&mut replica, next));
        if round == 1 {
            world.server.restart().await.unwrap();
            world.bus.connected().await;
        }
    }
    let summary = world.await_end("saga", "saga-1").await;
    assert_eq!(summary.phase, Phase::Compensated, "{summary:#?}");
    let journal = world.journal("saga-1").await;
    let lost = |body: &Body| matches!(body, Body::Entry(Entry::Run(RunEvent::CompensationStarted { .. })));
    assert_eq!(journal.iter().filter(|record| lost(&record.body)).count(), 1);
    let undone: Vec<String> = journal
        .iter()
        .filter_map(|record| match &record.body {
            Body::Entry(Entry::Result { path, .. }) if path.as_str().ends_with(":compensate") => Some(path.to_string()),
            _ => None,
        })
        .collect();
    let expected: Vec<String> = (0..count).rev().map(|n| format!("s{n}:compensate")).collect();
    assert_eq!(undone, expected);
    replica.stop().await;
}
