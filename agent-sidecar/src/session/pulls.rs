//! Which queues to ask for how many tasks: strict priority, quick when idle, no polling.
//!
//! An empty queue is held by one waiting request for one task: as long as it is open, nothing waits there. A queue that may hold tasks is asked for
//! as many as there are free slots, and only when every more urgent queue is known to be empty; but a queue that was passed over for long
//! ([`PATIENCE`]) is asked for one task first, so that nothing waits for ever behind what is more urgent. The server says with each task how many wait
//! behind it, so an idle agent starts a task after one trip and a busy one fetches its next with one request.

use std::{cmp::Reverse, time::Duration};

use tetrarch_core::{fairness::PATIENCE, priority::Class};

use super::event::{PullEnd, PullId};

/// How long the server holds a waiting request.
pub const EXPIRES: Duration = Duration::from_mins(1);
/// How often the server says that it still holds one.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// Silence after which a waiting request is taken for lost.
const STALLED: Duration = Duration::from_secs(25);
/// Silence after which a request that does not wait is taken for lost.
const UNANSWERED: Duration = Duration::from_secs(3);
/// Shortest and longest pause after a refusal.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The request.
    pub id: PullId,
    /// Most tasks.
    pub batch: u32,
    /// Whether the server holds it while the queue is empty.
    pub wait: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    number: u64,
    left: u32,
    wait: bool,
    /// Whether it was sent because the queue had been passed over.
    overtaken: bool,
    heard: Duration,
}

#[derive(Debug)]
struct Queue {
    class: Class,
    open: Option<Open>,
    /// Whether it was empty when we last heard of it.
    empty: bool,
    /// Tasks of more urgent queues since it was asked.
    passed_over: u32,
    refusals: u32,
    retry_at: Duration,
}

/// The requests of one sidecar, at most one open for each class.
#[derive(Debug)]
pub struct Pulls {
    queues: [Queue; 4],
    next: u64,
}

impl Default for Pulls {
    fn default() -> Self {
        let queue =
            |class| Queue { class, open: None, empty: false, passed_over: 0, refusals: 0, retry_at: Duration::ZERO };
        Self { queues: Class::ALL.map(queue), next: 1 }
    }
}

impl Pulls {
    /// Requests to send now that `free` slots are free.
    pub fn plan(&mut self, free: u32, now: Duration) -> Vec<Request> {
        let mut requests = Vec::new();
        if free == 0 {
            return requests;
        }
        let overtaken = self.queues.iter_mut().filter(|queue| queue.is_overtaken(now));
        if let Some(queue) = overtaken.min_by_key(|queue| Reverse(queue.passed_over)) {
            queue.passed_over = 0;
            queue.open = Some(Open { number: self.next, left: 1, wait: false, overtaken: true, heard: now });
            requests.push(Request { id: PullId { class: queue.class, number: self.next }, batch: 1, wait: false });
            self.next += 1;
        }
        let is_promised = |open: Open| open.overtaken && now.saturating_sub(open.heard) < open.patience();
        let promised = self.queues.iter().filter(|queue| queue.open.is_some_and(is_promised)).count();
        let free = free.saturating_sub(u32::try_from(promised).unwrap_or(u32::MAX));
        if free == 0 {
            return requests;
        }
        for queue in &mut self.queues {
            match queue.open {
                Some(open) if now.saturating_sub(open.heard) < open.patience() => {
                    if open.wait {
                        continue;
                    }
                    break;
                }
                _ if now < queue.retry_at => continue,
                _ => {}
            }
            let wait = queue.empty;
            let left = if wait { 1 } else { free };
            queue.open = Some(Open { number: self.next, left, wait, overtaken: false, heard: now });
            queue.passed_over = 0;
            requests.push(Request { id: PullId { class: queue.class, number: self.next }, batch: left, wait });
            self.next += 1;
            if !wait {
                break;
            }
        }
        requests
    }

    /// A task came out of this queue; `pending` wait behind it.
    pub fn delivered(&mut self, class: Class, pending: u64, now: Duration) {
        for queue in self.queues.iter_mut().filter(|queue| queue.class > class && !queue.empty) {
            queue.passed_over = queue.passed_over.saturating_add(1);
        }
        let queue = self.queue(class);
        queue.empty = pending == 0;
        queue.refusals = 0;
        if let Some(open) = &mut queue.open {
            open.heard = now;
            open.left = open.left.saturating_sub(1);
            if open.left == 0 {
                queue.open = None;
            }
        }
    }

    /// A task was handed back, so its queue is not empty.
    pub fn handed_back(&mut self, class: Class) {
        self.queue(class).empty = false;
    }

    /// The server still holds a request.
    pub fn heard(&mut self, id: PullId, now: Duration) {
        if let Some(open) = self.queue(id.class).open.as_mut().filter(|open| open.number == id.number) {
            open.heard = now;
        }
    }

    /// A request ended.
    pub fn ended(&mut self, id: PullId, end: PullEnd, now: Duration) {
        let queue = self.queue(id.class);
        let Some(open) = queue.open.filter(|open| open.number == id.number) else { return };
        queue.open = None;
        match end {
            PullEnd::Empty => {
                queue.refusals = 0;
                queue.empty = true;
            }
            PullEnd::Expired => {
                queue.refusals = 0;
                queue.empty |= !open.wait;
            }
            PullEnd::Refused => {
                let pause = PAUSE.0.saturating_mul(1 << queue.refusals.min(8)).min(PAUSE.1);
                queue.refusals += 1;
                queue.retry_at = now + pause;
                queue.empty = false;
            }
        }
    }

    /// All requests are lost: the bus was.
    pub fn reset(&mut self) {
        for queue in &mut self.queues {
            queue.open = None;
            queue.empty = false;
            queue.refusals = 0;
            queue.retry_at = Duration::ZERO;
        }
    }

    /// When something here has to be looked at again though nothing is heard.
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        self.queues
            .iter()
            .map(|queue| queue.open.map_or(queue.retry_at, |open| open.heard + open.patience()))
            .filter(|at| *at > now)
            .min()
    }

    fn queue(&mut self, class: Class) -> &mut Queue {
        &mut self.queues[class as usize]
    }
}

impl Queue {
    /// Whether it is its turn before more urgent ones.
    fn is_overtaken(&self, now: Duration) -> bool {
        self.passed_over >= PATIENCE && self.open.is_none() && !self.empty && now >= self.retry_at
    }
}

impl Open {
    fn patience(&self) -> Duration {
        if self.wait { STALLED } else { UNANSWERED }
    }
}

#[cfg(test)]
#[path = "pulls/tests.rs"]
mod tests;
