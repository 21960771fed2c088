//! Removes from the bus what is of no use any more: withdrawn tasks, finished runs and outputs beyond their retention, late
//! entries of purged runs.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use futures::{StreamExt as _, stream};
use tetrarch_bus::Bus;
use tetrarch_core::id::{Name, RunId};
use tetrarch_protocol::{stream::WORK, subject};
use tokio::sync::mpsc;

/// Purges that are under way at once.
const PARALLEL: usize = 16;

/// Tries for one job; what is left over is tried again by the next owner of the run.
const TRIES: u32 = 10;

/// Jobs that are done together.
const GROUP: usize = 256;

/// Something to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// One message, by its exact subject.
    Subject(String),
    /// Everything of a run.
    Run(RunId),
    /// What agents were given by a run and made of it. Its own events stay.
    Outputs(RunId),
    /// Everything of a run that follows another one, and before it everything of that one.
    Follower {
        /// The run.
        run: RunId,
        /// The one that it follows, which is of no use any more.
        before: RunId,
    },
}

/// What was removed.
pub type Removed = Job;

/// Does the jobs that come in and tells when each is done, until nobody asks any more.
pub async fn run(bus: Bus, supervisor: Name, mut jobs: mpsc::Receiver<Job>, removed: mpsc::UnboundedSender<Removed>) {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP).await > 0 {
        let mut left = std::mem::take(&mut group);
        for turn in 0..TRIES {
            bus.connected().await;
            match enact(&bus, &supervisor, &left).await {
                Ok(()) => break,
                Err(error) if turn + 1 < TRIES => {
                    tracing::warn!(%error, jobs = left.len(), "cannot remove from the bus, trying again");
                    tokio::time::sleep(Duration::from_millis(200 << turn.min(5))).await;
                }
                Err(error) => {
                    tracing::error!(%error, jobs = left.len(), "cannot remove from the bus, leaving it");
                }
            }
        }
        for job in left.drain(..) {
            removed.send(job).ok();
        }
    }
}

async fn enact(bus: &Bus, supervisor: &Name, jobs: &[Job]) -> Result<(), String> {
    let work = bus.jetstream().get_stream(WORK).await.map_err(|e| e.to_string())?;
    let runs: Vec<&RunId> = jobs
        .iter()
        .filter_map(|job| match job {
            Job::Run(run) | Job::Outputs(run) | Job::Follower { run, .. } => Some(run),
            Job::Subject(_) => None,
        })
        .collect();
    if !runs.is_empty() {
        // Large values go first: their names are found through nothing but the store.
        bus.delete_payloads(|name| {
            name.split('/').next().is_some_and(|owner| runs.iter().any(|run| run.as_str() == owner))
        })
        .await
        .map_err(|e| e.to_string())?;
    }
    let removals: Vec<_> = jobs.iter().map(|job| remove(&work, supervisor, job)).collect();
    let results: Vec<Result<(), String>> = stream::iter(removals).buffer_unordered(PARALLEL).collect().await;
    results.into_iter().collect()
}

async fn remove(work: &Stream, supervisor: &Name, job: &Job) -> Result<(), String> {
    match job {
        Job::Subject(subject) => purge(work, subject).await,
        Job::Run(run) => purge_run(work, supervisor, run).await,
        Job::Outputs(run) => purge_all(work, &subject::work_of_run(supervisor, run)).await,
        Job::Follower { run, before } => {
            purge_run(work, supervisor, before).await?;
            purge_run(work, supervisor, run).await
        }
    }
}

/// The run's own events go last: as long as they are there, an interrupted purge is found and finished.
async fn purge_run(work: &Stream, supervisor: &Name, run: &RunId) -> Result<(), String> {
    purge_all(work, &subject::everything_of_run(supervisor, run)).await
}

async fn purge_all(work: &Stream, filters: &[String]) -> Result<(), String> {
    for filter in filters {
        purge(work, filter).await?;
    }
    Ok(())
}

async fn purge(work: &Stream, filter: &str) -> Result<(), String> {
    work.purge().filter(filter).await.map(drop).map_err(|e| format!("{filter}: {e}"))
}
