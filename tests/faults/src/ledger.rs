//! The agent outside: does what its tasks say and keeps a ledger of its effects, which no fault inside can touch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing};
use serde_json::json;
use tetrarch_protocol::agent::{AgentError, Request, Response};
use tokio::net::TcpListener;

/// How often the agent was asked for each task, by task id.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<String, u32>>>);

impl Ledger {
    /// Starts the agent; its address.
    pub async fn serve(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let health = routing::get(|| std::future::ready("well"));
        let router = Router::new().route("/tasks", routing::post(work)).route("/health", health);
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// What was done so far.
    pub fn effects(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, task: &str) -> u32 {
        let mut effects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = effects.entry(task.to_owned()).or_default();
        *count += 1;
        *count
    }
}

async fn work(State(ledger): State<Ledger>, Json(request): Json<Request>) -> Json<Response> {
    // The effect comes first: a caller that dies meanwhile does not undo it.
    let count = ledger.note(&request.task_id);
    let millis = request.input["sleep"].as_u64().unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    if request.input["refuse"] == true {
        let error = AgentError { message: "refused".to_owned(), retryable: false };
        return Json(Response { output: None, error: Some(error), hand_over: None });
    }
    Json(Response { output: Some(json!({"count": count, "input": request.input})), error: None, hand_over: None })
}
