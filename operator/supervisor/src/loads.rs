//! What the agents say of themselves: their heartbeats, and what follows for each pool.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use tetrarch_bus::Bus;
use tetrarch_core::id::Name;
use tetrarch_protocol::{load::Heartbeat, subject};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// Time after which an agent that says nothing is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Agents of one Supervisor that are kept in mind at most.
const MAX_AGENTS: usize = 10_000;

/// A heartbeat with the pool it came from.
#[derive(Debug)]
pub struct Beat {
    /// The pool.
    pub pool: Name,
    /// What it says.
    pub heartbeat: Heartbeat,
}

/// What the agents of one pool can do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLoad {
    /// Healthy agents that were heard lately.
    pub agents: u32,
    /// Tasks they can work on at once; those of an agent that is about to stop do not count.
    pub slots: u64,
    /// Tasks they work on.
    pub in_flight: u64,
}

/// The agents that were heard lately.
#[derive(Debug, Default)]
pub struct Loads {
    agents: BTreeMap<(Name, String), (Heartbeat, Instant)>,
}

impl Loads {
    /// Notes a heartbeat.
    pub fn observe(&mut self, beat: Beat, now: Instant) {
        let key = (beat.pool, beat.heartbeat.agent.clone());
        if self.agents.len() < MAX_AGENTS || self.agents.contains_key(&key) {
            self.agents.insert(key, (beat.heartbeat, now));
        }
    }

    /// Forgets who is silent, and sums up the others by pool.
    pub fn sum(&mut self, now: Instant) -> BTreeMap<Name, PoolLoad> {
        self.agents.retain(|_, (_, seen)| now.duration_since(*seen) < SILENCE);
        let mut pools: BTreeMap<Name, PoolLoad> = BTreeMap::new();
        for ((pool, _), (heartbeat, _)) in &self.agents {
            let load = pools.entry(pool.clone()).or_default();
            load.in_flight += u64::from(heartbeat.in_flight);
            if heartbeat.healthy {
                load.agents += 1;
                if !heartbeat.draining {
                    load.slots += u64::from(heartbeat.slots);
                }
            }
        }
        pools
    }
}

/// Listens to the heartbeats and sends them on, until it is told to stop. Those that find no room are dropped: the next one comes soon.
pub async fn listen(bus: Bus, supervisor: Name, beats: mpsc::Sender<Beat>, stop: CancellationToken) {
    loop {
        let subscription = bus.client().subscribe(subject::loads_of_supervisor(&supervisor)).await;
        match subscription {
            Ok(mut messages) => loop {
                let message = tokio::select! {
                    () = stop.cancelled() => return,
                    message = messages.next() => message,
                };
                let Some(message) = message else { break };
                let pool = message.subject.split('.').nth(2).and_then(|pool| pool.parse().ok());
                if let (Some(pool), Ok(heartbeat)) = (pool, serde_json::from_slice(&message.payload)) {
                    beats.try_send(Beat { pool, heartbeat }).ok();
                }
            },
            Err(error) => tracing::warn!(%error, "cannot listen to heartbeats"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SILENCE / 5) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(pool: &str, agent: &str, healthy: bool, draining: bool) -> Beat {
        let heartbeat =
            Heartbeat { agent: agent.into(), slots: 4, in_flight: 1, healthy, draining, ..Heartbeat::default() };
        Beat { pool: pool.parse().unwrap(), heartbeat }
    }

    #[test]
    fn a_pool_has_the_slots_of_its_healthy_agents_that_stay() {
        let mut loads = Loads::default();
        let start = Instant::now();
        loads.observe(beat("p", "a", true, false), start);
        loads.observe(beat("p", "b", true, true), start);
        loads.observe(beat("p", "c", false, false), start);
        let pool: Name = "p".parse().unwrap();
        assert_eq!(loads.sum(start)[&pool], PoolLoad { agents: 2, slots: 4, in_flight: 3 });
        loads.observe(beat("p", "b", true, true), start + SILENCE);
        assert_eq!(loads.sum(start + SILENCE)[&pool], PoolLoad { agents: 1, slots: 0, in_flight: 1 });
    }
}
