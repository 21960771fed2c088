//! A sidecar when things break around it: its own death, the bus's death, a drain, consumers that come late.

use std::time::Duration;

use crate::support::{Agent, Department, envelope, task, until};
use anyhow::Context as _;
use serde_json::json;
use tetrarch_core::{priority::Class, workflow::journal::FailureReason};
use tetrarch_protocol::task::ResultOutcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SHORT: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn an_idempotent_task_of_a_dead_sidecar_is_done_by_another() -> anyhow::Result<()> {
    let department = Department::start_with(SHORT).await?;
    let (first, second) = (Agent::start().await?, Agent::start().await?);
    let sidecar = department.sidecar(&first, "pod-a", 1).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 600_000}), true)).await?;
    first.called(&task(1), 1).await?;
    sidecar.crash().await;
    let sidecar = department.sidecar(&second, "pod-b", 1).await?;
    second.called(&task(1), 1).await?;
    sidecar.crash().await;
    Ok(())
}

#[tokio::test]
async fn a_task_that_is_not_idempotent_is_never_called_twice_and_ends_unknown() -> anyhow::Result<()> {
    let department = Department::start_with(SHORT).await?;
    let (first, second) = (Agent::start().await?, Agent::start().await?);
    let sidecar = department.sidecar(&first, "pod-a", 1).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 600_000}), false)).await?;
    first.called(&task(1), 1).await?;
    sidecar.crash().await;
    let sidecar = department.sidecar(&second, "pod-b", 1).await?;
    let ResultOutcome::Unknown { message } = department.outcome(&task(1)).await? else { anyhow::bail!("known") };
    assert!(message.contains("pod-a"), "{message}");
    department.settled().await?;
    assert_eq!(second.asked().len(), 0);
    sidecar.stop().await
}

#[tokio::test]
async fn a_task_that_kills_five_sidecars_goes_to_the_dead_letters() -> anyhow::Result<()> {
    let department = Department::start_with(Duration::from_millis(600)).await?;
    let agent = Agent::start().await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 600_000}), true)).await?;
    for death in 1..=5 {
        let sidecar = department.sidecar(&agent, &format!("pod-{death}"), 1).await?;
        agent.called(&task(1), death).await?;
        sidecar.crash().await;
    }
    let sidecar = department.sidecar(&agent, "pod-6", 1).await?;
    let ResultOutcome::Failed { reason, message } = department.outcome(&task(1)).await? else { anyhow::bail!("done") };
    assert_eq!(reason, FailureReason::DeadLettered);
    assert!(message.contains("pod-5"), "{message}");
    assert_eq!(agent.calls(&task(1)), 5);
    assert_eq!(department.count("dead.>").await?.len(), 1);
    department.settled().await?;
    sidecar.stop().await
}

#[tokio::test]
async fn a_long_task_is_kept_by_extending_it() -> anyhow::Result<()> {
    let department = Department::start_with(SHORT).await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 2).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 5000}), true)).await?;
    assert_eq!(department.result(&task(1)).await?.deliveries, 1);
    assert_eq!(agent.calls(&task(1)), 1);
    sidecar.stop().await
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_leaves_the_rest() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let (first, second) = (Agent::start().await?, Agent::start().await?);
    let sidecar = department.sidecar(&first, "pod-a", 2).await?;
    for number in 0..6 {
        department.dispatch(Class::Normal, &task(number), &envelope(json!({"sleep": 1500}), false)).await?;
    }
    until(|| async { (first.asked().len() == 2).then_some(()) }).await?;
    sidecar.handle.drain().await;
    assert_eq!(first.asked().len(), 2, "a drain starts nothing");
    assert_eq!(department.count("res.>").await?.len(), 2);
    sidecar.stop().await?;
    let sidecar = department.sidecar(&second, "pod-b", 4).await?;
    department.settled().await?;
    assert_eq!(second.asked().len(), 4);
    for number in 0..6 {
        assert!(matches!(department.outcome(&task(number)).await?, ResultOutcome::Succeeded { .. }), "{number}");
    }
    sidecar.stop().await
}

#[tokio::test]
async fn when_the_drain_timeout_ends_only_idempotent_tasks_go_to_others() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let (first, second) = (Agent::start().await?, Agent::start().await?);
    let sidecar = department.sidecar_with(&first, "pod-a", 2, Duration::from_millis(300)).await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 600_000}), true)).await?;
    department.dispatch(Class::Normal, &task(2), &envelope(json!({"sleep": 600_000}), false)).await?;
    until(|| async { (first.asked().len() == 2).then_some(()) }).await?;
    sidecar.stop().await?;
    assert!(matches!(department.outcome(&task(2)).await?, ResultOutcome::Unknown { .. }));
    let sidecar = department.sidecar(&second, "pod-b", 2).await?;
    // At once, not after the acknowledgement time of 30 seconds.
    tokio::time::timeout(Duration::from_secs(15), second.called(&task(1), 1)).await??;
    assert_eq!(second.calls(&task(2)), 0);
    sidecar.crash().await;
    Ok(())
}

