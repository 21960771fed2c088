//! Leader election by a Lease, with the rules of client-go: one replica acts, the others watch and wait.
//!
//! Every write carries the resource version that was read, so of two candidates one loses. A candidate judges a foreign
//! lease by how long it has not changed on the candidate's own clock, so clocks need not agree. The holder gives up
//! before anybody else may take over ([`Timing::renew_deadline`] is shorter than [`Timing::duration`]).

pub mod lease;
pub mod store;

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use lease::{Record, Step, Timing};
use store::LeaseStore;

/// Takes part in the election until cancelled; then gives the lease back if it holds it.
///
/// `leading` says whether this replica leads. It turns false as soon as the lease is lost or could not be renewed in time.
pub async fn run<S: LeaseStore>(
    store: S,
    identity: String,
    timing: Timing,
    clock: Clock,
    leading: watch::Sender<bool>,
    cancel: CancellationToken,
) {
    let mut candidate = Candidate { store, identity, timing, clock, leading, seen: None, renewed: None };
    loop {
        let pause = candidate.round().await;
        tokio::select! {
            () = cancel.cancelled() => break,
            () = sleep(pause) => {}
        }
    }
    candidate.release().await;
}

struct Candidate<S> {
    store: S,
    identity: String,
    timing: Timing,
    clock: Clock,
    leading: watch::Sender<bool>,
    /// The lease as last read, and since when it has not changed.
    seen: Option<(Record, Instant)>,
    /// When this replica last wrote the lease.
    renewed: Option<Instant>,
}

impl<S: LeaseStore> Candidate<S> {
    /// One look at the lease and what follows from it; says how long to wait for the next one.
    async fn round(&mut self) -> Duration {
        let started = Instant::now();
        // A holder that gets no answer until its deadline has lost, whatever the answer would have been.
        let limit = self.renewed.map_or(self.timing.renew_deadline, |at| {
            (at + self.timing.renew_deadline).saturating_duration_since(started)
        });
        match timeout(limit, self.attempt(started)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the leader lease cannot be read or written"),
            Err(_) => tracing::warn!("the leader lease could not be read or written in time"),
        }
        if self.renewed.is_some_and(|at| at.elapsed() >= self.timing.renew_deadline) {
            self.step_down("not renewed in time");
        }
        self.timing.retry
    }

    async fn attempt(&mut self, started: Instant) -> Result<(), store::Error> {
        let found = self.store.read().await?;
        let unchanged_for = self.observe(found.as_ref());
        match lease::decide(found.as_ref(), &self.identity, unchanged_for) {
            Step::Wait => {
                if self.renewed.is_some() {
                    self.step_down("taken by another replica");
                }
                Ok(())
            }
            Step::Write => {
                let wanted = lease::held(found.as_ref(), &self.identity, self.timing, self.clock.now());
                match self.store.write(&wanted).await {
                    Ok(()) => {
                        self.renewed = Some(started);
                        if !*self.leading.borrow() {
                            tracing::info!(identity = self.identity, "this replica leads");
                            self.leading.send_replace(true);
                        }
                        Ok(())
                    }
                    Err(store::Error::Conflict) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// How long the lease has not changed.
    fn observe(&mut self, found: Option<&Record>) -> Duration {
        match (found, &self.seen) {
            (Some(new), Some((old, since))) if new == old => since.elapsed(),
            (Some(new), _) => {
                self.seen = Some((new.clone(), Instant::now()));
                Duration::ZERO
            }
            (None, _) => {
                self.seen = None;
                Duration::ZERO
            }
        }
    }

    fn step_down(&mut self, reason: &'static str) {
        self.renewed = None;
        if self.leading.send_replace(false) {
            tracing::warn!(identity = self.identity, reason, "this replica no longer leads");
        }
    }

    async fn release(mut self) {
        let held = self.renewed.is_some();
        self.step_down("shutting down");
        if !held {
            return;
        }
        let release = async {
            match self.store.read().await? {
                Some(found) if found.holder.as_deref() == Some(self.identity.as_str()) => {
                    self.store.write(&lease::released(&found, self.clock.now())).await
                }
                _ => Ok(()),
            }
        };
        match timeout(self.timing.retry, release).await {
            Ok(Ok(())) => tracing::info!("gave the leader lease back"),
            Ok(Err(error)) => tracing::warn!(%error, "the leader lease could not be given back"),
            Err(_) => tracing::warn!("the leader lease could not be given back in time"),
        }
    }
}

#[cfg(test)]
mod tests;
