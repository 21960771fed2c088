//! Listens for the API servers, and serves them within the bounds of this webhook.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rustls::ServerConfig;
use tetrarch_serving::tls::{self, Bounds, Overflow};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// API servers keep a few connections each, and close an idle one after 90 s: the longest silence here is longer, so that they
/// never write to one that is being closed.
const BOUNDS: Bounds = Bounds {
    name: "admission webhook",
    connections: 1024,
    overflow: Overflow::Wait,
    idle: Duration::from_secs(150),
    last_answers: Duration::from_secs(12),
};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--webhook-addr {address}: {source}")]
pub struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens on the address of the webhook.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error { address, source })
}

/// Serves until cancelled, then until the last answer is written.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, service: Router, cancel: CancellationToken) {
    tls::serve(listener, tls, service, BOUNDS, cancel).await;
}
