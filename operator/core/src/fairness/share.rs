//! Shares of a pool's queue: weighted max-min fairness.

/// The smallest window: enough for the agents of a small pool to find a next task while the journal comes round.
pub const MIN_WINDOW: u64 = 8;

/// Tasks that may lie in the queue of a pool at once, in queues and with agents.
///
/// By Little's law (J. D. C. Little, 1961) a queue that is refilled within a time holds the agents busy when it has what they finish in that
/// time. `finished` counts the last one to two seconds; the half of it bridges half a second or more. Twice the slots is the least: each agent
/// has its next task. A pool that was idle starts there and grows by half with each round of results, so a quick pool is at its pace within
/// a few rounds, and a slow one never has more than a turn waiting.
pub fn window(slots: u64, finished: u64) -> u64 {
    slots.saturating_mul(2).max(slots.saturating_add(finished / 2)).max(MIN_WINDOW)
}

/// What one party wants of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Tasks that it has in the queue and would like to have there.
    pub tasks: u64,
    /// Its weight, at least 1.
    pub weight: u32,
}

/// How high the queue is filled for each unit of weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What is left of the window for those whose demand does not fit.
    left: u64,
    /// Their weights together; 0 when everything fits.
    weight: u64,
}

/// Shares a window among parties: who wants less than its part gets what it wants, and what it leaves is shared by the others in
/// proportion to their weights (weighted max-min fairness: Bertsekas and Gallager, Data Networks, 2nd edition, section 6.5.2). A queue that is served in
/// order serves each party in proportion to what it has there, so the throughputs follow the weights as in weighted fair queueing (Demers,
/// Keshav and Shenker, 1989).
pub fn level(window: u64, demands: impl IntoIterator<Item = Demand>) -> Level {
    let mut demands: Vec<Demand> = demands.into_iter().filter(|demand| demand.weight > 0).collect();
    let per_weight = |tasks: u64, weight: u64| u128::from(tasks) * u128::from(weight);
    demands.sort_by(|a, b| per_weight(a.tasks, b.weight.into()).cmp(&per_weight(b.tasks, a.weight.into())));
    let mut level = Level { left: window, weight: demands.iter().map(|demand| u64::from(demand.weight)).sum() };
    for Demand { tasks, weight } in demands {
        if per_weight(tasks, level.weight) > per_weight(level.left, weight.into()) {
            break;
        }
        level.left -= tasks;
        level.weight -= u64::from(weight);
    }
    level
}

impl Level {
    /// The tasks that a party of this weight may have in the queue: at least one, so that nobody waits for a place there.
    pub fn share(self, weight: u32) -> u64 {
        if self.weight == 0 {
            return u64::MAX;
        }
        let share = u128::from(self.left) * u128::from(weight) / u128::from(self.weight);
        u64::try_from(share).unwrap_or(u64::MAX).max(1)
    }
}
