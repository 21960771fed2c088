//! Requests to reconcile, gathered for a moment and handed out once each, however many changes asked for it.
//!
//! The window opens with the first request and is never pushed back by later ones, so an object that changes all the
//! time is still reconciled.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    target::Target,
    telemetry::metrics::{Controller, Metrics},
};

/// How long requests are gathered.
const WINDOW: Duration = Duration::from_millis(50);

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
    /// Asked for in this window.
    gathered: HashSet<Target>,
    /// Handed out and not begun.
    waiting: HashSet<Target>,
    /// Where each controller takes its requests while this process leads.
    outlets: HashMap<Controller, mpsc::UnboundedSender<Target>>,
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
        if before == 0 && !state.gathered.is_empty() {
            self.shared.notify.notify_one();
        }
    }

    /// Opens the outlet of a controller; a former one is closed.
    pub fn listen(&self, controller: Controller) -> mpsc::UnboundedReceiver<Target> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.waiting.retain(|target| target.controller() != controller);
        state.outlets.insert(controller, sender);
        receiver
    }

    /// Closes all outlets: controllers end when they have finished what they work on.
    pub fn close(&self) {
        let mut state = self.lock();
        state.outlets.clear();
        state.waiting.clear();
        self.measure(&state);
    }

    /// Notes that the reconcile of a target begins: changes from now on ask for another one.
    pub fn begin(&self, target: &Target) {
        let mut state = self.lock();
        if state.waiting.remove(target) {
            self.measure(&state);
        }
    }

    /// Hands gathered requests out until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.shared.notify.notified() => {}
            }
            tokio::time::sleep(WINDOW).await;
            self.hand_out();
        }
    }

    fn hand_out(&self) {
        let mut state = self.lock();
        for target in std::mem::take(&mut state.gathered) {
            let Some(outlet) = state.outlets.get(&target.controller()).cloned() else { continue };
            if state.waiting.insert(target.clone()) && outlet.send(target.clone()).is_err() {
                state.waiting.remove(&target);
            }
        }
        self.measure(&state);
    }

    fn measure(&self, state: &State) {
        for controller in Controller::ALL {
            let depth = state.waiting.iter().filter(|target| target.controller() == controller).count();
            self.shared.metrics.queue_depth(controller, depth);
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

    #[tokio::test]
    async fn many_changes_of_one_object_ask_once_until_its_reconcile_begins() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::AgentPool);
        queue.wake_all([pool("a"), pool("a")]);
        queue.hand_out();
        queue.wake(pool("a"));
        queue.hand_out();
        assert_eq!(outlet.try_recv().unwrap(), pool("a"));
        assert!(outlet.try_recv().is_err());

        queue.begin(&pool("a"));
        queue.wake(pool("a"));
        queue.hand_out();
        assert_eq!(outlet.try_recv().unwrap(), pool("a"));
    }

    #[tokio::test]
    async fn a_change_is_handed_out_although_others_keep_coming() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::AgentPool);
        let cancel = CancellationToken::new();
        let running = tokio::spawn(queue.clone().run(cancel.clone()));
        let noise = tokio::spawn({
            let queue = queue.clone();
            async move {
                loop {
                    queue.wake(pool("a"));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        assert_eq!(outlet.recv().await.unwrap(), pool("a"));
        noise.abort();
        cancel.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn closing_ends_the_outlets() {
        let queue = Queue::new(Metrics::new());
        let mut outlet = queue.listen(Controller::Domain);
        queue.close();
        assert!(outlet.recv().await.is_none());
    }
}
