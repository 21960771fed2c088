//! Simulated sidecars: they pull, answer and acknowledge, so that what is measured is the engine and the bus, not an agent.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_nats::jetstream::AckKind;
use futures::{StreamExt, future::BoxFuture};
use jiff::Timestamp;
use tetrarch_bus::Bus;
use tetrarch_core::{
    id::{Name, TaskId},
    priority::Class,
};
use tetrarch_protocol::{
    VERSION,
    blob::Payload,
    load::Heartbeat,
    stream,
    subject::{self, Subject},
    task::{ResultEnvelope, ResultOutcome, TaskEnvelope},
};
use tokio::task::JoinSet;

/// Where the simulated sidecars belong and how much each takes at once.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The Supervisor.
    pub supervisor: Name,
    /// The pool.
    pub name: Name,
    /// Sidecars.
    pub sidecars: usize,
    /// Tasks that one works on at once.
    pub slots: usize,
}

/// What an agent does with a task and its input.
pub type Agent = Arc<dyn Fn(TaskId, Payload) -> BoxFuture<'static, ResultOutcome> + Send + Sync>;

/// Runs sidecars whose agents echo their input at once, until the returned set is dropped.
pub async fn run(bus: &Bus, pool: &Pool) -> Result<JoinSet<Result<()>>> {
    let echo: Agent = Arc::new(|_, input| {
        let output = match input {
            Payload::Inline(value) => Payload::Inline(value),
            Payload::Blob(_) => Payload::Inline(serde_json::Value::Null),
        };
        Box::pin(std::future::ready(ResultOutcome::Succeeded { output }))
    });
    run_with(bus, pool, &echo).await
}

/// Runs sidecars with agents of this kind until the returned set is dropped.
pub async fn run_with(bus: &Bus, pool: &Pool, agent: &Agent) -> Result<JoinSet<Result<()>>> {
    let consumer = stream::task_consumer(&pool.supervisor, &pool.name, Class::Normal);
    let mut running = JoinSet::new();
    for number in 0..pool.sidecars {
        // The Supervisor makes the consumer once it knows the pool.
        let work = loop {
            match bus.jetstream().get_consumer_from_stream(&consumer, stream::WORK).await {
                Ok(found) => break found,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        running.spawn(sidecar(bus.clone(), pool.clone(), number, work, agent.clone()));
        running.spawn(heartbeat(bus.clone(), pool.clone(), number));
    }
    Ok(running)
}

async fn sidecar(
    bus: Bus,
    pool: Pool,
    number: usize,
    work: async_nats::jetstream::consumer::PullConsumer,
    agent: Agent,
) -> Result<()> {
    let name: Arc<str> = format!("simulated-{number}").into();
    let mut tasks = work.stream().max_messages_per_batch(pool.slots).messages().await?;
    let slots = Arc::new(tokio::sync::Semaphore::new(pool.slots));
    while let Some(task) = tasks.next().await {
        let (task, bus, name, agent) = (task?, bus.clone(), name.clone(), agent.clone());
        let slot = slots.clone().acquire_owned().await.context("the slots are closed")?;
        tokio::spawn(async move {
            if let Err(error) = answer(&bus, &name, &agent, &task).await {
                // The measured run waits for this result and fails with its own message.
                tracing::warn!(error = format!("{error:#}"), "simulated sidecar");
            }
            drop(slot);
        });
    }
    Ok(())
}

/// Lets the agent work and writes its result.
async fn answer(bus: &Bus, name: &str, agent: &Agent, task: &async_nats::jetstream::Message) -> Result<()> {
    let Subject::Task { supervisor, pool, task: id, .. } = task.subject.parse()? else {
        anyhow::bail!("{} is no task", task.subject);
    };
    let envelope: TaskEnvelope = serde_json::from_slice(&task.payload)?;
    let started_at = Timestamp::now();
    let outcome = agent(id.clone(), envelope.input).await;
    let result = ResultEnvelope {
        version: VERSION,
        agent: name.to_owned(),
        deliveries: 1,
        started_at,
        finished_at: Timestamp::now(),
        outcome,
    };
    bus.publish_new(Subject::Result { supervisor, pool, task: id }.to_string(), serde_json::to_vec(&result)?).await?;
    task.ack_with(AckKind::Ack).await.map_err(|e| anyhow::anyhow!(e))
}

async fn heartbeat(bus: Bus, pool: Pool, number: usize) -> Result<()> {
    let agent = format!("simulated-{number}");
    let heartbeat = Heartbeat {
        version: VERSION,
        agent: agent.clone(),
        slots: u32::try_from(pool.slots)?,
        healthy: true,
        ..Heartbeat::default()
    };
    loop {
        let body = serde_json::to_vec(&heartbeat)?;
        bus.client().publish(subject::load(&pool.supervisor, &pool.name, &agent), body.into()).await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
