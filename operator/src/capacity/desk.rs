//! One Orchestrator's desk: takes claims, and books all that wait with one write of the ledger.
//!
//! The ledger is shared by all replicas. What is written names the version that it was computed from, so of two desks that
//! write at once one is refused; it reads again and computes again. A claim is granted only when a write that holds it was
//! confirmed, and refused only after a look at a ledger that was read after the claim arrived.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use rand::RngExt;
use tetrarch_core::capacity::{Claim, Grant, Ledger, Refusal, book};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Booked, Shared, Unavailable,
    store::{self, Stored},
    survey::Survey,
    view,
};

/// Pause before a refusal that may pass is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a refusal is held back that others' unfinished requests cause. They usually end well within this time.
const BENEFIT_OF_DOUBT: Duration = Duration::from_secs(2);

/// Longest pause after a write that lost against another replica's; it is random below that.
const LONGEST_YIELD: Duration = Duration::from_millis(20);

/// Pause after the API server failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// How much later than its deadline an order is answered at most, while the desk waits for the API server.
pub const GRACE: Duration = Duration::from_secs(1);

/// What a desk is asked to do.
pub enum Order {
    /// To book a claim.
    Claim(Box<Claiming>),
    /// To bring the ledger in line with what exists.
    Survey(Surveying),
}

/// A claim that waits for its answer.
pub struct Claiming {
    /// What is to be booked.
    pub claim: Claim,
    /// When it arrived.
    pub arrived: Instant,
    /// When nobody waits for the answer any more.
    pub deadline: Instant,
    /// Takes the answer.
    pub answer: oneshot::Sender<Booked>,
}

/// A survey that waits for its answer.
pub struct Surveying {
    /// When nobody waits for the answer any more.
    pub deadline: Instant,
    /// Takes the ledger.
    pub answer: oneshot::Sender<Result<Arc<Ledger>, Unavailable>>,
}

/// Why a round ended without an answer for anybody.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    View(#[from] view::Error),
}

/// The task of one Orchestrator.
pub struct Desk {
    orchestrator: String,
    /// Not held while nothing is to be done, so that desks end with the handles to them.
    shared: Weak<Shared>,
    orders: mpsc::Receiver<Order>,
    claims: Vec<Claiming>,
    surveys: Vec<Surveying>,
    /// The ledger as this desk last wrote or read it.
    known: Option<Stored>,
    /// Why the last round failed.
    trouble: Option<String>,
}

/// What the ledger would be, and what each claim would be told.
struct Draft {
    ledger: Ledger,
    verdicts: Vec<Result<Grant, Refusal>>,
}

impl Draft {
    fn grants(&self) -> usize {
        self.verdicts.iter().flatten().filter(|grant| grant.is_written).count()
    }
}

impl Desk {
    /// A desk that takes its orders from `orders`.
    pub fn new(orchestrator: String, shared: &Arc<Shared>, orders: mpsc::Receiver<Order>) -> Self {
        let shared = Arc::downgrade(shared);
        Self { orchestrator, shared, orders, claims: Vec::new(), surveys: Vec::new(), known: None, trouble: None }
    }

