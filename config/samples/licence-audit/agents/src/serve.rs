//! Serves one agent over HTTP: `POST /tasks` with the agent protocol's envelope, `GET /health`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tetrarch_protocol::agent::{self, AgentError, Request};
use tokio::{net::TcpListener, signal};

use crate::agent::Agent;

/// Largest request: a list of several hundred classifications or texts fits well.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The routes of an agent.
pub fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/tasks", post(handle))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(agent)
}

/// Serves until SIGTERM or Ctrl-C, then finishes what was begun.
pub async fn serve(agent: Arc<Agent>, listen: SocketAddr) -> io::Result<()> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(address = %listener.local_addr()?, "agent listens");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, router(agent)).with_graceful_shutdown(stop).await
}

async fn handle(State(agent): State<Arc<Agent>>, Json(request): Json<Request>) -> Response {
    let Request { task_id, input, attempt, .. } = request;
    let outcome = tokio::task::spawn_blocking(move || agent.answer(input)).await;
    match outcome {
        Ok(Ok(answer)) => {
            tracing::info!(task = task_id, attempt, "task done");
            Json(answer).into_response()
        }
        Ok(Err(error)) => {
            tracing::warn!(task = task_id, attempt, %error, "task refused");
            refuse(StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), false)
        }
        Err(error) => {
            tracing::error!(task = task_id, attempt, %error, "task failed");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "the agent broke off the task".to_owned(), true)
        }
    }
}

fn refuse(status: StatusCode, message: String, retryable: bool) -> Response {
    let error = Some(AgentError { message, retryable });
    (status, Json(agent::Response { output: None, hand_over: None, error })).into_response()
}
