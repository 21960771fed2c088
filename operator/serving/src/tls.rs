//! Serves over TLS: bounded connections, none silent for long, and an end at which no request fails.

use std::{sync::Arc, time::Duration};

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

/// Longest time of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Pause after the process ran out of something that connections need.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What is done with a connection for which there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It waits in the queue of the operating system: for clients that are few and known.
    Wait,
    /// It is closed at once, so that its sender tries again elsewhere: for clients that anybody can be.
    Close,
}

/// How much is served, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Who is served, for the log.
    pub name: &'static str,
    /// Connections at the same time.
    pub connections: usize,
    /// What those beyond find.
    pub overflow: Overflow,
    /// Longest silence before and between requests.
    pub idle: Duration,
    /// Longest time in which requests that are being answered at the end may be answered.
    pub last_answers: Duration,
}

/// Serves until cancelled, then until the last answer is written.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    service: Router,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots, bounds.overflow) => accepted,
        };
        match accepted {
            Ok(Some((stream, slot))) => {
                let connection =
                    Connection { acceptor: acceptor.clone(), service: service.clone(), bounds, stop: stop.clone() };
                connections.spawn(connection.serve(stream, slot));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(server = bounds.name, %error, "cannot accept a connection");
                sleep(EXHAUSTED).await;
            }
        }
    }
    connections.close();
    if timeout(bounds.last_answers, connections.wait()).await.is_err() {
        tracing::warn!(server = bounds.name, left = connections.len(), "requests did not end in time");
    }
}

/// The next connection with its slot; none when it came without place and was closed.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    overflow: Overflow,
) -> Result<Option<(TcpStream, OwnedSemaphorePermit)>, std::io::Error> {
    let waited = match overflow {
        // The semaphore is never closed.
        Overflow::Wait => slots.clone().acquire_owned().await.ok(),
        Overflow::Close => None,
    };
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(waited.or_else(|| slots.clone().try_acquire_owned().ok()).map(|slot| (stream, slot)))
}

struct Connection {
    acceptor: TlsAcceptor,
    service: Router,
    bounds: Bounds,
    stop: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream, _slot: OwnedSemaphorePermit) {
        let server = self.bounds.name;
        let stream = match timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(server, %error, "a client could not agree on an encryption");
                return;
            }
            Err(_) => return,
        };
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.bounds.idle)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.service))
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(server, %error, "a connection broke");
        }
    }
}

#[cfg(test)]
mod tests;
