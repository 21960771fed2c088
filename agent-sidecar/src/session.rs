//! One sidecar's session with the bus and its agent, as a pure state machine: events in, actions out, time as an argument.
//!
//! What it keeps true, whatever happens in whatever order:
//! - no more calls run than there are slots;
//! - every delivery ends in exactly one of: result then acknowledgement, acknowledgement of a task that ended before, hand-back, or (when another
//!   sidecar has taken over meanwhile) silence;
//! - a task that is not idempotent is called only under a mark of its own, and never when a mark of somebody else stands; of such a one it is
//!   said that nobody knows how it ended only when its pod has not been heard for as long as the bus itself waits;
//! - once draining, no call starts, and what has not been called is handed back at once.

pub mod event;
mod finished;
mod health;
pub mod pulls;
mod task;
pub mod verdict;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tetrarch_core::{id::TaskId, workflow::journal::FailureReason};

use self::{
    event::{Action, Answer, Delivery, Event, Key, Now, Outcome, Unreadable},
    finished::Finished,
    health::Health,
    pulls::Pulls,
    task::{Stage, Task},
    verdict::{Verdict, judge},
};

/// Finished tasks that are remembered.
const REMEMBERED: usize = 1024;
/// Pause before something that the bus did not answer is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Times an acknowledgement is sent without being confirmed.
const ACKS: u32 = 3;
/// Time after the drain timeout in which results still have to reach the bus.
const FLUSH: Duration = Duration::from_secs(10);
/// How long a task stays away that only a newer sidecar can read.
const TOO_NEW: Duration = Duration::from_secs(5);

/// What a session is set up with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the pod; it stands in marks.
    pub agent: String,
    /// Tasks the agent works on at once.
    pub slots: u32,
    /// Longest time for running tasks once draining.
    pub drain_timeout: Duration,
    /// Time after which the server delivers a task again; it is extended every third of it.
    pub ack_wait: Duration,
}

impl Settings {
    fn context(&self, key: Key, now: Now, draining: bool) -> Context<'_> {
        Context { key, now, agent: &self.agent, ack_wait: self.ack_wait, draining }
    }
}

/// The state of a session.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    tasks: BTreeMap<Key, Task>,
    keys: HashMap<TaskId, Key>,
    finished: Finished,
    pulls: Pulls,
    health: Health,
    connected: bool,
    paused_until: Duration,
    drain: Option<Drain>,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    deadline: Duration,
    exit: bool,
}

