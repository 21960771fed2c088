//! The driver of the floor: the durable writes and deliveries of the same steps on a bare bus, with nothing in between.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, PullConsumer, pull},
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::{driver, shape::Asked, spans::Spans};
use crate::floor;

/// Steps that are worked on at once, and publishes under way at once.
const AT_ONCE: usize = 256;

/// Who waits for results of which run.
type Waiting = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<()>>>>;

/// Works and measures until its input ends.
pub async fn drive() -> Result<()> {
    let js = jetstream::new(async_nats::connect(driver::bus()?).await?);
    floor::prepare(&js).await?;
    let (spans, waiting) = (Arc::new(Spans::default()), Waiting::default());
    let tasks = consumer(&js, "tasks", "floor.task.>", AckPolicy::Explicit).await?;
    let results = consumer(&js, "results", "floor.res.>", AckPolicy::None).await?;
    tokio::spawn(work(js.clone(), tasks, spans.clone()));
    tokio::spawn(deliver(results, waiting.clone()));
    driver::drive(&spans, |asked, name| run(js.clone(), waiting.clone(), asked, name)).await
}

async fn consumer(js: &jetstream::Context, name: &str, filter: &str, ack_policy: AckPolicy) -> Result<PullConsumer> {
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: filter.to_owned(),
        ack_policy,
        max_ack_pending: if ack_policy == AckPolicy::None { 0 } else { 1_000_000 },
        ..pull::Config::default()
    };
    Ok(js.get_stream(floor::STREAM).await?.create_consumer(config).await?)
}

/// The agents: a step is `floor.task.<run>.<number>.<milliseconds>`, its result `floor.res.<run>.<number>`.
async fn work(js: jetstream::Context, tasks: PullConsumer, spans: Arc<Spans>) -> Result<()> {
    let mut tasks = tasks.stream().max_messages_per_batch(AT_ONCE).messages().await?;
    while let Some(task) = tasks.next().await {
        let (task, js, spans) = (task?, js.clone(), spans.clone());
        tokio::spawn(async move {
            let parts: Vec<&str> = task.subject.split('.').collect();
            let [_, _, run, number, millis] = parts.as_slice() else { anyhow::bail!("{} is no step", task.subject) };
            spans.work(run, millis.parse()?).await;
            floor::publish(&js, format!("floor.res.{run}.{number}")).await?;
            task.ack().await.map_err(|error| anyhow::anyhow!(error))
        });
    }
    Ok(())
}

/// Hands results to those who wait for them.
async fn deliver(results: PullConsumer, waiting: Waiting) -> Result<()> {
    let mut results = results.stream().max_messages_per_batch(AT_ONCE).messages().await?;
    while let Some(result) = results.next().await {
        let result = result?;
        let run = result.subject.split('.').nth(2).unwrap_or_default();
        if let Some(waiting) = waiting.lock().unwrap_or_else(PoisonError::into_inner).get(run) {
            // Nobody waits any more only when the run has failed.
            let _ = waiting.send(());
        }
    }
    Ok(())
}

/// The steps of a run, round after round.
async fn run(js: jetstream::Context, waiting: Waiting, asked: Asked, name: String) -> Result<()> {
    let (sender, mut results) = mpsc::unbounded_channel();
    waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), sender);
    let mut number = 0;
    for phase in &asked.phases {
        for _ in 0..phase.rounds {
            let numbers = number..number + phase.width;
            number = numbers.end;
            stream::iter(numbers)
                .map(|number| floor::publish(&js, format!("floor.task.{name}.{number}.{}", asked.millis)))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            for _ in 0..phase.width {
                results.recv().await.context("the results ended")?;
            }
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    Ok(())
}
