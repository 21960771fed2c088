//! What kubelet and Prometheus ask: `/healthz`, `/readyz`, `/drain`, `/metrics`.
//!
//! `GET /drain` is the `preStop` hook of the *agent's* container. Kubelet ends the containers of a pod before its native sidecars, so without
//! it the agent would be gone before its work is finished. The hook runs first: it blocks until every running task has ended (or the drain
//! timeout is over), only then the agent gets its SIGTERM, and last the sidecar, which has nothing left to do. For that
//! `terminationGracePeriodSeconds` must be the drain timeout plus 30 seconds.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    service::{Handle, Phase},
};

#[derive(Clone, Debug)]
struct Shared {
    handle: Handle,
    metrics: Metrics,
}

/// Serves until the token is cancelled.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(handle, metrics)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(handle: Handle, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/drain", get(drain))
        .route("/metrics", get(text))
        .with_state(Shared { handle, metrics })
}

async fn healthz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.handle.is_running() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "ended\n") }
}

async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    let status = shared.handle.status();
    if status.phase != Phase::Working {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if !status.connected {
        (StatusCode::SERVICE_UNAVAILABLE, "the bus is not reached\n")
    } else if !status.healthy {
        (StatusCode::SERVICE_UNAVAILABLE, "the agent does not answer its health path\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn drain(State(shared): State<Shared>) -> &'static str {
    shared.handle.drain().await;
    "drained\n"
}

async fn text(State(shared): State<Shared>) -> Result<String, StatusCode> {
    shared.metrics.text().map_err(|error| {
        tracing::error!(%error, "cannot write the metrics");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}