impl Session {
    /// A session that knows nothing of its agent and is not connected.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            tasks: BTreeMap::new(),
            keys: HashMap::new(),
            finished: Finished::new(REMEMBERED),
            pulls: Pulls::default(),
            health: Health::default(),
            connected: false,
            paused_until: Duration::ZERO,
            drain: None,
        }
    }

    /// Tasks that occupy a slot.
    pub fn in_flight(&self) -> u32 {
        u32::try_from(self.tasks.values().filter(|task| task.stage.occupies_slot()).count()).unwrap_or(u32::MAX)
    }

    /// Whether a delivery is still in its hands.
    pub fn holds(&self, key: Key) -> bool {
        self.tasks.contains_key(&key)
    }

    /// Whether the agent is fit for work.
    pub fn is_agent_well(&self) -> bool {
        self.health.is_well()
    }

    /// Whether it takes no more tasks for good.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether it is draining and nothing is left.
    pub fn is_drained(&self) -> bool {
        self.is_draining() && self.tasks.is_empty()
    }

    /// Whether the pod should get traffic: the bus is reached, the agent is well, and it stays.
    pub fn is_ready(&self) -> bool {
        self.connected && self.health.is_well() && !self.is_draining()
    }

    /// When to call [`Session::handle`] with [`Event::Tick`] at the latest.
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        let drain = self.drain.map(|drain| if now < drain.deadline { drain.deadline } else { drain.deadline + FLUSH });
        let rest = [self.health.wake(), self.pulls.wake(now), Some(self.paused_until), drain];
        let tasks = self.tasks.values().map(Task::wake);
        rest.into_iter().flatten().chain(tasks).filter(|at| *at > now).min()
    }

    /// Takes in one event and says what to do, in order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take(event, now, &mut actions);
        self.keep_time(now, &mut actions);
        for request in self.pulls.plan(self.free(now.steady), now.steady) {
            actions.push(Action::Pull { id: request.id, batch: request.batch, wait: request.wait });
        }
        actions
    }

    fn take(&mut self, event: Event, now: Now, actions: &mut Vec<Action>) {
        match event {
            Event::Delivered(delivery) => self.delivered(delivery, now, actions),
            Event::PullHeard(id) => self.pulls.heard(id, now.steady),
            Event::PullEnded(id, end) => self.pulls.ended(id, end, now.steady),
            Event::Inspected(key, inspection) => {
                self.with(key, now, actions, |task, ctx| task.inspected(inspection, ctx));
            }
            Event::Loaded(key, loaded) => self.with(key, now, actions, |task, ctx| task.loaded(loaded, ctx)),
            Event::Marked(key, marked) => self.with(key, now, actions, |task, ctx| task.marked(marked, ctx)),
            Event::Answered(key, answer) => self.answered(key, answer, now, actions),
            Event::Reported(key, written) => self.reported(key, written, now, actions),
            Event::Acked(key, confirmed) => self.with(key, now, actions, |task, ctx| task.acked(confirmed, ctx)),
            Event::Probed(probe) => {
                let busy = self.in_flight() > 0;
                self.health.probed(probe, busy, now.steady);
            }
            Event::Bus(connected) => self.bus(connected, now, actions),
            Event::Drain { exit } => self.start_drain(exit, now, actions),
            Event::Tick => {}
        }
    }

    fn delivered(&mut self, delivery: Delivery, now: Now, actions: &mut Vec<Action>) {
        self.pulls.delivered(delivery.class, delivery.pending, now.steady);
        let key = delivery.key;
        if let Some(old) = self.keys.get(&delivery.task).copied() {
            if let Some(task) = self.tasks.get_mut(&old) {
                task.deliveries = delivery.deliveries;
            }
            actions.push(Action::Replace { old, new: key });
            return;
        }
        if self.free(now.steady) == 0 {
            self.pulls.handed_back(delivery.class);
            actions.push(Action::HandBack { key, delay: Duration::ZERO, withdraw: None });
            return;
        }
        let brief = match delivery.body {
            Ok(brief) => Ok(brief),
            Err(Unreadable::TooNew(_)) => {
                actions.push(Action::HandBack { key, delay: TOO_NEW, withdraw: None });
                return;
            }
            Err(Unreadable::Garbage(why)) => Err(why),
        };
        // A bus that lost its power may have lost a result that it had confirmed: of a task that ended here it must be looked at.
        let first = delivery.deliveries <= 1 && !self.finished.contains(&delivery.task);
        let id = delivery.task.clone();
        let (mut task, unreadable) =
            Task::new(delivery.task, delivery.deliveries, brief, now.steady + self.settings.ack_wait / 3);
        let ctx = self.settings.context(key, now, false);
        let order = match unreadable {
            Some(why) => task.end(
                Outcome::Failed(FailureReason::DeadLettered, format!("the dispatch is no task envelope: {why}")),
                ctx,
            ),
            None if first => task.proceed(ctx),
            None => task.inspect(ctx),
        };
        self.tasks.insert(key, task);
        self.keys.insert(id, key);
        self.settle(key, order, actions);
    }

    fn answered(&mut self, key: Key, answer: Answer, now: Now, actions: &mut Vec<Action>) {
        if !self.tasks.get(&key).is_some_and(|task| matches!(task.stage, Stage::Calling { .. })) {
            return;
        }
        match &answer {
            Answer::TimedOut(_) => self.health.hung(now.steady),
            Answer::NotConnected(_) | Answer::ConnectionLost(_) => self.health.unreachable(now.steady),
            Answer::Busy(delay) => {
                self.health.answered();
                self.paused_until = self.paused_until.max(now.steady + *delay);
            }
            _ => self.health.answered(),
        }
        self.with(key, now, actions, |task, ctx| match judge(answer, task.idempotent()) {
            Verdict::End(outcome) => task.end(outcome, ctx),
            Verdict::Later(delay) => task.hand_back(delay, ctx),
        });
    }

    fn reported(&mut self, key: Key, written: bool, now: Now, actions: &mut Vec<Action>) {
        if written && let Some(task) = self.tasks.get(&key) {
            self.finished.insert(task.id.clone());
        }
        self.with(key, now, actions, |task, ctx| task.reported(written, ctx));
    }

    fn bus(&mut self, connected: bool, now: Now, actions: &mut Vec<Action>) {
        self.connected = connected;
        self.pulls.reset();
        if !connected {
            return;
        }
        let keys: Vec<Key> = self.tasks.keys().copied().collect();
        for key in keys {
            if let Some(task) = self.tasks.get_mut(&key) {
                task.extend_at = now.steady + self.settings.ack_wait / 3;
            }
            actions.push(Action::Extend(key));
            self.with(key, now, actions, Task::renew_mark);
        }
    }

    fn start_drain(&mut self, exit: bool, now: Now, actions: &mut Vec<Action>) {
        if let Some(drain) = &mut self.drain {
            drain.exit |= exit;
            return;
        }
        self.drain = Some(Drain { deadline: now.steady + self.settings.drain_timeout, exit });
        actions.push(Action::StopPulling);
        let untouched: Vec<Key> =
            self.tasks.iter().filter(|(_, task)| task.is_untouched()).map(|(key, _)| *key).collect();
        for key in untouched {
            self.with(key, now, actions, |task, ctx| task.hand_back(Duration::ZERO, ctx));
        }
    }

    /// Everything that happens because time passed.
    fn keep_time(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.health.probe_due(now.steady) {
            actions.push(Action::Probe);
        }
        let due: Vec<Key> =
            self.tasks.iter().filter(|(_, task)| task.wake() <= now.steady).map(|(key, _)| *key).collect();
        for key in due {
            self.with(key, now, actions, Task::retry);
            if let Some(task) = self.tasks.get_mut(&key)
                && task.extend_at <= now.steady
            {
                task.extend_at = now.steady + self.settings.ack_wait / 3;
                actions.push(Action::Extend(key));
            }
        }
        let Some(drain) = self.drain else { return };
        if now.steady >= drain.deadline {
            let keys: Vec<Key> = self.tasks.keys().copied().collect();
            for key in keys {
                self.with(key, now, actions, Task::out_of_time);
            }
        }
        if drain.exit && (self.tasks.is_empty() || now.steady >= drain.deadline + FLUSH) {
            actions.push(Action::Exit);
        }
    }

    /// Slots that a new task could use. A task whose result is on its way to the bus leaves its slot to the next one, but only one for each.
    fn free(&self, now: Duration) -> u32 {
        if self.is_draining() || !self.connected || !self.health.is_well() || now < self.paused_until {
            return 0;
        }
        let total = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let slots = self.settings.slots;
        slots.saturating_sub(self.in_flight()).min(slots.saturating_mul(2).saturating_sub(total))
    }

    fn with(
        &mut self,
        key: Key,
        now: Now,
        actions: &mut Vec<Action>,
        step: impl FnOnce(&mut Task, Context<'_>) -> Order,
    ) {
        let draining = self.is_draining();
        let Some(task) = self.tasks.get_mut(&key) else { return };
        let order = step(task, self.settings.context(key, now, draining));
        self.settle(key, order, actions);
    }

    fn settle(&mut self, key: Key, order: Order, actions: &mut Vec<Action>) {
        actions.extend(order.actions);
        if order.gone
            && let Some(task) = self.tasks.remove(&key)
        {
            self.keys.remove(&task.id);
        }
    }
}

/// What a task needs to know to decide its next step.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    key: Key,
    now: Now,
    agent: &'a str,
    ack_wait: Duration,
    draining: bool,
}

/// A task's next actions, and whether nothing follows.
#[derive(Debug, Default)]
struct Order {
    actions: Vec<Action>,
    gone: bool,
}

impl Order {
    fn go(action: Action) -> Self {
        Self { actions: vec![action], gone: false }
    }

    fn last(actions: Vec<Action>) -> Self {
        Self { actions, gone: true }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
