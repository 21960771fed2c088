//! Webhooks: `POST /hooks/<workflow>/<trigger>` begins a run when it is signed, and is answered when that is in the journal.

pub(crate) mod secrets;
mod signature;
mod tls;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use jiff::Timestamp;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tetrarch_core::{
    id::Name,
    workflow::{
        definition::Definition,
        message::{Message, Signature, Source},
    },
};
use tetrarch_protocol::snapshot::MessageSnapshot;
use tetrarch_serving::tls::{self as served, Bounds, Overflow};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::secrets::Secrets;
use crate::intake::{self, Intake, Taken};

pub use tls::Error;

/// Largest body in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Longest time for a body to come.
const BODY_WAIT: Duration = Duration::from_secs(20);

/// Anybody can be a sender, so those for whom there is no place are closed and try again elsewhere.
const BOUNDS: Bounds = Bounds {
    name: "webhooks",
    connections: 256,
    overflow: Overflow::Close,
    idle: Duration::from_secs(10),
    last_answers: Duration::from_secs(5),
};

/// Headers that no expression reads: what they hold must not come into a journal.
const PRIVATE: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "webhook-signature", "x-hub-signature", "x-hub-signature-256"];

/// Where webhooks are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Directory with the secrets: `<workflow>/<trigger>`.
    pub secrets: PathBuf,
    /// Directory that may have `tls.crt` and `tls.key`; without them a certificate is made.
    pub certificate: PathBuf,
}

/// Why a delivery is refused.
enum Refusal {
    /// There is no such webhook.
    Unknown,
    /// It is larger than allowed, or does not come to its end.
    Body(StatusCode),
    /// The signature does not fit.
    Signature(signature::Error),
    /// It is not what the trigger can use.
    Unusable(String),
    /// It has to come again, after so many seconds.
    Later(u32, String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Unknown => (StatusCode::NOT_FOUND, "no Workflow has a trigger of this name by webhook".to_owned()),
            Self::Body(status) => (status, format!("send a body of at most {MAX_BODY} bytes, within {BODY_WAIT:?}")),
            Self::Signature(error) => (StatusCode::UNAUTHORIZED, error.to_string()),
            Self::Unusable(why) => (StatusCode::UNPROCESSABLE_ENTITY, why),
            Self::Later(seconds, why) => {
                let retry = [(RETRY_AFTER, seconds.to_string())];
                return (StatusCode::SERVICE_UNAVAILABLE, retry, Json(json!({"error": why}))).into_response();
            }
        };
        (status, Json(json!({"error": text}))).into_response()
    }
}

impl From<intake::Error> for Refusal {
    fn from(error: intake::Error) -> Self {
        match error {
            intake::Error::Unusable(why) => Self::Unusable(why),
            intake::Error::Full(_) => Self::Later(30, error.to_string()),
            intake::Error::Bus(_) | intake::Error::Encode(_) => {
                tracing::warn!(%error, "a delivery begins no run yet");
                Self::Later(5, "the bus does not take it now".to_owned())
            }
        }
    }
}

#[derive(Clone)]
struct Context {
    intake: Intake,
    secrets: Secrets,
}

/// What serves webhooks.
pub(crate) struct Server {
    serving: tls::Serving,
    tls: Arc<ServerConfig>,
    router: Router,
}

impl Server {
    /// Prepares everything but the listening.
    pub(crate) async fn prepare(intake: Intake, options: Options) -> Result<Self, Error> {
        let names = vec![intake.supervisor.to_string(), "localhost".to_owned()];
        let mut serving = tls::Serving::new(options.certificate, names)?;
        serving.look().await;
        let tls = serving.config()?;
        let router = Router::new()
            .route("/hooks/{workflow}/{trigger}", post(deliver))
            .with_state(Context { intake, secrets: Secrets(options.secrets) });
        Ok(Self { serving, tls, router })
    }

    /// Serves until it is told to stop.
    pub(crate) async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let served = served::serve(listener, self.tls, self.router, BOUNDS, stop.clone());
        tokio::join!(self.serving.follow(stop), served);
    }
}

async fn deliver(
    State(context): State<Context>,
    Path((workflow, trigger)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (definition, snapshot, signature) = find(&context.intake, &workflow, &trigger)?;
    let body = read(body).await?;
    let keys = context.secrets.read(&definition.workflow, &snapshot.trigger.name, signature).await;
    let keys = keys.map_err(|_| Refusal::Later(30, "the secret of this webhook is not there yet".to_owned()))?;
    let id = signature::verify(signature, &keys, &headers, &body, Timestamp::now()).map_err(Refusal::Signature)?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Refusal::Unusable(format!("the body is no JSON: {error}: send JSON")))?;
    let readable = readable(&headers);
    let message = Message { id, body: Ok(&body), headers: &readable };
    Ok(match context.intake.take(&definition, &snapshot, message).await? {
        Taken::Begun(run) => (StatusCode::ACCEPTED, Json(json!({"run": run}))).into_response(),
        Taken::Declined => Json(json!({"message": "nothing began: the condition is false"})).into_response(),
    })
}

/// The webhook of these names.
fn find(
    intake: &Intake,
    workflow: &str,
    trigger: &str,
) -> Result<(Arc<Definition>, MessageSnapshot, Signature), Refusal> {
    let unread = || Refusal::Later(5, "the configuration is not read yet".to_owned());
    let open = intake.open.borrow().clone().ok_or_else(unread)?;
    let workflow: Name = workflow.parse().map_err(|_| Refusal::Unknown)?;
    let known = open.get(&workflow).ok_or(Refusal::Unknown)?;
    let mut hooks = known.messages.iter().filter_map(|snapshot| match snapshot.trigger.source {
        Source::Webhook { signature } => Some((snapshot, signature)),
        Source::Event { .. } => None,
    });
    let found = hooks.find(|(snapshot, _)| snapshot.trigger.name.as_str() == trigger);
    let (snapshot, signature) = found.ok_or(Refusal::Unknown)?;
    Ok((known.definition.clone(), snapshot.clone(), signature))
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_WAIT, to_bytes(body, MAX_BODY)).await;
    let read = read.map_err(|_| Refusal::Body(StatusCode::REQUEST_TIMEOUT))?;
    read.map_err(|_| Refusal::Body(StatusCode::PAYLOAD_TOO_LARGE))
}

/// The headers that expressions may read.
fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let public = headers.iter().filter(|(name, _)| !PRIVATE.contains(&name.as_str()));
    public.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}
