//! `/healthz`, `/readyz` and `/metrics`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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

/// Whether this replica can do its work: its view of the cluster is complete.
#[derive(Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says that the view is complete.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
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
    if admin.readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still reading the cluster's objects\n")
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