#[tokio::test]
async fn a_bus_that_is_killed_and_restarted_loses_nothing_and_repeats_nothing() -> anyhow::Result<()> {
    let mut department = Department::start_with(Duration::from_secs(6)).await?;
    let agent = Agent::start().await?;
    let tasks = 160;
    for number in 0..tasks {
        let idempotent = number % 2 == 0;
        department
            .dispatch(Class::ALL[number % 4], &task(number), &envelope(json!({"sleep": 100}), idempotent))
            .await?;
    }
    // Only now, so that there is enough left to do for every kill.
    let sidecars = [department.sidecar(&agent, "pod-a", 4).await?, department.sidecar(&agent, "pod-b", 4).await?];
    for _ in 0..2 {
        let before = agent.asked().len();
        until(|| async { (agent.asked().len() >= before + 20).then_some(()) }).await.context("too few calls")?;
        department.server.kill()?;
        tokio::time::sleep(Duration::from_millis(700)).await;
        department.server.restart().await?;
        department.admin.connected().await;
    }
    department.settled().await?;
    let results = department.count("res.>").await?;
    assert_eq!(results.len(), tasks);
    assert!(results.values().all(|count| *count == 1), "{results:?}");
    for number in 0..tasks {
        let outcome = department.outcome(&task(number)).await?;
        assert!(matches!(outcome, ResultOutcome::Succeeded { .. }), "{number}: {outcome:?}");
        if number % 2 == 1 {
            assert_eq!(agent.calls(&task(number)), 1, "{number}");
        }
    }
    assert!(agent.peak() <= 8);
    for sidecar in sidecars {
        sidecar.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sidecar_waits_for_consumers_that_come_later() -> anyhow::Result<()> {
    let department = Department::without_consumers(SHORT).await?;
    let agent = Agent::start().await?;
    department.dispatch(Class::Normal, &task(1), &envelope(json!({}), true)).await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    sidecar.handle.wait_for(|status| status.healthy && status.connected).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    department.create_consumers().await?;
    assert!(matches!(department.outcome(&task(1)).await?, ResultOutcome::Succeeded { .. }));
    sidecar.stop().await
}

#[tokio::test]
async fn an_agent_that_went_away_gets_no_tasks() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 4).await?;
    sidecar.handle.wait_for(|status| status.healthy && status.connected).await;
    drop(agent);
    for number in 0..8 {
        department.dispatch(Class::Normal, &task(number), &envelope(json!({}), true)).await?;
    }
    sidecar.handle.wait_for(|status| !status.healthy).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let failed = department.count("res.>").await?.len();
    assert!(failed < 8, "the queue was burnt on an agent that is gone");
    let agent = Agent::start().await?;
    let other = department.sidecar(&agent, "pod-b", 4).await?;
    department.settled().await?;
    assert_eq!(department.count("res.>").await?.len(), 8);
    assert_eq!(agent.asked().len(), 8 - failed);
    sidecar.stop().await?;
    other.stop().await
}

#[tokio::test]
async fn kubelet_sees_readiness_and_drains_over_http() -> anyhow::Result<()> {
    let department = Department::start().await?;
    let agent = Agent::start().await?;
    let sidecar = department.sidecar(&agent, "pod-a", 1).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = tokio_util::sync::CancellationToken::new();
    let (handle, metrics) = (sidecar.handle.clone(), sidecar.metrics.clone());
    let server = tokio::spawn(tetrarch_agent_sidecar::http::serve(listener, handle, metrics, stop.clone()));
    let get = async |path: &str| -> anyhow::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    sidecar.handle.wait_for(|status| status.healthy && status.connected).await;
    assert!(get("/healthz").await?.starts_with("HTTP/1.1 200"));
    assert!(get("/readyz").await?.starts_with("HTTP/1.1 200"));
    department.dispatch(Class::Normal, &task(1), &envelope(json!({"sleep": 1000}), false)).await?;
    agent.called(&task(1), 1).await?;
    let (first, second) = futures::try_join!(get("/drain"), get("/drain"))?;
    assert!(first.starts_with("HTTP/1.1 200") && second.starts_with("HTTP/1.1 200"));
    assert_eq!(department.count("res.>").await?.len(), 1, "the drain waits for the running task");
    assert!(get("/readyz").await?.starts_with("HTTP/1.1 503"));
    assert!(get("/metrics").await?.contains("tetrarch_sidecar_draining 1"));
    sidecar.stop().await?;
    stop.cancel();
    Ok(server.await??)
}
