//! The floor: what the bare bus takes for the same durable writes, with nothing of ours in between.
//!
//! One step of the floor is what no engine on this bus can avoid: a conditional publish of the task, its delivery to a pull
//! consumer, a conditional publish of the result, the acknowledgement, and the delivery of the result to whoever waits.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{self, AckKind, consumer::pull},
};
use bytes::Bytes;
use futures::StreamExt;

use crate::quantile::Sample;

/// The stream of the floor.
pub const STREAM: &str = "FLOOR";
const BODY: usize = 512;

/// Makes the stream of the floor, with the durability of the work stream.
pub async fn prepare(js: &jetstream::Context) -> Result<()> {
    js.create_stream(jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["floor.>".to_owned()],
        allow_direct: true,
        ..Default::default()
    })
    .await?;
    Ok(())
}

/// A publish on the condition that the subject is empty.
pub async fn publish(js: &jetstream::Context, subject: String) -> Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    js.publish_with_headers(subject, headers, Bytes::from(vec![b'x'; BODY])).await?.await?;
    Ok(())
}

async fn consumer(js: &jetstream::Context, name: &str, filter: String) -> Result<jetstream::consumer::PullConsumer> {
    let stream = js.get_stream(STREAM).await?;
    Ok(stream
        .create_consumer(pull::Config {
            durable_name: Some(name.to_owned()),
            filter_subject: filter,
            ..Default::default()
        })
        .await?)
}

/// Steps one after the other: the time of each from the publish of its task to the delivery of its result.
pub async fn sequential(js: &jetstream::Context, steps: usize) -> Result<Sample> {
    let tasks = consumer(js, "seq_tasks", "floor.task.seq.>".to_owned()).await?;
    let results = consumer(js, "seq_results", "floor.res.seq.>".to_owned()).await?;
    let (mut results, mut tasks) = (results.messages().await?, tasks.messages().await?);
    let worker = {
        let js = js.clone();
        tokio::spawn(async move {
            for step in 0..steps {
                let task = tasks.next().await.context("the stream of tasks ended")??;
                publish(&js, format!("floor.res.seq.{step}")).await?;
                task.ack().await.map_err(|e| anyhow::anyhow!(e))?;
            }
            anyhow::Ok(())
        })
    };
    let mut sample = Sample::default();
    for step in 0..steps {
        let begin = Instant::now();
        publish(js, format!("floor.task.seq.{step}")).await?;
        let result = results.next().await.context("the stream of results ended")??;
        sample.add(begin.elapsed());
        result.ack().await.map_err(|e| anyhow::anyhow!(e))?;
    }
    worker.await??;
    Ok(sample)
}

/// Tasks per second that `workers` pull, answer and acknowledge when all tasks are already there: the two durable writes of a task,
/// one message a write, publishes overlapping as far as the workers do.
pub async fn throughput(js: &jetstream::Context, tasks: usize, workers: usize, slots: usize) -> Result<f64> {
    let round = format!("w{workers}");
    let consumer = consumer(js, &format!("rate_{round}"), format!("floor.task.{round}.>")).await?;
    let begin = Instant::now();
    let publisher = {
        let (js, round) = (js.clone(), round.clone());
        tokio::spawn(async move {
            futures::stream::iter(0..tasks)
                .map(|task| publish(&js, format!("floor.task.{round}.{task}")))
                .buffer_unordered(64)
                .fold(Ok(()), |all, one| async move { all.and(one) })
                .await
        })
    };
    let done = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut workers_running = Vec::new();
    for worker in 0..workers {
        let (js, consumer, round, done) = (js.clone(), consumer.clone(), round.clone(), done.clone());
        workers_running.push(tokio::spawn(async move {
            while done.load(std::sync::atomic::Ordering::Relaxed) < tasks {
                let mut batch =
                    consumer.fetch().max_messages(slots).expires(Duration::from_millis(200)).messages().await?;
                let mut answers = Vec::new();
                while let Some(Ok(task)) = batch.next().await {
                    let (js, done, subject) = (js.clone(), done.clone(), task.subject.replace(".task.", ".res."));
                    answers.push(async move {
                        publish(&js, subject).await?;
                        task.ack_with(AckKind::Ack).await.map_err(|e| anyhow::anyhow!(e))?;
                        done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        anyhow::Ok(())
                    });
                }
                futures::future::try_join_all(answers).await.with_context(|| format!("worker {worker} of {round}"))?;
            }
            anyhow::Ok(())
        }));
    }
    publisher.await??;
    for worker in workers_running {
        worker.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of tasks is far below 2^52")]
    Ok(tasks as f64 / begin.elapsed().as_secs_f64())
}
