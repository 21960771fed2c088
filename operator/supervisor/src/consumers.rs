//! The durable pull consumers of the pools, one for each pool and class: made when a pool comes, deleted when it goes.
//!
//! A consumer remembers by sequence what it handed out. When the stream goes back (a server that lost its power before it wrote to its
//! disk), other tasks take these sequences, and it would never hand them out: then it is made anew.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::Stream,
};
use futures::TryStreamExt as _;
use tetrarch_bus::Bus;
use tetrarch_core::{id::Name, priority::Class};
use tetrarch_protocol::{
    stream::{ACK_WAIT, MAX_WAITING, WORK, task_consumer},
    subject,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Tasks that may be with the agents of one pool at once; the agents' slots are the real bound.
const MAX_ACK_PENDING: i64 = 1_000_000;

/// The consumers that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Each pool and class with the sequence of the first task that a new consumer has to hand out.
    pub queues: BTreeMap<(Name, Class), u64>,
    /// How often the stream was seen to go back; with each time all consumers are made anew.
    pub restarts: u64,
}

/// Keeps the consumers as they are wanted, until it is told to stop. Nothing is wanted until the first value.
pub async fn keep(bus: Bus, supervisor: Name, mut wanted: watch::Receiver<Option<Wanted>>, stop: CancellationToken) {
    let mut remade = 0;
    loop {
        let current = wanted.borrow_and_update().clone();
        let mut is_done = true;
        if let Some(current) = current {
            bus.connected().await;
            match ensure(&bus, &supervisor, &current, current.restarts > remade).await {
                Ok(()) => remade = current.restarts,
                Err(error) => {
                    tracing::warn!(%error, "cannot keep the consumers of the pools, trying again");
                    is_done = false;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if !is_done => {}
        }
    }
}

async fn ensure(bus: &Bus, supervisor: &Name, wanted: &Wanted, is_void: bool) -> Result<(), String> {
    let work = bus.jetstream().get_stream(WORK).await.map_err(|e| e.to_string())?;
    let prefix = format!("{supervisor}_");
    let names: Vec<String> = work.consumer_names().try_collect().await.map_err(|e| e.to_string())?;
    let wanted_names: BTreeMap<String, (&(Name, Class), u64)> = wanted
        .queues
        .iter()
        .map(|(queue, first)| (task_consumer(supervisor, &queue.0, queue.1), (queue, *first)))
        .collect();
    for name in names.iter().filter(|name| name.starts_with(&prefix) && !wanted_names.contains_key(*name)) {
        tracing::info!(consumer = name, "its pool is gone: deleting the consumer");
        work.delete_consumer(name).await.map_err(|e| e.to_string())?;
    }
    for (name, (queue, first)) in wanted_names {
        if names.contains(&name) && !is_void && correct(&work, &name).await? {
            continue;
        }
        if names.contains(&name) {
            tracing::warn!(consumer = name, "the stream went back behind what it handed out: making it anew");
            work.delete_consumer(&name).await.map_err(|e| e.to_string())?;
        }
        create(&work, supervisor, name, queue, first).await?;
    }
    Ok(())
}

async fn create(
    work: &Stream,
    supervisor: &Name,
    name: String,
    (pool, class): &(Name, Class),
    first: u64,
) -> Result<(), String> {
    tracing::info!(consumer = name, first, "making the consumer of a pool");
    let config = pull::Config {
        durable_name: Some(name),
        // Not everything: tasks of earlier times that are done still lie in the stream until their runs are purged.
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first.max(1) },
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        max_waiting: MAX_WAITING,
        filter_subject: subject::tasks_of_pool(supervisor, pool, *class),
        ..pull::Config::default()
    };
    work.create_consumer(config).await.map(drop).map_err(|e| e.to_string())
}

/// Brings an existing consumer to the settings of this version; where it stands stays as it is. False when it stands behind the end
/// of the stream, as that was just read.
async fn correct(work: &Stream, name: &str) -> Result<bool, String> {
    let consumer = work.get_consumer::<pull::Config>(name).await.map_err(|e| e.to_string())?;
    let info = consumer.cached_info();
    // Read after the consumer, which goes on handing out meanwhile.
    let end = work.get_info().await.map_err(|e| e.to_string())?.state.last_sequence;
    if info.delivered.stream_sequence > end {
        return Ok(false);
    }
    let current = &info.config;
    if current.ack_wait == ACK_WAIT && current.max_ack_pending == MAX_ACK_PENDING && current.max_deliver == -1 {
        return Ok(true);
    }
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: current.deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        max_waiting: current.max_waiting,
        filter_subject: current.filter_subject.clone(),
        ..pull::Config::default()
    };
    work.update_consumer(config).await.map(|_| true).map_err(|e| e.to_string())
}