    /// Works until nobody can bring orders any more.
    pub async fn run(mut self) {
        while self.gather().await {
            let Some(shared) = self.shared.upgrade() else { return };
            self.turn_away();
            if self.is_idle() {
                continue;
            }
            match self.round(&shared).await {
                Ok(()) => self.trouble = None,
                Err(Trouble::Store(store::Error::Conflict)) => {
                    shared.metrics.lost();
                    self.trouble = Some("because other replicas wrote the ledger first each time".to_owned());
                    let pause = {
                        let mut dice = shared.dice.lock().unwrap_or_else(PoisonError::into_inner);
                        dice.random_range(Duration::ZERO..LONGEST_YIELD)
                    };
                    sleep(pause).await;
                }
                Err(error) => {
                    tracing::warn!(orchestrator = self.orchestrator, %error, "the ledger cannot be written, will be tried again");
                    self.trouble = Some(format!("because {error}"));
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.claims.is_empty() && self.surveys.is_empty()
    }

    /// Takes everything that has arrived. With nobody waiting it waits for the next order; after a round that left only
    /// refusals that may pass, it waits a moment. Returns false when there will be no more orders.
    async fn gather(&mut self) -> bool {
        let next = if self.is_idle() {
            self.orders.recv().await
        } else if self.trouble.is_some() {
            None
        } else {
            timeout_at(Instant::now() + LOOK_AGAIN, self.orders.recv()).await.ok().flatten()
        };
        self.take(next);
        while let Ok(order) = self.orders.try_recv() {
            self.take(Some(order));
        }
        !self.is_idle()
    }

    fn take(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Claim(claim)) => self.claims.push(*claim),
            Some(Order::Survey(survey)) => self.surveys.push(survey),
            None => {}
        }
    }

    /// Lets go of those that nobody waits for any more.
    fn turn_away(&mut self) {
        let now = Instant::now();
        let reason = self.trouble.clone().unwrap_or_else(|| "because too many requests wait for it".to_owned());
        let unavailable = Unavailable { orchestrator: self.orchestrator.clone(), reason };
        self.claims.retain(|job| !job.answer.is_closed());
        for job in self.claims.extract_if(.., |job| job.deadline <= now) {
            job.answer.send(Booked::Unavailable(unavailable.clone())).ok();
        }
        self.surveys.retain(|job| !job.answer.is_closed());
        for job in self.surveys.extract_if(.., |job| job.deadline <= now) {
            job.answer.send(Err(unavailable.clone())).ok();
        }
    }

    /// Computes from the known ledger, or from a fresh one if that would refuse anybody, and writes it.
    async fn round(&mut self, shared: &Shared) -> Result<(), Trouble> {
        let known = self.known.take();
        // A survey looks for what other replicas have left undone.
        let is_fresh = known.is_none() || !self.surveys.is_empty();
        let mut base = if is_fresh { shared.store.read(&self.orchestrator).await? } else { known };
        let mut draft = self.draft(shared, base.as_ref(), false).await?;
        if draft.verdicts.iter().any(Result::is_err) {
            if !is_fresh {
                base = shared.store.read(&self.orchestrator).await?;
            }
            draft = self.draft(shared, base.as_ref(), true).await?;
        }
        let is_changed = base.as_ref().is_none_or(|base| base.ledger != draft.ledger);
        if is_changed && (draft.grants() > 0 || !self.surveys.is_empty()) {
            base = Some(self.write(shared, base.as_ref(), &draft).await?);
        }
        self.answer(base.as_ref(), draft.verdicts);
        self.known = base;
        Ok(())
    }

    /// What the ledger would be with all claims that fit, in the order in which they came. `is_pressing`: claims are to be
    /// refused, so what this replica has seen to be free counts before the leader has written it down.
    async fn draft(&self, shared: &Shared, base: Option<&Stored>, is_pressing: bool) -> Result<Draft, Trouble> {
        let now = shared.clock.now();
        let survey = Survey { view: shared.view.as_ref(), orchestrator: &self.orchestrator, now };
        let mut ledger = match base {
            Some(base) => base.ledger.clone(),
            None => survey.adopt().await?,
        };
        survey.end_overdue(&mut ledger).await?;
        if !self.surveys.is_empty() {
            survey.take_up_everything(&mut ledger).await?;
        } else if is_pressing {
            survey.take_up_outcomes(&mut ledger);
        }
        let verdicts = self.claims.iter().map(|job| book(&mut ledger, job.claim.clone(), now)).collect();
        Ok(Draft { ledger, verdicts })
    }

    async fn write(&self, shared: &Shared, base: Option<&Stored>, draft: &Draft) -> Result<Stored, Trouble> {
        let started = Instant::now();
        let version = base.map(|base| base.version.as_str());
        let version = shared.store.write(&self.orchestrator, &draft.ledger, version).await?;
        shared.metrics.wrote(draft.grants(), started.elapsed());
        let was_settled =
            |id| base.is_some_and(|base| base.ledger.escalations().iter().any(|e| e.is_settled && e.id() == id));
        for escalation in draft.ledger.escalations().iter().filter(|e| e.is_settled && !was_settled(e.id())) {
            // Nobody listens only when the process ends.
            shared.escalated.send(escalation.clone()).ok();
        }
        Ok(Stored { ledger: draft.ledger.clone(), version })
    }

    /// Answers everybody, except those whose refusal may pass soon.
    fn answer(&mut self, written: Option<&Stored>, verdicts: Vec<Result<Grant, Refusal>>) {
        let now = Instant::now();
        for (job, verdict) in std::mem::take(&mut self.claims).into_iter().zip(verdicts) {
            let booked = match verdict {
                Ok(grant) => Booked::Granted { escalations: grant.escalations },
                Err(refusal) if refusal.may_pass_soon() && now < job.arrived + BENEFIT_OF_DOUBT => {
                    self.claims.push(job);
                    continue;
                }
                Err(refusal) => Booked::Refused(refusal),
            };
            // A writer that has gone away does not want to know.
            job.answer.send(booked).ok();
        }
        if let Some(written) = written.filter(|_| !self.surveys.is_empty()) {
            let ledger = Arc::new(written.ledger.clone());
            for job in self.surveys.drain(..) {
                job.answer.send(Ok(ledger.clone())).ok();
            }
        }
    }
}
