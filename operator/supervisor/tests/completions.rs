//! Runs that begin because runs of another Workflow have ended, on a real bus.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_core::workflow::{
    definition::Definition,
    journal::{Entry, FinalPhase, RunEvent},
    trigger::Trigger,
};
use tetrarch_protocol::{
    control::{Control, Retry},
    snapshot::{TriggerSnapshot, WorkflowSnapshot},
    stream::WORK,
    summary::Phase,
};
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, echo, fail, run_id, step, succeed, wanted, workflow_with};

fn scan(keep: u32) -> Definition {
    workflow_with("scan", json!([step("look", &[], json!({"found": 3}))]), json!({"keepRuns": keep}))
}

fn report() -> Definition {
    let steps = json!([step("write", &[], json!({"of": "${params.of}"}))]);
    workflow_with("report", steps, json!({"keepRuns": 1, "parameters": {"of": null}}))
}

fn trigger(when: Option<&str>, since: Timestamp) -> TriggerSnapshot {
    let trigger = Trigger {
        name: "after-scan".parse().unwrap(),
        workflow: "scan".parse().unwrap(),
        phases: vec![FinalPhase::Succeeded],
        when: when.map(str::to_owned),
        parameters: json!({"of": "${run.id}"}).as_object().unwrap().clone(),
    };
    TriggerSnapshot { trigger, since, prefix: "report-0a1b2".to_owned() }
}

async fn want_report(world: &World, triggers: Vec<TriggerSnapshot>) {
    world.want_as(WorkflowSnapshot { triggers, ..wanted(&report(), &[], &[]) }).await;
}

/// The runs in the stream whose ids begin like this.
async fn runs(world: &World, prefix: &str) -> Vec<String> {
    let stream = world.bus.jetstream().get_stream(WORK).await.unwrap();
    let mut subjects = stream.info_with_subjects("run.sup.>").await.unwrap();
    let mut found = Vec::new();
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject.unwrap();
        found.extend(subject.strip_prefix("run.sup.").filter(|run| run.starts_with(prefix)).map(str::to_owned));
    }
    found
}

/// Every run of the Workflow report in the stream: the run that it follows, and the values that it was given.
async fn followers(world: &World) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for run in runs(world, "report-").await {
        let journal = world.journal(&run).await;
        let accepted = journal.iter().find_map(|record| match &record.body {
            Body::Entry(Entry::Run(RunEvent::Accepted { origin, parameters, .. })) => Some((origin, parameters)),
            _ => None,
        });
        let (origin, parameters) = accepted.unwrap();
        let before = origin.as_ref().unwrap().run.as_ref().unwrap();
        found.push((before.to_string(), json!(parameters)));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

async fn await_followers(world: &World, count: usize) -> Vec<(String, Value)> {
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    loop {
        let found = followers(world).await;
        if found.len() >= count {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn each_end_begins_one_run_whatever_dies_also_when_its_runs_are_not_kept() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let since = Timestamp::now();
    want_report(&world, vec![trigger(Some("run.phase == 'Succeeded'"), since)]).await;
    let ids = ["scan-1", "scan-2", "scan-3", "scan-4"];
    world.want(&scan(10), &ids).await;
    for turn in 0..4 {
        let replica = world.replica(&format!("short-{turn}")).await;
        tokio::time::sleep(Duration::from_millis(100 + 150 * turn)).await;
        drop(replica);
    }
    let replicas = [world.replica("one").await, world.replica("two").await];
    let expected: Vec<(String, Value)> = ids.iter().map(|id| ((*id).to_owned(), json!({"of": id}))).collect();
    assert_eq!(await_followers(&world, 4).await, expected);
    // Only one of them would be kept, but as long as the runs before are there they would begin again.
    for run in runs(&world, "report-").await {
        let deadline = tokio::time::Instant::now() + world::PATIENCE;
        while world.end(&run).await.is_none() {
            assert!(tokio::time::Instant::now() < deadline, "{run} does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        world.assert_once(&run).await;
    }
    for replica in replicas {
        replica.stop().await;
    }
    let replica = world.replica("three").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(followers(&world).await, expected);
    // When the runs before go, so do those that follow them, up to the one that is kept by itself.
    world.want(&scan(1), &[]).await;
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while runs(&world, "report-").await.len() > 2 || runs(&world, "scan-").await.len() > 1 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", runs(&world, "").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.stop().await;
    let replica = world.replica("four").await;
    world.want(&scan(1), &["scan-5"]).await;
    world.await_end("scan", "scan-5").await;
    let cause = "trigger after-scan: run scan-5 Succeeded";
    world.await_summary("report", |summary| summary.cause.as_deref() == Some(cause)).await;
    replica.stop().await;
}

#[tokio::test]
async fn a_condition_that_cannot_be_evaluated_is_a_run_that_says_so_and_one_that_is_false_is_none() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let replica = world.replica("one").await;
    let since = Timestamp::now();
    let mut other = trigger(Some("output.nothing > 1"), since);
    other.trigger.name = "flawed".parse().unwrap();
    want_report(&world, vec![trigger(Some("run.phase == 'Failed'"), since), other]).await;
    world.want(&scan(10), &["scan-1"]).await;
    assert_eq!(await_followers(&world, 1).await, [("scan-1".to_owned(), json!({}))]);
    let summary = world.await_summary("report", |summary| summary.phase == Phase::Failed).await;
    assert!(summary.message.unwrap().contains("when of trigger flawed: "));
    assert_eq!(summary.cause.as_deref(), Some("trigger flawed: run scan-1 Succeeded"));
    assert_eq!(runs(&world, "report-").await.len(), 1);
    replica.stop().await;
}

#[tokio::test]
async fn what_ended_before_the_trigger_was_written_begins_nothing() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let replica = world.replica("one").await;
    world.want(&scan(10), &["scan-1"]).await;
    world.await_end("scan", "scan-1").await;
    want_report(&world, vec![trigger(None, Timestamp::now())]).await;
    world.want(&scan(10), &["scan-1", "scan-2"]).await;
    assert_eq!(await_followers(&world, 1).await, [("scan-2".to_owned(), json!({"of": "scan-2"}))]);
    replica.stop().await;
}

#[tokio::test]
async fn a_run_that_is_opened_again_is_followed_when_it_meets_the_condition_then() {
    let world = World::start().await;
    let is_repaired = Arc::new(AtomicBool::new(false));
    let behaviour: Behaviour = {
        let is_repaired = is_repaired.clone();
        Arc::new(move |_, input| if is_repaired.load(Ordering::SeqCst) { succeed(input) } else { fail("broken") })
    };
    let _agent = world.agent("worker", behaviour).await;
    let replica = world.replica("one").await;
    let mut after = trigger(Some("run.phase == 'Succeeded'"), Timestamp::now());
    after.trigger.phases.push(FinalPhase::Failed);
    want_report(&world, vec![after]).await;
    world.want(&scan(10), &["scan-1"]).await;
    assert_eq!(world.await_end("scan", "scan-1").await.phase, Phase::Failed);
    assert_eq!(followers(&world).await, []);
    is_repaired.store(true, Ordering::SeqCst);
    let retry = Retry { run: run_id("scan-1"), request: "again".to_owned(), cause: "by ada".to_owned(), stamp: None };
    world.want_under(&scan(10), &["scan-1"], Control { retry: vec![retry], ..Control::default() }).await;
    assert_eq!(await_followers(&world, 1).await, [("scan-1".to_owned(), json!({"of": "scan-1"}))]);
    replica.stop().await;
}
