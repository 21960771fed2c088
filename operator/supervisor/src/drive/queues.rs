//! The queues of the pools: which tasks are in them, and to which one the next task goes.

use std::collections::BTreeMap;

use tetrarch_core::{
    id::Name,
    routing::{self, Candidate},
    workflow::definition::AgentSelector,
};
use tetrarch_protocol::{snapshot::PoolSnapshot, summary::PoolReport};

use crate::loads::PoolLoad;

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    candidates: Vec<Candidate>,
    idempotent: BTreeMap<Name, bool>,
    /// Attempts without a result in each pool, those being written included.
    outstanding: BTreeMap<Name, u64>,
    loads: BTreeMap<Name, PoolLoad>,
}

impl Queues {
    /// The pools that there are from now on.
    pub fn configure(&mut self, pools: &[PoolSnapshot]) {
        self.idempotent = pools.iter().map(|pool| (pool.name.clone(), pool.idempotent)).collect();
        self.candidates = pools
            .iter()
            .map(|pool| Candidate {
                pool: pool.name.clone(),
                capabilities: pool.capabilities.clone(),
                slots: 0,
                load: self.outstanding.get(&pool.name).copied().unwrap_or_default(),
            })
            .collect();
        self.set_slots();
    }

    /// What the agents say of themselves.
    pub fn observe_loads(&mut self, loads: BTreeMap<Name, PoolLoad>) {
        self.loads = loads;
        self.set_slots();
    }

    fn set_slots(&mut self) {
        for candidate in &mut self.candidates {
            candidate.slots = self.loads.get(&candidate.pool).map_or(0, |load| load.slots);
        }
    }

    /// The pool for a task, and whether its tasks may be handed out twice.
    pub fn choose(&self, selector: &AgentSelector) -> Result<(Name, bool), routing::Error> {
        let candidate = routing::choose(selector, &self.candidates)?;
        Ok((candidate.pool.clone(), self.idempotent.get(&candidate.pool).copied().unwrap_or_default()))
    }

    /// Whether the pool is one of ours.
    pub fn has(&self, pool: &Name) -> bool {
        self.idempotent.contains_key(pool)
    }

    /// Whether the pool has an agent that takes tasks.
    pub fn has_agents(&self, pool: &Name) -> bool {
        self.loads.get(pool).is_some_and(|load| load.slots > 0)
    }

    /// A task went into the queue.
    pub fn add(&mut self, pool: &Name) {
        let count = self.outstanding.entry(pool.clone()).or_default();
        *count += 1;
        let load = *count;
        self.set_load(pool, load);
    }

    /// A task left the queue.
    pub fn take(&mut self, pool: &Name) {
        let Some(count) = self.outstanding.get_mut(pool) else { return };
        *count = count.saturating_sub(1);
        let load = *count;
        if load == 0 {
            self.outstanding.remove(pool);
        }
        self.set_load(pool, load);
    }

    fn set_load(&mut self, pool: &Name, load: u64) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.pool == *pool) {
            candidate.load = load;
        }
    }

    /// Forgets all tasks.
    pub fn clear(&mut self) {
        self.outstanding.clear();
        for candidate in &mut self.candidates {
            candidate.load = 0;
        }
    }

    /// Tasks without a result, in all queues together.
    pub fn total(&self) -> u64 {
        self.outstanding.values().sum()
    }

    /// The work of each pool, also of those that are gone and still have tasks.
    pub fn report(&self) -> BTreeMap<String, PoolReport> {
        let names = self.idempotent.keys().chain(self.outstanding.keys());
        names
            .map(|pool| {
                let outstanding = self.outstanding.get(pool).copied().unwrap_or_default();
                let load = self.loads.get(pool).copied().unwrap_or_default();
                // Heartbeats are a moment old; an agent cannot work on more than what is outstanding.
                let in_flight = load.in_flight.min(outstanding);
                let report = PoolReport { queued: outstanding - in_flight, in_flight, agents: load.agents };
                (pool.to_string(), report)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn pools() -> Queues {
        let mut queues = Queues::default();
        let pool = |pool: &str| PoolSnapshot {
            name: name(pool),
            capabilities: vec![(name("read"), 50)],
            concurrency: 1,
            idempotent: pool == "a",
        };
        queues.configure(&[pool("a"), pool("b")]);
        queues.observe_loads(
            [("a", 1), ("b", 1)].map(|(pool, slots)| (name(pool), PoolLoad { agents: 1, slots, in_flight: 1 })).into(),
        );
        queues
    }

    #[test]
    fn tasks_for_a_capability_spread_over_its_pools() {
        let mut queues = pools();
        let selector = AgentSelector::Capability(name("read"));
        for _ in 0..10 {
            let (pool, _) = queues.choose(&selector).unwrap();
            queues.add(&pool);
        }
        let report = queues.report();
        assert_eq!((report["a"].queued, report["b"].queued), (4, 4));
        assert_eq!((report["a"].in_flight, queues.total()), (1, 10));
    }

    #[test]
    fn a_pool_that_is_gone_is_reported_as_long_as_it_has_tasks() {
        let mut queues = pools();
        queues.add(&name("b"));
        queues.configure(&[]);
        assert!(!queues.has(&name("b")));
        assert_eq!(queues.report().keys().collect::<Vec<_>>(), ["b"]);
        queues.take(&name("b"));
        assert!(queues.report().is_empty());
    }
}
