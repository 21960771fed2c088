//! Serves the webhook over TLS: bounded connections, and an end at which no request fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at the same time. API servers keep a few each.
const CONNECTIONS: usize = 1024;

/// Longest time of a TLS handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// Longest silence on a connection. Longer than the 90 s after which API servers close an idle one, so that they never
/// write to one that is being closed here.
const IDLE: Duration = Duration::from_secs(150);

/// Longest time in which requests that are being answered may end.
const LAST_ANSWERS: Duration = Duration::from_secs(12);

/// Pause after the process ran out of something that connections need.
const EXHAUSTED: Duration = Duration::from_millis(100);

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
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let connection =
                    Connection { acceptor: acceptor.clone(), service: service.clone(), cancel: cancel.clone() };
                connections.spawn(connection.serve(stream, slot));
            }
            Err(error) => {
                tracing::warn!(%error, "the webhook cannot accept a connection");
                sleep(EXHAUSTED).await;
            }
        }
    }
    connections.close();
    if timeout(LAST_ANSWERS, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "requests to the webhook did not end in time");
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Result<(TcpStream, Option<OwnedSemaphorePermit>), std::io::Error> {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.ok();
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

struct Connection {
    acceptor: TlsAcceptor,
    service: Router,
    cancel: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream, _slot: Option<OwnedSemaphorePermit>) {
        let stream = match timeout(HANDSHAKE_WAIT, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client of the webhook could not agree on an encryption");
                return;
            }
            Err(_) => return,
        };
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.service))
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.cancel.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the webhook broke");
        }
    }
}
