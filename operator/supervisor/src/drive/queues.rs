//! The queues of the pools: which tasks are in them or wait for room, to which one the next task goes, and how many of a Workflow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tetrarch_core::{
    fairness::{Demand, Level, level, window},
    id::Name,
    priority::Class,
    routing::{self, Candidate},
    workflow::definition::AgentSelector,
};
use tetrarch_protocol::{snapshot::PoolSnapshot, summary::PoolReport};

use crate::loads::PoolLoad;

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    candidates: Vec<Candidate>,
    pools: BTreeMap<Name, PoolSnapshot>,
    by_pool: BTreeMap<(Name, Class), Queue>,
    loads: BTreeMap<Name, PoolLoad>,
    finished: BTreeMap<Name, Finished>,
}

/// One queue, as the Workflows see it that have tasks for it.
#[derive(Debug, Default)]
struct Queue {
    parties: BTreeMap<Name, Party>,
    /// How it is shared in this round; none until somebody asks.
    level: Option<Level>,
}

/// A Workflow with tasks for a queue.
#[derive(Debug)]
struct Party {
    weight: u32,
    /// Attempts without a result, those being written included.
    outstanding: u64,
    /// Tasks that wait for room.
    wanting: u64,
}

/// Results of a pool in the current second and in the one before it, by the clock of the journal.
#[derive(Debug, Default)]
struct Finished {
    second: i64,
    now: u64,
    before: u64,
}

impl Finished {
    fn advance(&mut self, to: i64) {
        if to > self.second {
            self.before = if to == self.second + 1 { self.now } else { 0 };
            (self.second, self.now) = (to, 0);
        }
    }
}

/// Whose tasks they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Their class.
    pub class: Class,
    /// Their Workflow.
    pub workflow: &'a Name,
    /// Its weight.
    pub weight: u32,
}

impl Queues {
    /// The pools that there are from now on.
    pub fn configure(&mut self, pools: &[PoolSnapshot]) {
        self.pools = pools.iter().map(|pool| (pool.name.clone(), pool.clone())).collect();
        self.candidates = pools
            .iter()
            .map(|pool| Candidate {
                pool: pool.name.clone(),
                capabilities: pool.capabilities.clone(),
                slots: 0,
                load: self.outstanding(&pool.name),
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
        Ok((candidate.pool.clone(), self.pools.get(&candidate.pool).is_some_and(|pool| pool.idempotent)))
    }

    /// Whether tasks of the pool may be handed out twice; not known of a pool that is not ours.
    pub fn is_idempotent(&self, pool: &Name) -> bool {
        self.pools.get(pool).is_some_and(|pool| pool.idempotent)
    }

    /// Whether the pool is one of ours.
    pub fn has(&self, pool: &Name) -> bool {
        self.pools.contains_key(pool)
    }

    /// Whether the pool has an agent that takes tasks.
    pub fn has_agents(&self, pool: &Name) -> bool {
        self.loads.get(pool).is_some_and(|load| load.slots > 0)
    }

    /// A task went into the queue.
    pub fn add(&mut self, pool: &Name, owner: Owner<'_>) {
        self.party(pool, owner).outstanding += 1;
        self.change_load(pool, 1);
    }

    /// A task left the queue.
    pub fn take(&mut self, pool: &Name, owner: Owner<'_>) {
        if self.party(pool, owner).outstanding > 0 {
            self.party(pool, owner).outstanding -= 1;
            self.change_load(pool, -1);
        }
        self.forget_idle(pool, owner);
    }

    /// So many more, or fewer, tasks wait for room in the queue.
    pub fn want(&mut self, pool: &Name, owner: Owner<'_>, before: u64, now: u64) {
        let party = self.party(pool, owner);
        party.wanting = (party.wanting + now).saturating_sub(before);
        self.forget_idle(pool, owner);
    }

    fn party(&mut self, pool: &Name, owner: Owner<'_>) -> &mut Party {
        let queue = self.by_pool.entry((pool.clone(), owner.class)).or_default();
        let party = queue.parties.entry(owner.workflow.clone()).or_insert(Party {
            weight: owner.weight,
            outstanding: 0,
            wanting: 0,
        });
        party.weight = owner.weight;
        party
    }

    fn forget_idle(&mut self, pool: &Name, owner: Owner<'_>) {
        let key = (pool.clone(), owner.class);
        let Some(queue) = self.by_pool.get_mut(&key) else { return };
        if queue.parties.get(owner.workflow).is_some_and(|party| party.outstanding + party.wanting == 0) {
            queue.parties.remove(owner.workflow);
        }
        if queue.parties.is_empty() {
            self.by_pool.remove(&key);
        }
    }

    fn change_load(&mut self, pool: &Name, by: i64) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.pool == *pool) {
            candidate.load = candidate.load.saturating_add_signed(by);
        }
    }

    /// A task of the pool ended.
    pub fn observe_result(&mut self, pool: &Name, at: Timestamp) {
        let finished = self.finished.entry(pool.clone()).or_default();
        finished.advance(at.as_second());
        finished.now += u64::from(finished.second == at.as_second());
    }

    /// Shares the queues anew from now on: agents, their pace or what the Workflows want may have changed.
    pub fn begin_round(&mut self, now: Timestamp) {
        let pools = &self.pools;
        self.finished.retain(|pool, _| pools.contains_key(pool));
        for finished in self.finished.values_mut() {
            finished.advance(now.as_second());
        }
        for queue in self.by_pool.values_mut() {
            queue.level = None;
        }
    }

