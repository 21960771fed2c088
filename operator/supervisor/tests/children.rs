//! Steps that stand for runs of other Workflows, on a real bus.

mod world;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tetrarch_core::{
    id::RunId,
    workflow::journal::{Entry, FinalPhase, RunEvent},
};
use tetrarch_protocol::{
    control::{Control, Retry},
    summary::Phase,
};
use tetrarch_supervisor::journal::Body;
use world::{Behaviour, World, echo, fail, large, name, run_id, step, workflow, workflow_with};

#[expect(clippy::needless_pass_by_value, reason = "values are written in place with json!")]
fn calls(step: &str, after: &[&str], callee: &str, parameters: Value) -> Value {
    let retry = json!({"limit": 0, "initial": 100, "factor": 1, "max": 100});
    json!({
        "name": step,
        "after": after,
        "kind": {"workflow": {"name": callee, "parameters": parameters, "retry": retry}},
    })
}

fn child(workflow: &str, parent: &str, step: &str) -> String {
    RunId::of_child(&name(workflow), &run_id(parent), &name(step), 1).to_string()
}

/// Takes `text` and gives it back as its output.
fn inner() -> tetrarch_core::workflow::definition::Definition {
    workflow_with(
        "inner",
        json!([step("say", &[], json!("${params.text}"))]),
        json!({"parameters": {"text": "nothing"}, "output": "${steps.say.output}"}),
    )
}

