//! `/healthz`, `/readyz` and `/metrics`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Why the endpoints could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("--http-addr {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Serving failed.
    #[error("serving the admin endpoints: {0}")]
    Serve(#[source] std::io::Error),
}

/// What this replica needs before it can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Its view of the cluster is complete.
    View,
    /// The webhook has a certificate that API servers trust.
    Certificate,
}

impl Need {
    const fn bit(self) -> u8 {
        match self {
            Self::View => 1,
            Self::Certificate => 2,
        }
    }

    const fn missing(self) -> &'static str {
        match self {
            Self::View => "still reading the cluster's objects\n",
            Self::Certificate => "still waiting for the webhook's certificate\n",
        }
    }
}

/// Set for good when the replica is about to go.
const STOPPING: u8 = 128;

/// Whether this replica can do its work. Clones share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Says that this is there.
    pub fn set(&self, need: Need) {
        self.0.fetch_or(need.bit(), Ordering::AcqRel);
    }

    /// Says that this replica is about to go. Says whether it was ready before.
    pub fn stop(&self) -> bool {
        let was_ready = self.check().is_ok();
        self.0.fetch_or(STOPPING, Ordering::AcqRel);
        was_ready
    }

    /// What is missing, if anything.
    pub fn check(&self) -> Result<(), &'static str> {
        let there = self.0.load(Ordering::Acquire);
        if there & STOPPING != 0 {
            return Err("stopping\n");
        }
        let missing = [Need::View, Need::Certificate].into_iter().find(|need| there & need.bit() == 0);
        missing.map_or(Ok(()), |need| Err(need.missing()))
    }
}

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    readiness: Readiness,
}

/// The endpoints as a service.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Admin { metrics, readiness })
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    match admin.readiness.check() {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
    }
}

async fn metrics_text(State(admin): State<Admin>) -> Result<([(&'static str, &'static str); 1], Vec<u8>), StatusCode> {
    match admin.metrics.render() {
        Ok(text) => Ok(([("content-type", "text/plain; version=0.0.4")], text)),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Listens on the address of the endpoints.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Serves the endpoints until cancelled.
pub async fn serve(listener: TcpListener, service: Router, cancel: CancellationToken) -> Result<(), Error> {
    axum::serve(listener, service).with_graceful_shutdown(cancel.cancelled_owned()).await.map_err(Error::Serve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_ready_with_all_it_needs_and_never_again_after_it_was_told_to_stop() {
        let readiness = Readiness::default();
        assert!(readiness.check().unwrap_err().contains("objects"));
        readiness.set(Need::View);
        assert!(readiness.check().unwrap_err().contains("certificate"));
        readiness.set(Need::Certificate);
        assert_eq!(readiness.check(), Ok(()));
        assert!(readiness.stop());
        readiness.set(Need::View);
        assert!(readiness.check().unwrap_err().contains("stopping"));
    }
}
