//! Sends spans to a collector: OTLP over HTTP with JSON. What finds no room or no collector is dropped and counted; nobody ever waits for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tetrarch_protocol::otlp::{self, Service, Span};
use tokio::sync::mpsc;

use crate::metrics::{Metrics, SpanEnd};

/// Spans that wait to be sent at most.
pub const BUFFER: usize = 8192;

/// Spans in one request at most.
const BATCH: usize = 512;

/// Time in which spans gather for a request.
const LINGER: Duration = Duration::from_millis(500);

/// Longest time of a request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A span with where it goes.
#[derive(Clone, Debug)]
pub struct Export {
    /// Base address of the collector, such as `http://collector.observability:4318`.
    pub endpoint: Arc<str>,
    /// Whose work it tells of.
    pub service: Service,
    /// The span.
    pub span: Span,
}

/// Why spans were not taken; only for the log.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the address is none: {0}")]
    Address(#[from] hyper::http::Error),
    #[error("the spans cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("the collector is not reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector does not answer within {TIMEOUT:?}")]
    Silent,
    #[error("the collector answers {0}")]
    Refused(StatusCode),
}

/// Sends what comes in until nobody sends any more.
pub async fn run(mut spans: mpsc::Receiver<Export>, metrics: Metrics) {
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(HttpConnector::new());
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_failing = false;
    while spans.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH && !spans.is_closed() {
            tokio::time::sleep(LINGER).await;
            while batch.len() < BATCH
                && let Ok(export) = spans.try_recv()
            {
                batch.push(export);
            }
        }
        let count = batch.len();
        let result = send(&client, &mut batch).await;
        metrics.spans_ended(if result.is_ok() { SpanEnd::Exported } else { SpanEnd::Refused }, count);
        let was_failing = std::mem::replace(&mut is_failing, result.is_err());
        match result {
            Ok(()) if was_failing => tracing::info!("the collector takes spans again"),
            Err(error) if !was_failing => {
                tracing::warn!(%error, count, "spans are dropped: see spec.telemetry.otlpEndpoint of the Orchestrator");
            }
            _ => {}
        }
        if is_failing && spans.is_closed() {
            // Nobody waits for a collector that is not there.
            while spans.try_recv().is_ok() {
                metrics.spans_ended(SpanEnd::Refused, 1);
            }
        }
    }
}

async fn send(client: &Client<HttpConnector, Full<Bytes>>, batch: &mut Vec<Export>) -> Result<(), Error> {
    // All of one Supervisor go to one collector; when that changes, those of the moment go to the new one.
    let Some(endpoint) = batch.last().map(|export| export.endpoint.clone()) else { return Ok(()) };
    let spans = batch.drain(..).map(|export| (export.service, export.span)).collect();
    let body = serde_json::to_vec(&otlp::Request::new(spans))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{}", endpoint.trim_end_matches('/'), otlp::PATH))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let answer = tokio::time::timeout(TIMEOUT, client.request(request)).await.map_err(|_| Error::Silent)??;
    if answer.status().is_success() { Ok(()) } else { Err(Error::Refused(answer.status())) }
}
