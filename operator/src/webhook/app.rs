//! The webhook over HTTP: reads a question, has it decided, writes the answer. What is no question gets 400 with the reason.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;
use tetrarch_plan::admit::wire::{self, Incoming};
use tokio::{sync::Semaphore, time::timeout};

/// Which of the two webhooks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The object may still be changed.
    Mutate,
    /// The object is final.
    Validate,
}

/// Decides about objects before they are stored.
pub trait Admission: Send + Sync + 'static {
    /// The answer to one request, an `AdmissionReview` with a response.
    fn answer(&self, phase: Phase, request: Incoming) -> impl Future<Output = Value> + Send;

    /// A request was turned away with this HTTP status without an answer.
    fn turned_away(&self, status: u16);
}

/// Largest body: twice what etcd stores, for the object before and after, with some room.
pub const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Memory for bodies that are read and decided at the same time, in KiB. What is beyond waits.
const BODIES_KIB: u32 = 64 * 1024;

/// Longest wait for a share of that memory.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Longest time until a whole body has arrived.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Whether this replica is about to go. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on, each answer is the last one on its connection, so that clients open the next one elsewhere.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

struct App<A> {
    admission: A,
    draining: Draining,
    bodies: Semaphore,
}

/// `POST /validate` and `POST /mutate`.
pub fn router<A: Admission>(admission: A, draining: Draining) -> Router {
    let app = Arc::new(App { admission, draining, bodies: Semaphore::new(BODIES_KIB as usize) });
    Router::new()
        .route(
            "/validate",
            post(|State(app): State<Arc<App<A>>>, request: Request| app.answer(Phase::Validate, request)),
        )
        .route("/mutate", post(|State(app): State<Arc<App<A>>>, request: Request| app.answer(Phase::Mutate, request)))
        .with_state(app)
}

/// A question that is not decided.
struct Rejected(StatusCode, String);

impl<A: Admission> App<A> {
    async fn answer(self: Arc<Self>, phase: Phase, request: Request) -> Response {
        let mut response = match self.decide(phase, request).await {
            Ok(json) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response(),
            Err(Rejected(status, reason)) => {
                tracing::warn!(status = status.as_u16(), reason, "turned a request to the webhook away");
                self.admission.turned_away(status.as_u16());
                (status, reason + "\n").into_response()
            }
        };
        if self.draining.has_begun() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn decide(&self, phase: Phase, request: Request) -> Result<Vec<u8>, Rejected> {
        let share = share(&request)?;
        let turn = timeout(TURN_WAIT, self.bodies.acquire_many(share)).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Rejected(StatusCode::SERVICE_UNAVAILABLE, "too many requests at the same time".to_owned()));
        };
        let body = read_body(request.into_body()).await?;
        let question = wire::read(&body).map_err(|error| Rejected(StatusCode::BAD_REQUEST, error.to_string()))?;
        let answer = self.admission.answer(phase, question).await;
        serde_json::to_vec(&answer).map_err(|error| {
            Rejected(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {error}"))
        })
    }
}

/// The memory that a body takes, in KiB.
fn share(request: &Request) -> Result<u32, Rejected> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length: usize = announced.unwrap_or(BODY_LIMIT);
    if length > BODY_LIMIT {
        return Err(too_large());
    }
    Ok(u32::try_from(length.div_ceil(1024)).unwrap_or(BODIES_KIB).max(1))
}

fn too_large() -> Rejected {
    Rejected(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {BODY_LIMIT} bytes"))
}

async fn read_body(body: Body) -> Result<Bytes, Rejected> {
    match timeout(BODY_WAIT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // The limit is the only error of a body that arrives.
        Ok(Err(error)) if is_limit(&error) => Err(too_large()),
        Ok(Err(error)) => Err(Rejected(StatusCode::BAD_REQUEST, format!("the body did not arrive: {error}"))),
        Err(_) => Err(Rejected(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned())),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

#[cfg(test)]
mod tests;