#[tokio::test]
async fn a_step_runs_another_workflow_in_its_own_place_and_has_its_output() {
    let mut world = World::start().await;
    // With places of their own the inner runs would wait for the outer ones for ever.
    world.configure(&["worker"], 1).await;
    let _agent = world.agent("worker", echo()).await;
    let replicas = [world.replica("one").await, world.replica("two").await];
    let outer = workflow(
        "outer",
        json!([
            step("first", &[], json!("hello")),
            calls("inner", &["first"], "inner", json!({"text": "${steps.first.output}"})),
            step("last", &["inner"], json!("${steps.inner.output}")),
        ]),
    );
    world.want(&inner(), &[]).await;
    let runs = ["outer-1", "outer-2", "outer-3"];
    world.want(&outer, &runs).await;
    world.await_runs_to_end(&runs).await;
    for run in runs {
        assert_eq!(world.end(run).await, Some(FinalPhase::Succeeded));
        world.assert_once(run).await;
        world.assert_once(&child("inner", run, "inner")).await;
    }
    let summary = world.await_summary("outer", |summary| summary.phase == Phase::Succeeded).await;
    assert_eq!(summary.output, Some(json!({"last": "hello"})));
    let of_step = summary.steps[1].run.as_ref().unwrap().to_string();
    assert_eq!(of_step, child("inner", summary.run.as_str(), "inner"));
    let of_inner = world.await_summary("inner", |summary| summary.phase.is_final()).await;
    assert_eq!(
        of_inner.output,
        Some(json!("hello")),
        "a Workflow without runs of its own shows those it does for others"
    );
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn the_failure_of_a_run_fails_its_step_and_names_the_run() {
    let world = World::start().await;
    let broken: Behaviour = Arc::new(|_, _| fail("no luck"));
    let _agent = world.agent("worker", broken).await;
    world.want(&inner(), &[]).await;
    world.want(&workflow("outer", json!([calls("inner", &[], "inner", json!({}))])), &["outer-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_end("outer", "outer-1").await;
    let (message, run) = (summary.message.unwrap(), child("inner", "outer-1", "inner"));
    assert_eq!(summary.phase, Phase::Failed);
    assert!(message.contains(&format!("run {run} of Workflow inner failed: step say:")), "{message}");

    // Whoever wants the inner run to go on hears where to ask.
    let retry = Retry { run: run_id(&run), request: "again".to_owned(), cause: "by ada".to_owned(), stamp: None };
    world.want_under(&inner(), &[], Control { retry: vec![retry], ..Control::default() }).await;
    let told = world.await_summary("inner", |summary| !summary.refused.is_empty()).await.refused;
    let why = "it works for step inner of run outer-1, which has heard of its end: ask for that one";
    assert_eq!(told, [format!("run {run}: it is not opened again: {why}")]);
    replica.stop().await;
}

#[tokio::test]
async fn parameters_that_the_other_workflow_does_not_know_fail_the_step_and_say_so() {
    let world = World::start().await;
    world.want(&inner(), &[]).await;
    world.want(&workflow("outer", json!([calls("inner", &[], "inner", json!({"txt": 1}))])), &["outer-1"]).await;
    let replica = world.replica("one").await;
    let message = world.await_end("outer", "outer-1").await.message.unwrap();
    assert!(message.contains("there is no parameter \"txt\""), "{message}");
    replica.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_and_one_whose_time_is_over_take_their_runs_along() {
    let world = World::start().await;
    world.want(&inner(), &[]).await;
    let cancelled = workflow("cancelled", json!([calls("inner", &[], "inner", json!({}))]));
    world.want(&cancelled, &["cancelled-1"]).await;
    let late = workflow_with("late", json!([calls("inner", &[], "inner", json!({}))]), json!({"timeout": 1500}));
    world.want(&late, &["late-1"]).await;
    let replica = world.replica("one").await;
    let run = child("inner", "cancelled-1", "inner");
    let deadline = tokio::time::Instant::now() + world::PATIENCE;
    while world.journal(&run).await.len() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "it begins, and its task is in the queue");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.want_with(&cancelled, &["cancelled-1"], &["cancelled-1"], false).await;
    assert_eq!(world.await_end("cancelled", "cancelled-1").await.phase, Phase::Cancelled);
    let of_late = child("inner", "late-1", "inner");
    world.await_runs_to_end(&[&run, "late-1", &of_late]).await;
    assert_eq!(world.end(&run).await, Some(FinalPhase::Cancelled));
    assert_eq!(world.end("late-1").await, Some(FinalPhase::Failed));
    let end = world.end(&of_late).await;
    assert!(
        matches!(end, Some(FinalPhase::Failed | FinalPhase::Cancelled)),
        "its time was over with the other's: {end:?}"
    );
    replica.stop().await;
}

#[tokio::test]
async fn a_step_waits_visibly_for_a_workflow_that_is_not_there_and_goes_on_when_it_comes() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    world.want(&workflow("outer", json!([calls("inner", &[], "inner", json!({"text": "late"}))])), &["outer-1"]).await;
    let replica = world.replica("one").await;
    let says = |text: &str| text.contains("waits for Workflow inner, which this Supervisor does not have");
    world.await_summary("outer", |summary| summary.message.as_deref().is_some_and(says)).await;
    world.want(&inner(), &[]).await;
    assert_eq!(world.await_end("outer", "outer-1").await.output, Some(json!({"inner": "late"})));
    replica.stop().await;
}

#[tokio::test]
async fn the_output_of_a_run_may_be_larger_than_a_message() {
    let world = World::start().await;
    let _agent = world.agent("worker", large()).await;
    world.want(&inner(), &[]).await;
    let steps = json!([
        calls("inner", &[], "inner", json!({"text": "make"})),
        step("measure", &["inner"], json!("${steps.inner.output}")),
    ]);
    world.want(&workflow("outer", steps), &["outer-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("outer", "outer-1").await.output, Some(json!({"measure": 3 * 1024 * 1024})));
    replica.stop().await;
}

#[tokio::test]
async fn a_run_of_a_step_begins_once_whatever_dies_meanwhile() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let steps = json!([
        calls("one", &[], "middle", json!({})),
        calls("two", &["one"], "middle", json!({})),
        calls("three", &["two"], "middle", json!({})),
    ]);
    world.want(&inner(), &[]).await;
    world.want(&workflow("middle", json!([calls("inner", &[], "inner", json!({"text": "deep"}))])), &[]).await;
    world.want(&workflow("outer", steps), &["outer-1"]).await;
    // Dropped, a replica ends as in a crash; each time a little later.
    for turn in 0..12 {
        let replica = world.replica(&format!("short-{turn}")).await;
        tokio::time::sleep(Duration::from_millis(300 + 70 * turn)).await;
        drop(replica);
    }
    let replica = world.replica("last").await;
    world.await_runs_to_end(&["outer-1"]).await;
    assert_eq!(world.end("outer-1").await, Some(FinalPhase::Succeeded));
    world.assert_once("outer-1").await;
    for step in ["one", "two", "three"] {
        let middle = child("middle", "outer-1", step);
        for run in [middle.clone(), child("inner", &middle, "inner")] {
            world.assert_once(&run).await;
            let journal = world.journal(&run).await;
            let accepted = journal
                .iter()
                .filter(|record| matches!(record.body, Body::Entry(Entry::Run(RunEvent::Accepted { .. }))));
            assert_eq!(accepted.count(), 1, "{run}");
        }
    }
    assert_eq!(
        world.count("run.sup.>").await,
        {
            let mut events = 0;
            for run in ["one", "two", "three"].map(|step| child("middle", "outer-1", step)) {
                events += world.count(&format!("run.sup.{run}")).await;
                events += world.count(&format!("run.sup.{}", child("inner", &run, "inner"))).await;
            }
            events + world.count("run.sup.outer-1").await
        },
        "and there are no other runs"
    );
    replica.stop().await;
}
