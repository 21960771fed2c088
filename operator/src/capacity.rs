//! Books capacity in the ledger that all replicas share: claims of the webhook, and what the leader sees of their outcome.

mod books;
pub mod desk;
pub mod escalation;
pub mod lead;
pub mod sightings;
pub mod store;
pub mod survey;
pub mod view;
pub mod world_view;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use tetrarch_core::capacity::{Claim, Escalation, Key, Ledger, Refusal};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    clock::Clock,
    telemetry::metrics::capacity::{BookingOutcome, CapacityMetrics},
};
use desk::{Claiming, Desk, Order, Surveying};
use store::LedgerStore;
use view::View;

/// Longest time of a claim. Shorter than the timeout of the webhook, so that the writer reads why.
pub const LONGEST_CLAIM: Duration = Duration::from_secs(7);

/// Longest time of a survey.
const LONGEST_SURVEY: Duration = Duration::from_secs(30);

/// Orders that may wait at a desk; more are turned away at once.
const LONGEST_QUEUE: usize = 4096;

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It is booked.
    Granted {
        /// What went beyond quotas and was granted by levels above.
        escalations: Vec<Escalation>,
    },
    /// There is not enough left.
    Refused(Refusal),
    /// Nobody can say. The write must be refused, and may be tried again.
    Unavailable(Unavailable),
}

/// Nothing can be booked for a while.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unavailable {
    /// Whose ledger.
    pub orchestrator: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orchestrator, reason } = self;
        write!(
            f,
            "the capacity of Orchestrator {orchestrator:?} cannot be booked right now, {reason}: try again in a moment"
        )
    }
}

/// Why a ledger was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// It could not be read or removed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Whether the Orchestrator exists could not be found out.
    #[error(transparent)]
    View(#[from] view::Error),
}

/// A cheap handle to the desks of this replica.
#[derive(Clone)]
pub struct Capacity {
    shared: Arc<Shared>,
}

/// What all desks use.
pub struct Shared {
    /// Where the ledgers are.
    pub store: Arc<dyn LedgerStore>,
    /// What exists.
    pub view: Arc<dyn View>,
    /// The time of day.
    pub clock: Clock,
    /// Metrics.
    pub metrics: CapacityMetrics,
    /// Takes escalations that have come true.
    pub escalated: mpsc::UnboundedSender<Escalation>,
    /// Decides how long a desk steps back for another replica.
    pub dice: Mutex<StdRng>,
    desks: Mutex<BTreeMap<String, mpsc::Sender<Order>>>,
}

impl Capacity {
    /// Desks over this store and view. Escalations that have come true are told to `escalated`, each once. `seed` decides
    /// how long desks step back for other replicas; each replica needs another one.
    pub fn new(
        store: Arc<dyn LedgerStore>,
        view: Arc<dyn View>,
        clock: Clock,
        metrics: CapacityMetrics,
        escalated: mpsc::UnboundedSender<Escalation>,
        seed: u64,
    ) -> Self {
        let dice = Mutex::new(StdRng::seed_from_u64(seed));
        Self { shared: Arc::new(Shared { store, view, clock, metrics, escalated, dice, desks: Mutex::default() }) }
    }

    /// Books a claim in the ledger of an Orchestrator.
    pub async fn claim(&self, orchestrator: &str, claim: Claim) -> Booked {
        let deadline = Instant::now() + LONGEST_CLAIM;
        let (answer, answered) = oneshot::channel();
        let order = Order::Claim(Box::new(Claiming { claim, arrived: Instant::now(), deadline, answer }));
        let answer = self.order(orchestrator, order, answered, deadline).await;
        let booked = answer.unwrap_or_else(Booked::Unavailable);
        self.shared.metrics.claimed(match &booked {
            Booked::Granted { .. } => BookingOutcome::Granted,
            Booked::Refused(_) => BookingOutcome::Refused,
            Booked::Unavailable(_) => BookingOutcome::Unavailable,
        });
        booked
    }

    /// Brings the ledger of an Orchestrator in line with what exists, and returns it. Writes only what changes.
    pub async fn survey(&self, orchestrator: &str) -> Result<Arc<Ledger>, Unavailable> {
        let deadline = Instant::now() + LONGEST_SURVEY;
        let (answer, answered) = oneshot::channel();
        self.order(orchestrator, Order::Survey(Surveying { deadline, answer }), answered, deadline).await?
    }

    async fn order<T>(
        &self,
        orchestrator: &str,
        order: Order,
        answered: oneshot::Receiver<T>,
        deadline: Instant,
    ) -> Result<T, Unavailable> {
        let unavailable =
            |reason: &str| Unavailable { orchestrator: orchestrator.to_owned(), reason: reason.to_owned() };
        let sent = self.desk(orchestrator).try_send(order);
        sent.map_err(|_| unavailable("because too many requests wait for it"))?;
        // The desk answers at the deadline by itself and says more; this is for a desk that hangs.
        match timeout_at(deadline + desk::GRACE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(unavailable("because the ledger was not written in time")),
        }
    }

    fn desk(&self, orchestrator: &str) -> mpsc::Sender<Order> {
        let mut desks = self.shared.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(orchestrator).filter(|desk| !desk.is_closed()) {
            return desk.clone();
        }
        let (sender, orders) = mpsc::channel(LONGEST_QUEUE);
        tokio::spawn(Desk::new(orchestrator.to_owned(), &self.shared, orders).run());
        desks.insert(orchestrator.to_owned(), sender.clone());
        sender
    }

    /// Names of the Orchestrators that have a ledger.
    pub async fn orchestrators(&self) -> Result<Vec<String>, store::Error> {
        self.shared.store.orchestrators().await
    }

    /// The metrics.
    pub fn metrics(&self) -> &CapacityMetrics {
        &self.shared.metrics
    }

    /// Removes the ledger of an Orchestrator, unless that exists after all.
    pub async fn retire(&self, orchestrator: &str) -> Result<(), RetireError> {
        let Shared { store, view, desks, .. } = self.shared.as_ref();
        // In this order: a ledger that is made for a new Orchestrator of this name has another version.
        let Some(stored) = store.read(orchestrator).await? else { return Ok(()) };
        if view.ask(orchestrator, &Key::orchestrator(orchestrator)).await?.is_none() {
            desks.lock().unwrap_or_else(PoisonError::into_inner).remove(orchestrator);
            store.remove(orchestrator, &stored.version).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
