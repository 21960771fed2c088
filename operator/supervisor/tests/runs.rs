//! Runs to their end on a real bus, with agents played in this process.

mod world;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tetrarch_bus::domain::Settings;
use tetrarch_core::workflow::{
    approval::Decision,
    journal::{Entry, FinalPhase, RunEvent},
};
use tetrarch_protocol::{
    snapshot::{StepDecision, WorkflowLimits},
    stream::REPORT_BUCKET,
    summary::{Phase, RunSummary},
};
use tetrarch_supervisor::{inspect, journal::Body};
use world::{
    Behaviour, World, echo, fail, hand_over, large, map, run_id, step, succeed, task, task_for, workflow, workflow_with,
};

#[tokio::test]
async fn every_pattern_runs_to_its_end() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let definition = workflow(
        "patterns",
        json!([
            step("first", &[], json!({"n": 1})),
            map("each", 25, 5),
            {"name": "sides", "after": ["first"], "kind": {"parallel": [
                {"name": "a", "stages": [{"name": "one", "task": task(json!("a"))}]},
                {"name": "b", "stages": [{"name": "one", "task": task(json!("b"))}, {"name": "two", "task": task(json!("bb"))}]},
            ]}},
            {"name": "chain", "after": ["sides", "each"], "when": "steps.first.output.n == 1", "kind": {"pipeline": [
                {"name": "one", "task": task(json!("${steps.sides.output}"))},
                {"name": "two", "task": task(json!("${previous}"))},
            ]}},
            {"name": "never", "after": ["first"], "when": "steps.first.output.n > 1", "kind": {"task": task(json!(0))}},
        ]),
    );
    world.want(&definition, &["patterns-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_end("patterns", "patterns-1").await;
    assert_eq!((summary.phase, summary.ended, summary.total), (Phase::Succeeded, 5, 5), "{summary:#?}");
    let items: Vec<_> = (0..25).collect();
    let output = inspect::read_output(&world.bus, &world.supervisor, &run_id("patterns-1")).await.unwrap();
    assert_eq!(output["chain"], json!({"a": "a", "b": "bb"}));
    assert_eq!(summary.steps[1].succeeded, 25);
    assert_eq!(summary.steps[4].phase, Phase::Skipped);
    world.assert_once("patterns-1").await;
    let journal = inspect::read_journal(&world.bus, &world.supervisor, &run_id("patterns-1")).await.unwrap();
    assert!(journal[0]["body"]["type"] == "accepted" && journal.last().unwrap()["body"]["type"] == "finished");
    let listed = inspect::list_runs(&world.bus, &world.supervisor).await.unwrap();
    assert_eq!(listed.iter().map(|run| run.phase.as_str()).collect::<Vec<_>>(), ["Succeeded"]);
    assert!(items.len() == 25);
    let metrics = replica.metrics().render().unwrap();
    assert!(metrics.contains("tetrarch_tasks_completed_total{class=\"normal\",outcome=\"succeeded\"} 31"), "{metrics}");
    replica.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_and_a_hopeless_task_ends_the_run() {
    let world = World::start().await;
    let flaky: Behaviour = Arc::new(|subject, input| match (subject.to_string().ends_with(".1"), input.as_str()) {
        (true, Some("once")) => fail("not yet"),
        (_, Some("never")) => fail("no"),
        _ => succeed(input),
    });
    let _agent = world.agent("worker", flaky).await;
    world.want(&workflow("flaky", json!([step("s", &[], json!("once"))])), &["flaky-1"]).await;
    world.want(&workflow("hopeless", json!([step("s", &[], json!("never"))])), &["hopeless-1"]).await;
    let replica = world.replica("one").await;
    let flaky = world.await_end("flaky", "flaky-1").await;
    assert_eq!((flaky.phase, flaky.steps[0].retries), (Phase::Succeeded, 1));
    let hopeless = world.await_end("hopeless", "hopeless-1").await;
    assert_eq!((hopeless.phase, hopeless.steps[0].retries), (Phase::Failed, 2));
    assert!(hopeless.message.unwrap().contains("no"), "the agent's words are in the message");
    replica.stop().await;
}

/// Hands a text larger than a message to its peer, which measures it.
fn handing() -> Behaviour {
    Arc::new(|_, input| match input.as_str() {
        Some("start") => hand_over("work", Value::String("x".repeat(3 * 1024 * 1024)), Some("too long".to_owned())),
        Some(text) => succeed(json!(text.len())),
        None => fail("no text"),
    })
}

#[tokio::test]
async fn a_task_is_handed_to_a_peer_with_an_input_of_any_size() {
    let world = World::start().await;
    let _agent = world.agent("worker", handing()).await;
    let mut handed = step("answer", &[], json!("start"));
    handed["kind"]["task"]["handOver"] = json!({"to": ["work"], "limit": 1});
    world.want(&workflow("handed", json!([handed])), &["handed-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_end("handed", "handed-1").await;
    assert_eq!(summary.output, Some(json!({"answer": 3 * 1024 * 1024})), "{summary:#?}");
    let step = &summary.steps[0];
    assert_eq!((step.tasks, step.succeeded, step.retries), (2, 2, 0), "{step:#?}");
    let said = "task answer was handed over to capability work (hand-over 1): too long";
    assert_eq!(step.message.as_deref(), Some(said));
    replica.stop().await;
}

#[tokio::test]
async fn values_larger_than_a_message_travel_and_vanish_with_their_run() {
    let world = World::start().await;
    let _agent = world.agent("worker", large()).await;
    let steps = json!([step("make", &[], json!("make")), step("measure", &["make"], json!("${steps.make.output}"))]);
    let definition = workflow_with("large", steps, json!({"keepRuns": 1}));
    world.want(&definition, &["large-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_end("large", "large-1").await;
    assert_eq!(summary.output, Some(json!({"measure": 3 * 1024 * 1024})), "{summary:#?}");
    let blobs = || async { world.bus.jetstream().get_stream("OBJ_BLOB").await.unwrap().cached_info().state.messages };
    assert!(blobs().await > 0);
    world.want_with(&definition, &[], &[], true).await;
    let key = tetrarch_protocol::summary::workflow_key(&world.supervisor, &definition.workflow);
    for _ in 0..500 {
        if world.count(">").await == 0
            && blobs().await == 0
            && world.bus.get(REPORT_BUCKET, &key).await.unwrap().is_none()
        {
            replica.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left: {} entries, {} chunks, {:?}", world.count(">").await, blobs().await, world.summary("large").await);
}

#[tokio::test]
async fn a_run_waits_for_a_person_and_the_journal_has_the_decision_once() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let ask = json!({"approvers": [{"kind": "Group", "name": "legal"}], "timeout": 3_600_000, "onTimeout": "Reject"});
    let asking = json!({"name": "sign-off", "kind": {"approval": ask}});
    let definition =
        workflow("asked", json!([asking, step("publish", &["sign-off"], json!("${steps['sign-off'].output.by}"))]));
    world.want(&definition, &["asked-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_summary("asked", |summary| !summary.waiting.is_empty()).await;
    assert_eq!((summary.phase, summary.steps[0].phase), (Phase::Waiting, Phase::Waiting), "{summary:#?}");
    let question = &summary.waiting[0];
    assert_eq!(
        (question.step.as_str(), question.attempt, question.approval.who().as_str()),
        ("sign-off", 1, "Group legal")
    );

    let said = |attempt, generation| StepDecision {
        run: run_id("asked-1"),
        step: question.step.clone(),
        attempt,
        generation,
        decision: Decision { approved: true, by: "ada".to_owned(), at: question.since, reason: None },
    };
    // Those of another question and of another generation are not taken.
    let foreign = vec![said(2, question.generation), said(1, question.generation + 1)];
    world.want_decided(&definition, &["asked-1"], foreign.clone()).await;
    let all: Vec<_> = foreign.into_iter().chain([said(1, question.generation)]).collect();
    world.want_decided(&definition, &["asked-1"], all.clone()).await;
    let summary = world.await_end("asked", "asked-1").await;
    assert_eq!((summary.phase, summary.output), (Phase::Succeeded, Some(json!({"publish": "ada"}))));
    assert!(summary.waiting.is_empty());
    world.want_decided(&definition, &["asked-1"], all.into_iter().rev().collect()).await;
    replica.stop().await;
    let journal = world.journal("asked-1").await;
    let is_decision = |record: &&_| {
        let world_record: &tetrarch_supervisor::journal::Record = record;
        matches!(&world_record.body, Body::Entry(Entry::Run(RunEvent::Decided { decision, .. })) if decision.by == "ada")
    };
    assert_eq!(journal.iter().filter(is_decision).count(), 1, "{journal:#?}");
}

#[tokio::test]
async fn a_cancelled_run_leaves_no_task_in_any_queue() {
    let world = World::start().await;
    let definition = workflow("long", json!([map("each", 40, 40)]));
    world.want(&definition, &["long-1"]).await;
    let replica = world.replica("one").await;
    world.await_summary("long", |summary| summary.phase == Phase::Running).await;
    for _ in 0..500 {
        if world.count("task.>").await == 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.count("task.>").await, 8, "a pool of 4 slots has a window of 8");
    world.want_with(&definition, &["long-1"], &["long-1"], false).await;
    let summary = world.await_end("long", "long-1").await;
    assert_eq!(summary.phase, Phase::Cancelled);
    for _ in 0..500 {
        if world.count("task.>").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.count("task.>").await, 0);
    let agent = world.agent("worker", echo()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(agent.calls(), 0, "a withdrawn task was handed out");
    replica.stop().await;
}

#[tokio::test]
async fn runs_beyond_the_places_of_their_class_wait_in_line_and_say_so() {
    let mut world = World::start().await;
    world.configure(&["worker"], 1).await;
    let is_open = Arc::new(AtomicBool::new(false));
    let order = Arc::new(Mutex::new(Vec::new()));
    let gate: Behaviour = {
        let (is_open, order) = (is_open.clone(), order.clone());
        Arc::new(move |subject, input| {
            order.lock().unwrap().push(subject.to_string());
            if is_open.load(Ordering::SeqCst) { succeed(input) } else { fail("closed") }
        })
    };
    let mut patient = task(json!(1));
    patient["retry"] = json!({"limit": 1000, "initial": 20, "factor": 1, "max": 20});
    let definition =
        |name: &str| workflow(name, json!([{"name": "s", "after": [], "kind": {"task": patient.clone()}}]));
    let _agent = world.agent("worker", gate).await;
    let replica = world.replica("one").await;
    world.want(&definition("first"), &["first-1"]).await;
    world.await_summary("first", |summary| summary.phase == Phase::Running).await;
    world.want(&definition("second"), &["second-1"]).await;
    let second = world.await_summary("second", |summary| summary.message.is_some()).await;
    assert_eq!(second.message.as_deref(), Some("waits for a place in class normal: 1st of 1, 1 of 1 runs are active"));
    world.want(&definition("third"), &["third-1"]).await;
    let third = world.await_summary("third", |summary| summary.message.is_some()).await;
    assert!(third.message.unwrap().contains("2nd of 2"));
    assert_eq!((second.phase, third.phase), (Phase::Pending, Phase::Pending));
    is_open.store(true, Ordering::SeqCst);
    assert_eq!(world.await_end("third", "third-1").await.phase, Phase::Succeeded);
    let order = order.lock().unwrap().clone();
    let at = |run: &str| order.iter().position(|subject| subject.contains(run)).unwrap();
    assert!(at("first-1") < at("second-1") && at("second-1") < at("third-1"));
    replica.stop().await;
}

#[tokio::test]
async fn a_task_without_a_pool_waits_and_says_what_to_do() {
    let mut world = World::start().await;
    let agent = json!({"capability": "work"});
    let definition = workflow("lost", json!([{"name": "s", "after": [], "kind": {"task": task_for(agent, json!(1))}}]));
    world.configure(&[], 10).await;
    world.want(&definition, &["lost-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_summary("lost", |summary| summary.message.is_some()).await;
    let message = summary.message.unwrap();
    assert!(message.contains("spec.capabilities") && message.contains("\"work\""), "{message}");
    world.configure(&["late"], 10).await;
    world
        .await_summary("lost", |summary| {
            summary.message.as_deref() == Some("tasks wait for AgentPool late, which has no ready agent")
        })
        .await;
    let _agent = world.agent("late", echo()).await;
    assert_eq!(world.await_end("lost", "lost-1").await.phase, Phase::Succeeded);
    world.configure(&[], 10).await;
    for _ in 0..500 {
        let stream = world.bus.jetstream().get_stream("WORK").await.unwrap();
        if stream.get_consumer::<async_nats::jetstream::consumer::pull::Config>("sup_late_normal").await.is_err() {
            replica.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the consumer of a pool that is gone stays");
}

#[tokio::test]
async fn finished_runs_beyond_the_retention_are_purged_and_never_run_again() {
    let world = World::start().await;
    let agent = world.agent("worker", echo()).await;
    let definition = workflow_with("kept", json!([step("s", &[], json!(1))]), json!({"keepRuns": 2}));
    let replica = world.replica("one").await;
    let runs: Vec<String> = (1..=5).map(|n| format!("kept-{n}")).collect();
    for run in &runs {
        // The first run stays wanted all the time, as the one of a generation does.
        world.want(&definition, &["kept-1", run]).await;
        assert_eq!(world.await_end("kept", run).await.phase, Phase::Succeeded);
    }
    for _ in 0..500 {
        if world.count("run.>").await == 3 * 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut left = Vec::new();
    for run in &runs {
        if world.end(run).await == Some(FinalPhase::Succeeded) {
            left.push(run.as_str());
        }
    }
    assert_eq!(left, ["kept-1", "kept-4", "kept-5"]);
    // What a slow sidecar still writes for a purged run goes the same way.
    world.bus.publish_new("res.sup.worker.kept-2.s.1", "late").await.unwrap();
    for _ in 0..500 {
        if world.count("*.sup.worker.kept-2.>").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.count("*.sup.worker.kept-2.>").await, 0);
    replica.stop().await;
    let replica = world.replica("two").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(agent.calls(), 5, "a run of the past ran again");
    replica.stop().await;
}

#[tokio::test]
async fn a_full_stream_refuses_a_run_with_a_reason_and_takes_it_when_there_is_room() {
    let world = World::start_with(&Settings { max_work_bytes: Some(64 * 1024), replicas: 1 }).await;
    let _agent = world.agent("worker", echo()).await;
    for n in 0..20 {
        let filler = vec![b'x'; 4 * 1024];
        if world.bus.publish_new(format!("run.other.filler-{n}"), filler).await.is_err() {
            break;
        }
    }
    let definition = workflow("tight", json!([step("s", &[], Value::String("y".repeat(8 * 1024)))]));
    world.want(&definition, &["tight-1"]).await;
    let replica = world.replica("one").await;
    let summary = world.await_summary("tight", |summary| summary.message.is_some()).await;
    assert_eq!(summary.phase, Phase::Pending);
    assert!(summary.message.as_deref().unwrap().contains("stores no more"), "{summary:?}");
    world.bus.ensure_domain(&Settings::default()).await.unwrap();
    assert_eq!(world.await_end("tight", "tight-1").await.phase, Phase::Succeeded);
    replica.stop().await;
}

#[tokio::test]
async fn the_load_report_counts_tasks_and_agents() {
    let world = World::start().await;
    let definition = workflow("long", json!([map("each", 30, 30)]));
    world.want(&definition, &["long-1"]).await;
    let replica = world.replica("one").await;
    for _ in 0..500 {
        let load = world.load().await.unwrap_or_default();
        if load.active_runs == 1 && load.pools.get("worker").is_some_and(|pool| pool.queued == 30) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.load().await.unwrap().pools["worker"].queued, 30);
    let _agent = world.agent("worker", echo()).await;
    world.await_end("long", "long-1").await;
    for _ in 0..500 {
        let load = world.load().await.unwrap();
        if load.active_runs == 0 && load.pools["worker"].queued == 0 && load.pools["worker"].agents == 1 {
            replica.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", world.load().await);
}

#[tokio::test]
async fn an_idle_supervisor_writes_nothing() {
    let world = World::start().await;
    let _agent = world.agent("worker", echo()).await;
    let definition = workflow("quiet", json!([step("s", &[], json!(1))]));
    world.want(&definition, &["quiet-1"]).await;
    let replica = world.replica("one").await;
    world.await_end("quiet", "quiet-1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let state = || async {
        let mut last = Vec::new();
        for stream in ["WORK", "KV_REPORT", "KV_CONFIG"] {
            last.push(world.bus.jetstream().get_stream(stream).await.unwrap().cached_info().state.last_sequence);
        }
        last
    };
    let before = state().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(state().await, before);
    replica.stop().await;
}

#[tokio::test]
async fn a_policy_that_was_tightened_shortens_what_a_run_starts_from_then_on() {
    let world = World::start().await;
    let definition = workflow("bounded", json!([map("each", 2, 1)]));
    world.want(&definition, &["bounded-1"]).await;
    let replica = world.replica("one").await;
    world.await_summary("bounded", |summary| summary.phase == Phase::Running).await;
    let limits =
        WorkflowLimits { task_timeout: Some(Duration::from_secs(7)), run_timeout: Some(Duration::from_secs(50)) };
    world.want_within(&definition, &["bounded-1", "bounded-2"], limits).await;
    // The second run starts under the new bounds; then an agent lets the first one go on.
    let is_second = |summary: &RunSummary| summary.run.as_str() == "bounded-2" && summary.started_at.is_some();
    world.await_summary("bounded", is_second).await;
    let _agent = world.agent("worker", echo()).await;
    world.await_end("bounded", "bounded-2").await;
    world.await_runs_to_end(&["bounded-1", "bounded-2"]).await;
    assert_eq!(world.task_timeouts("bounded-1").await, [30_000, 7_000]);
    assert_eq!(world.task_timeouts("bounded-2").await, [7_000, 7_000]);
    let mut times = Vec::new();
    for run in ["bounded-1", "bounded-2"] {
        times.extend(world.journal(run).await.into_iter().find_map(|record| match record.body {
            Body::Entry(Entry::Run(RunEvent::Started { deadline })) => Some(deadline.duration_since(record.at)),
            _ => None,
        }));
    }
    // The deadline is counted from a moment before the journal has it.
    assert!(times[0] > SignedDuration::from_secs(100) && times[0] <= SignedDuration::from_secs(120), "{times:?}");
    assert!(times[1] <= SignedDuration::from_secs(50), "{times:?}");
    replica.stop().await;
}
