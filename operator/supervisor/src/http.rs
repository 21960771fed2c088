//! Probes and metrics over HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tetrarch_bus::Bus;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How far the replica is; readiness follows from it.
#[derive(Debug, Default)]
pub struct Progress {
    /// The journal has been folded up to its end.
    pub is_caught_up: AtomicBool,
    /// The configuration has been read.
    pub is_configured: AtomicBool,
}

#[derive(Clone)]
struct Context {
    bus: Bus,
    metrics: Metrics,
    progress: Arc<Progress>,
}

/// Listens at the address; the port that it got.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers probes and scrapes until it is told to stop.
pub async fn serve(
    listener: TcpListener,
    bus: Bus,
    metrics: Metrics,
    progress: Arc<Progress>,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Context { bus, metrics, progress });
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn ready(State(context): State<Context>) -> (StatusCode, String) {
    let checks = [
        ("bus connected", context.bus.is_connected()),
        ("journal caught up", context.progress.is_caught_up.load(Ordering::Relaxed)),
        ("configuration read", context.progress.is_configured.load(Ordering::Relaxed)),
    ];
    let is_ready = checks.iter().all(|(_, holds)| *holds);
    let text = checks.map(|(name, holds)| format!("[{}] {name}\n", if holds { '+' } else { '-' })).concat();
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

async fn scrape(State(context): State<Context>) -> (StatusCode, String) {
    match context.metrics.render() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
