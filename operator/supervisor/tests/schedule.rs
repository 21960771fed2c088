//! Runs that a schedule begins, on a real bus.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tetrarch_core::{
    schedule::{Concurrency, run_of},
    workflow::{definition::Definition, journal::FinalPhase},
};
use tetrarch_protocol::snapshot::ScheduleSnapshot;
use world::{World, echo, step, workflow_with};

const PREFIX: &str = "nightly-0a1b2";

fn nightly() -> Definition {
    keeping(1)
}

fn keeping(runs: u32) -> Definition {
    workflow_with("nightly", json!([step("s", &[], json!(1))]), json!({"keepRuns": runs}))
}

/// Minutes before now, to the minute.
fn ago(minutes: i64) -> Timestamp {
    let now = Timestamp::now();
    let minute = Timestamp::from_second(now.as_second() - now.as_second().rem_euclid(60)).unwrap();
    minute - SignedDuration::from_mins(minutes)
}

/// A schedule with one time in a year, which may be made up for.
fn once_at(time: Timestamp, concurrency: Concurrency) -> ScheduleSnapshot {
    ScheduleSnapshot {
        cron: time.strftime("%M %H %d %m *").to_string(),
        time_zone: "UTC".to_owned(),
        concurrency,
        starting_deadline: Duration::from_hours(5),
        since: ago(10 * 60),
        prefix: PREFIX.to_owned(),
    }
}

fn run_at(time: Timestamp) -> String {
    run_of(PREFIX, time).unwrap().to_string()
}

#[tokio::test]
async fn a_time_that_was_missed_begins_one_run_whatever_dies() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let time = ago(30);
    world.want_scheduled(&nightly(), &[], once_at(time, Concurrency::Allow)).await;
    for turn in 0..4 {
        let replica = world.replica(&format!("short-{turn}")).await;
        tokio::time::sleep(Duration::from_millis(150 + 100 * turn)).await;
        drop(replica);
    }
    let replicas = [world.replica("one").await, world.replica("two").await];
    let run = run_at(time);
    let summary = world.await_end("nightly", &run).await;
    assert_eq!(summary.scheduled, Some(time));
    world.assert_once(&run).await;
    let journal = world.journal(&run).await;
    assert_eq!(world.count("run.sup.>").await, world.count(&format!("run.sup.{run}")).await, "there is no other run");
    assert!(format!("{:?}", journal[0]).contains(&format!("schedule {time}")), "{:?}", journal[0]);
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn the_last_run_of_a_schedule_does_not_begin_again_when_others_push_it_out() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let time = ago(30);
    let replica = world.replica("one").await;
    world.want_scheduled(&nightly(), &[], once_at(time, Concurrency::Allow)).await;
    let run = run_at(time);
    world.await_end("nightly", &run).await;
    for asked in ["nightly-1", "nightly-2", "nightly-3"] {
        world.want_scheduled(&nightly(), &[asked], once_at(time, Concurrency::Allow)).await;
        world.await_end("nightly", asked).await;
    }
    let accepted = world.await_summary("nightly", |summary| !summary.accepted.is_empty()).await.accepted;
    assert_eq!(accepted, ["nightly-3".parse().unwrap()]);
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while world.count("run.sup.nightly-1").await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "beyond its retention");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.assert_once(&run).await;
    replica.stop().await;
}

#[tokio::test]
async fn forbid_waits_for_the_end_of_the_run_before() {
    let world = World::start().await;
    let (first, second) = (ago(60), ago(30));
    let replica = world.replica("one").await;
    world.want_scheduled(&keeping(3), &[], once_at(first, Concurrency::Forbid)).await;
    world.await_summary("nightly", |summary| summary.run.as_str() == run_at(first)).await;
    world.want_scheduled(&keeping(3), &[], once_at(second, Concurrency::Forbid)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.count(&format!("run.sup.{}", run_at(second))).await, 0, "the first one waits for an agent");
    let _agent = world.agent("worker", echo()).await;
    world.await_runs_to_end(&[&run_at(first), &run_at(second)]).await;
    replica.stop().await;
}

#[tokio::test]
async fn replace_cancels_the_run_before() {
    let world = World::start().await;
    let (first, second) = (ago(60), ago(30));
    let replica = world.replica("one").await;
    world.want_scheduled(&keeping(3), &[], once_at(first, Concurrency::Replace)).await;
    world.await_summary("nightly", |summary| summary.run.as_str() == run_at(first)).await;
    world.want_scheduled(&keeping(3), &[], once_at(second, Concurrency::Replace)).await;
    world.await_runs_to_end(&[&run_at(first)]).await;
    assert_eq!(world.end(&run_at(first)).await, Some(FinalPhase::Cancelled));
    let _agent = world.agent("worker", echo()).await;
    world.await_runs_to_end(&[&run_at(second)]).await;
    assert_eq!(world.end(&run_at(second)).await, Some(FinalPhase::Succeeded));
    replica.stop().await;
}

#[tokio::test]
async fn a_time_that_is_too_long_ago_begins_nothing() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let late = ScheduleSnapshot { starting_deadline: Duration::from_mins(10), ..once_at(ago(30), Concurrency::Allow) };
    world.want_scheduled(&nightly(), &["nightly-1"], late).await;
    let replica = world.replica("one").await;
    world.await_end("nightly", "nightly-1").await;
    assert_eq!(world.count(&format!("run.sup.{}", run_at(ago(30)))).await, 0);
    replica.stop().await;
}