    /// How many more tasks of a Workflow there is room for, in the queues of all pools that can take them.
    pub fn room(&mut self, selector: &AgentSelector, owner: Owner<'_>) -> u64 {
        let can_take = |candidate: &&Candidate| candidate.proficiency(selector).is_some();
        let pools: Vec<Name> =
            self.candidates.iter().filter(can_take).map(|candidate| candidate.pool.clone()).collect();
        pools.iter().map(|pool| self.room_in(pool, owner)).fold(0, u64::saturating_add)
    }

    fn room_in(&mut self, pool: &Name, owner: Owner<'_>) -> u64 {
        let window = self.window(pool);
        let Some(queue) = self.by_pool.get_mut(&(pool.clone(), owner.class)) else { return window };
        let parties = &queue.parties;
        let level = queue.level.get_or_insert_with(|| {
            let demand = |party: &Party| Demand { tasks: party.outstanding + party.wanting, weight: party.weight };
            level(window, parties.values().map(demand))
        });
        let outstanding = parties.get(owner.workflow).map_or(0, |party| party.outstanding);
        level.share(owner.weight).saturating_sub(outstanding)
    }

    fn window(&self, pool: &Name) -> u64 {
        let agents = self.loads.get(pool).map_or(0, |load| load.slots);
        // Before the first agent is there, and for it.
        let slots = agents.max(self.pools.get(pool).map_or(0, |pool| u64::from(pool.concurrency)));
        window(slots, self.finished.get(pool).map_or(0, |finished| finished.now + finished.before))
    }

    /// Forgets all tasks.
    pub fn clear(&mut self) {
        self.by_pool.clear();
        for candidate in &mut self.candidates {
            candidate.load = 0;
        }
    }

    fn outstanding(&self, pool: &Name) -> u64 {
        self.parties(pool).map(|party| party.outstanding).sum()
    }

    fn parties(&self, pool: &Name) -> impl Iterator<Item = &Party> {
        self.by_pool.iter().filter(move |((of, _), _)| of == pool).flat_map(|(_, queue)| queue.parties.values())
    }

    /// Tasks without a result, in all queues together.
    pub fn total(&self) -> u64 {
        self.by_pool.values().flat_map(|queue| queue.parties.values()).map(|party| party.outstanding).sum()
    }

    /// The work of each pool, also of those that are gone and still have tasks. Tasks that wait for room are queued like those that have it.
    pub fn report(&self) -> BTreeMap<String, PoolReport> {
        let names = self.pools.keys().chain(self.by_pool.keys().map(|(pool, _)| pool));
        names
            .map(|pool| {
                let outstanding = self.outstanding(pool);
                let wanting: u64 = self.parties(pool).map(|party| party.wanting).sum();
                let load = self.loads.get(pool).copied().unwrap_or_default();
                // Heartbeats are a moment old; an agent cannot work on more than what is outstanding.
                let in_flight = load.in_flight.min(outstanding);
                let report = PoolReport { queued: outstanding - in_flight + wanting, in_flight, agents: load.agents };
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

    fn of(workflow: &Name) -> Owner<'_> {
        Owner { class: Class::Normal, workflow, weight: 100 }
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
            queues.add(&pool, of(&name("w")));
        }
        let report = queues.report();
        assert_eq!((report["a"].queued, report["b"].queued), (4, 4));
        assert_eq!((report["a"].in_flight, queues.total()), (1, 10));
    }

    #[test]
    fn a_pool_that_is_gone_is_reported_as_long_as_it_has_tasks() {
        let mut queues = pools();
        queues.add(&name("b"), of(&name("w")));
        queues.configure(&[]);
        assert!(!queues.has(&name("b")));
        assert_eq!(queues.report().keys().collect::<Vec<_>>(), ["b"]);
        queues.take(&name("b"), of(&name("w")));
        assert!(queues.report().is_empty());
    }

    #[test]
    fn what_waits_for_room_is_reported_as_queued() {
        let mut queues = pools();
        let workflow = name("w");
        queues.want(&name("a"), of(&workflow), 0, 500);
        queues.add(&name("a"), of(&workflow));
        assert_eq!((queues.report()["a"].queued, queues.report()["a"].in_flight), (500, 1));
        queues.want(&name("a"), of(&workflow), 500, 0);
        assert_eq!(queues.report()["a"].queued, 0);
    }

    #[test]
    fn a_queue_has_room_for_a_window_that_grows_with_what_its_pool_finishes() {
        let mut queues = pools();
        let (selector, workflow) = (AgentSelector::Pool(name("a")), name("w"));
        let start = Timestamp::from_second(1000).unwrap();
        queues.want(&name("a"), of(&workflow), 0, 100_000);
        queues.begin_round(start);
        assert_eq!(queues.room(&selector, of(&workflow)), 8);
        (0..8).for_each(|_| queues.add(&name("a"), of(&workflow)));
        assert_eq!(queues.room(&selector, of(&workflow)), 0);
        assert_eq!(queues.room(&selector, of(&name("other"))), 8, "a newcomer gets a share whatever lies there");
        (0..100).for_each(|_| queues.observe_result(&name("a"), start));
        queues.begin_round(start);
        assert_eq!(queues.room(&selector, of(&workflow)), 51 - 8);
        queues.begin_round(Timestamp::from_second(1002).unwrap());
        assert_eq!(queues.room(&selector, of(&workflow)), 0, "it has slowed down");
    }
}
