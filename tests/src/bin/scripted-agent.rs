//! An agent for tests that behaves as its input says: `{"behave": "echo" | "garbage" | "error" | "reject" | "sleep" | "large" | "hang" | "crash" | "busy", …}`.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/tasks", post(answer))
        .layer(DefaultBodyLimit::max(64 << 20));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 8080))).await?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                signal.recv().await;
            }
        })
        .await?;
    Ok(())
}

async fn answer(Json(request): Json<Value>) -> Response {
    let input = &request["input"];
    let number = |field: &str, default: u64| input[field].as_u64().unwrap_or(default);
    match input["behave"].as_str().unwrap_or("echo") {
        "garbage" => "this is no envelope".into_response(),
        "error" => (StatusCode::INTERNAL_SERVER_ERROR, "the agent broke on purpose").into_response(),
        "reject" => (StatusCode::UNPROCESSABLE_ENTITY, "the agent cannot do this").into_response(),
        "busy" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(number("millis", 100))).await;
            Json(json!({"output": input})).into_response()
        }
        "large" => {
            let size = usize::try_from(number("bytes", 1 << 20)).unwrap_or(1 << 20);
            Json(json!({"output": "x".repeat(size)})).into_response()
        }
        "hang" => std::future::pending().await,
        // The container dies in the middle of the call, as an agent out of memory does.
        "crash" => std::process::exit(137),
        // Fails until the attempt that the input names.
        "flaky" if request["attempt"].as_u64() < input["until"].as_u64() => {
            Json(json!({"error": {"message": "not yet", "retryable": true}})).into_response()
        }
        _ => Json(json!({"output": input, "attempt": request["attempt"]})).into_response(),
    }
}
