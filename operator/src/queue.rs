//! Requests to reconcile, gathered for a moment and handed out once each, however many changes asked for it.
//!
//! The window opens with the first request and is never pushed back by later ones, so an object that changes all the
//! time is still reconciled. Parents count their children, and each child that changes asks for it: after the first few,
//! a parent is handed out at a steady pace, which bounds what the roll-ups of a thousand children cost.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    target::Target,
    telemetry::metrics::{Controller, Metrics},
};

/// How long requests are gathered.
const WINDOW: Duration = Duration::from_millis(50);

/// Time between two reconciles of a parent that is asked for all the time. A change passes two parents on its way to the top,
/// and must be there within two seconds.
const PACE: Duration = Duration::from_millis(400);

/// How many paces a parent may be ahead: so many reconciles in a row follow each other at once.
const AHEAD: u32 = 4;

/// A cheap handle to the queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    notify: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    /// Asked for.
    gathered: HashSet<Target>,
    /// When they are handed out, except for parents whose time has not come.
    next: Option<Instant>,
    /// Until when the reconciles that parents had would have lasted at their pace.
    paced: HashMap<Target, Instant>,
    /// Where each controller takes its requests while this process leads.
    outlets: HashMap<Controller, Outlet>,
}

struct Outlet {
    sender: mpsc::UnboundedSender<Target>,
    /// Handed out and not begun.
    waiting: HashSet<Target>,
}

impl State {
    /// The earliest time at which a target may be handed out, if that is not at once.
    fn earliest(&self, target: &Target) -> Option<Instant> {
        self.paced.get(target).and_then(|until| until.checked_sub(PACE * AHEAD))
    }
}

/// Whether a target sums up others.
const fn is_parent(target: &Target) -> bool {
    matches!(target.controller(), Controller::Orchestrator | Controller::Domain | Controller::Supervisor)
}

impl Queue {
    /// An empty queue without outlets: requests are dropped until a controller listens, and a controller that starts
    /// is asked for every object anyway.
    pub fn new(metrics: Metrics) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), notify: Notify::new(), metrics }) }
    }

    /// Asks for a reconcile.
    pub fn wake(&self, target: Target) {
        self.wake_all([target]);
    }

    /// Asks for reconciles.
    pub fn wake_all(&self, targets: impl IntoIterator<Item = Target>) {
        let mut state = self.lock();
        let before = state.gathered.len();
        state.gathered.extend(targets);
        if state.gathered.len() == before {
            return;
        }
        let end = Instant::now() + WINDOW;
        if state.next.is_none_or(|next| next > end) {
            state.next = Some(end);
            self.shared.notify.notify_one();
        }
    }

    /// Opens the outlet of a controller; a former one is closed.
    pub fn listen(&self, controller: Controller) -> mpsc::UnboundedReceiver<Target> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().outlets.insert(controller, Outlet { sender, waiting: HashSet::new() });
        receiver
    }

    /// Closes all outlets: controllers end when they have finished what they work on.
    pub fn close(&self) {
        self.lock().outlets.clear();
        for controller in Controller::ALL {
            self.shared.metrics.queue_depth(controller, 0);
        }
    }

    /// Notes that the reconcile of a target begins: changes from now on ask for another one.
    pub fn begin(&self, target: &Target) {
        let mut state = self.lock();
        let Some(outlet) = state.outlets.get_mut(&target.controller()) else { return };
        if outlet.waiting.remove(target) {
            self.shared.metrics.queue_depth(target.controller(), outlet.waiting.len());
        }
    }

    /// Hands gathered requests out until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            let next = self.lock().next;
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.shared.notify.notified() => {}
                () = due => self.hand_out(Instant::now()),
            }
        }
    }

    fn hand_out(&self, now: Instant) {
        let mut state = self.lock();
        state.paced.retain(|_, until| *until > now);
        let mut next = None;
        for target in std::mem::take(&mut state.gathered) {
            if let Some(earliest) = state.earliest(&target).filter(|earliest| *earliest > now) {
                next = Some(next.map_or(earliest, |next| earliest.min(next)));
                state.gathered.insert(target);
                continue;
            }
            if is_parent(&target) {
                let until = state.paced.entry(target.clone()).or_insert(now);
                *until += PACE;
            }
            let Some(outlet) = state.outlets.get_mut(&target.controller()) else { continue };
            if outlet.waiting.insert(target.clone()) && outlet.sender.send(target.clone()).is_err() {
                outlet.waiting.remove(&target);
            }
        }
        state.next = next;
        for (controller, outlet) in &state.outlets {
            self.shared.metrics.queue_depth(*controller, outlet.waiting.len());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> Target {
        Target::AgentPool("ns".to_owned(), name.to_owned())
    }

    /// How often a target is handed out when it is asked for every 5 ms for so long, and the longest time between two of them.
    async fn storm(target: Target, length: Duration) -> (usize, Duration) {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(target.controller());
        let running = tokio::spawn(queue.clone().run(CancellationToken::new()));
        let (begin, mut last, mut longest, mut count) = (Instant::now(), Instant::now(), Duration::ZERO, 0);
        while begin.elapsed() < length {
            queue.wake(target.clone());
            tokio::time::sleep(Duration::from_millis(5)).await;
            while outlet.try_recv().is_ok() {
                queue.begin(&target);
                longest = longest.max(last.elapsed());
                last = Instant::now();
                count += 1;
            }
        }
        running.abort();
        (count, longest)
    }

    #[tokio::test]
    async fn many_changes_of_one_object_ask_once_until_its_reconcile_begins() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::AgentPool);
        queue.wake_all([pool("a"), pool("a")]);
        queue.hand_out(Instant::now());
        queue.wake(pool("a"));
        queue.hand_out(Instant::now());
        assert_eq!(outlet.try_recv().unwrap(), pool("a"));
        assert!(outlet.try_recv().is_err());

        queue.begin(&pool("a"));
        queue.wake(pool("a"));
        queue.hand_out(Instant::now());
        assert_eq!(outlet.try_recv().unwrap(), pool("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_handed_out_although_others_keep_coming() {
        let (count, longest) = storm(pool("a"), Duration::from_secs(10)).await;
        assert!(count > 100 && longest <= WINDOW * 2, "{count} times, at most {longest:?} apart");
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_of_children_that_change_all_the_time_is_reconciled_at_a_pace_and_not_with_each_of_them() {
        let (count, longest) = storm(Target::Domain("d".to_owned()), Duration::from_secs(10)).await;
        // 10 s are 25 paces.
        assert!((25..=32).contains(&count), "{count} times");
        assert!(longest <= PACE + WINDOW, "a change waited for {longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_is_made_in_a_few_steps_is_not_slowed_down() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::Domain);
        let running = tokio::spawn(queue.clone().run(CancellationToken::new()));
        let (begin, target) = (Instant::now(), Target::Domain("d".to_owned()));
        for _ in 0..AHEAD {
            queue.wake(target.clone());
            outlet.recv().await.unwrap();
            queue.begin(&target);
        }
        assert!(begin.elapsed() <= (WINDOW + Duration::from_millis(2)) * AHEAD, "{:?}", begin.elapsed());
        running.abort();
    }

    #[tokio::test]
    async fn closing_ends_the_outlets() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::Domain);
        queue.close();
        assert!(outlet.recv().await.is_none());
    }
}
