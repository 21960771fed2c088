//! Simulations of a pool's queue and of the line of runs: nobody starves, shares follow the weights, no agent idles; and what
//! happens without the rules.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::id::Name;

/// A pool whose queue is served in order.
struct Pool {
    slots: usize,
    window: Option<u64>,
    weights: Vec<u32>,
    wanted: Vec<u64>,
    queue: VecDeque<usize>,
    queued: Vec<u64>,
    served: Vec<u64>,
}

impl Pool {
    fn new(slots: usize, window: Option<u64>, parties: &[(u32, u64)]) -> Self {
        Self {
            slots,
            window,
            weights: parties.iter().map(|(weight, _)| *weight).collect(),
            wanted: parties.iter().map(|(_, tasks)| *tasks).collect(),
            queue: VecDeque::new(),
            queued: vec![0; parties.len()],
            served: vec![0; parties.len()],
        }
    }

    /// Fills the queue and serves one turn of all agents.
    fn turn(&mut self) {
        let parties = 0..self.weights.len();
        let demands = parties.clone().map(|party| Demand {
            tasks: self.queued[party] + self.wanted[party],
            weight: if self.queued[party] + self.wanted[party] == 0 { 0 } else { self.weights[party] },
        });
        let level = self.window.map(|window| level(window, demands));
        for party in parties {
            let share = level.map_or(u64::MAX, |level| level.share(self.weights[party]));
            let grant = share.saturating_sub(self.queued[party]).min(self.wanted[party]);
            self.wanted[party] -= grant;
            self.queued[party] += grant;
            self.queue.extend((0..grant).map(|_| party));
        }
        for _ in 0..self.slots {
            if let Some(party) = self.queue.pop_front() {
                self.queued[party] -= 1;
                self.served[party] += 1;
            }
        }
    }
}

/// Turns until a single task is served that comes when a large map has been at work for a while.
fn turns_of_a_single_task(slots: usize, window: Option<u64>, weight: u32) -> usize {
    let mut pool = Pool::new(slots, window, &[(weight, 100_000), (100, 0)]);
    (0..10).for_each(|_| pool.turn());
    pool.wanted[1] = 1;
    (1..100_000)
        .find(|_| {
            pool.turn();
            pool.served[1] == 1
        })
        .unwrap()
}

#[test]
fn a_map_of_100_000_items_delays_a_single_task_by_two_turns() {
    assert!(turns_of_a_single_task(50, Some(window(50, 0)), 100) <= 3);
    assert!(turns_of_a_single_task(50, Some(window(50, 0)), 1000) <= 3);
}

#[test]
fn without_a_window_a_single_task_waits_for_the_whole_map() {
    assert!(turns_of_a_single_task(50, None, 100) > 1900);
}

#[test]
fn who_wants_little_gets_it_and_leaves_the_rest() {
    let demand = |tasks, weight| Demand { tasks, weight };
    let level = level(100, [demand(10, 100), demand(1000, 100), demand(1000, 200)]);
    assert_eq!((level.share(100), level.share(200)), (30, 60));
    assert_eq!(super::level(100, [demand(40, 1), demand(60, 1)]).share(1), u64::MAX);
    assert_eq!(super::level(2, (0..50).map(|_| demand(5, 1))).share(1), 1, "at least one");
}

#[test]
fn the_window_follows_what_a_pool_finishes() {
    assert_eq!((window(0, 0), window(1, 2), window(10, 0), window(10, 4000)), (8, 8, 20, 2010));
}

proptest! {
    #[test]
    fn no_agent_idles_while_somebody_wants_it(
        slots in 1_usize..20,
        parties in proptest::collection::vec((1_u32..1000, 0_u64..300), 1..8),
    ) {
        let mut pool = Pool::new(slots, Some(window(slots as u64, 0)), &parties);
        let total: u64 = parties.iter().map(|(_, tasks)| tasks).sum();
        for turn in 1.. {
            pool.turn();
            let served: u64 = pool.served.iter().sum();
            prop_assert_eq!(served, total.min(turn * slots as u64));
            if served == total {
                break;
            }
        }
    }

    #[test]
    fn nobody_waits_longer_than_a_window_and_one_task_of_each(
        slots in 1_usize..20,
        parties in proptest::collection::vec(1_u32..1000, 1..8),
        weight in 1_u32..1000,
    ) {
        let mut all: Vec<(u32, u64)> = parties.iter().map(|weight| (*weight, 100_000)).collect();
        all.push((weight, 0));
        let newcomer = all.len() - 1;
        let window = window(slots as u64, 0);
        let mut pool = Pool::new(slots, Some(window), &all);
        (0..20).for_each(|_| pool.turn());
        pool.wanted[newcomer] = 1;
        let bound = (usize::try_from(window).unwrap() + all.len()).div_ceil(slots) + 1;
        (0..bound).for_each(|_| pool.turn());
        prop_assert_eq!(pool.served[newcomer], 1);
    }

    #[test]
    fn throughputs_follow_the_weights(weights in proptest::collection::vec(1_u32..10, 2..6), slots in 50_u64..100) {
        let parties: Vec<(u32, u64)> = weights.iter().map(|weight| (*weight, 1_000_000)).collect();
        // Results come a few at a time.
        let mut pool = Pool::new(5, Some(window(slots, 200)), &parties);
        (0..1000).for_each(|_| pool.turn());
        let total: u64 = pool.served.iter().sum();
        let sum: u32 = weights.iter().sum();
        for (served, weight) in pool.served.iter().zip(&weights) {
            let fair = total * u64::from(*weight) / u64::from(sum);
            // Shares are rounded down to whole tasks, and results come together.
            prop_assert!(served.abs_diff(fair) < fair * 15 / 100 + 50, "{served} is not about {fair}");
        }
    }

    #[test]
    fn of_each_other_workflow_few_runs_go_before_a_run(
        others in proptest::collection::vec((1_u32..1000, 1_usize..60), 1..5),
        weight in 1_u32..1000,
        late in any::<bool>(),
    ) {
        let name = |index: usize| -> Name { format!("w{index}").parse().unwrap() };
        let mut line = Line::default();
        let mut waiting = Vec::new();
        for (index, (weight, runs)) in others.iter().enumerate() {
            waiting.extend((0..*runs).map(|_| (line.arrive(&name(index), *weight), waiting.len(), index)).collect::<Vec<_>>());
        }
        let own = others.len();
        waiting.push((line.arrive(&name(own), weight), usize::from(!late) * 10_000, own));
        let mut before = vec![0_usize; others.len()];
        loop {
            let first = waiting.iter().copied().enumerate().min_by_key(|(_, run)| *run).map(|(at, _)| at).unwrap();
            let (ticket, _, workflow) = waiting.remove(first);
            line.start(ticket);
            if workflow == own {
                break;
            }
            before[workflow] += 1;
            // The others never stop asking.
            waiting.push((line.arrive(&name(workflow), others[workflow].0), 10_000, workflow));
        }
        for ((other, _), before) in others.iter().zip(before) {
            prop_assert!(before <= other.div_ceil(weight) as usize + 1, "{before} of weight {other} before one of weight {weight}");
        }
    }
}

#[test]
fn a_workflow_alone_is_served_in_order() {
    let mut line = Line::default();
    let name: Name = "w".parse().unwrap();
    let tickets: Vec<Ticket> = (0..5).map(|_| line.arrive(&name, WEIGHT)).collect();
    assert!(tickets.is_sorted());
    for ticket in &tickets {
        line.start(*ticket);
    }
    assert!(line.arrive(&name, WEIGHT) >= tickets[4]);
}
