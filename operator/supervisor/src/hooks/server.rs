//! Accepts connections over TLS: a bounded number, none silent for long, and an end at which no request fails.

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
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at the same time.
const CONNECTIONS: usize = 256;

/// Longest time of a handshake, and of the headers of a request.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Longest time in which requests that are being answered may end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Pause after the process ran out of something that connections need.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves until cancelled, then until the last answer is written.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, service: Router, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(EXHAUSTED).await;
            continue;
        };
        // Those beyond the bound are closed at once, so that their senders try again elsewhere.
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (acceptor, service, stop) = (acceptor.clone(), service.clone(), stop.clone());
        connections.spawn(async move {
            answer(stream, &acceptor, service, stop).await;
            drop(slot);
        });
    }
    connections.close();
    timeout(LAST_ANSWERS, connections.wait()).await.ok();
}

async fn answer(stream: TcpStream, acceptor: &TlsAcceptor, service: Router, stop: CancellationToken) {
    let Ok(Ok(stream)) = timeout(LONGEST_WAIT, acceptor.accept(stream)).await else { return };
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(LONGEST_WAIT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of a webhook broke");
    }
}
