//! The agent's side: calls over plain HTTP on loopback, and its health path.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tetrarch_core::id::Name;
use tetrarch_protocol::agent::{self as wire, AgentError};

use crate::session::{
    event::{Answer, HandOver, Probe},
    verdict::MAX_MESSAGE,
};

/// Idle connections are kept shorter than common servers keep them, so that a call seldom meets one that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Longest time for a connection on loopback.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time of a health probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after 429 or 503 without a usable `Retry-After`.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Longest pause that an agent can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Why an agent cannot be addressed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error("{what} {url:?} is no http address: write http://127.0.0.1:<port><path>")]
    Url {
        /// Which address.
        what: &'static str,
        /// The refused text.
        url: String,
    },
    /// The request could not be built.
    #[error("cannot build the request")]
    Request(#[from] hyper::http::Error),
    /// The request could not be written as JSON.
    #[error("cannot write the request as JSON")]
    Json(#[from] serde_json::Error),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The body.
    pub request: wire::Request,
    /// W3C trace context, when the run is traced.
    pub traceparent: Option<String>,
    /// Whether the task may be handed to the agent twice.
    pub idempotent: bool,
    /// Longest time for the complete answer.
    pub timeout: Duration,
}

/// The agent in the same pod.
#[derive(Clone, Debug)]
pub struct Agent {
    pooled: Client<HttpConnector, Full<Bytes>>,
    /// For tasks that are not idempotent: on a new connection, an error before the connection stands proves that the agent saw nothing.
    fresh: Client<HttpConnector, Full<Bytes>>,
    url: Uri,
    health: Uri,
    max_response: usize,
}

impl Agent {
    /// An agent that takes tasks at `url`, says how it is at `health`, and may answer with up to `max_response` bytes.
    pub fn new(url: &str, health: &str, max_response: usize) -> Result<Self, Error> {
        let parse = |what, url: &str| {
            let parsed = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
            parsed.ok_or_else(|| Error::Url { what, url: url.to_owned() })
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = |idle: usize| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP_ALIVE)
                .pool_max_idle_per_host(idle)
                .build(connector.clone())
        };
        Ok(Self {
            pooled: client(usize::MAX),
            fresh: client(0),
            url: parse("the agent's address", url)?,
            health: parse("the agent's health address", health)?,
            max_response,
        })
    }

    /// Hands a task to the agent and judges how it answers.
    pub async fn call(&self, call: Call) -> Answer {
        let timeout = call.timeout;
        tokio::time::timeout(timeout, self.exchange(call)).await.unwrap_or(Answer::TimedOut(timeout))
    }

    /// Asks how the agent is.
    pub async fn probe(&self) -> Probe {
        match tokio::time::timeout(PROBE_TIMEOUT, self.fresh.get(self.health.clone())).await {
            Ok(Ok(response)) if response.status().is_success() => Probe::Well,
            Ok(_) => Probe::Failing,
            Err(_) => Probe::Silent,
        }
    }

    async fn exchange(&self, call: Call) -> Answer {
        let client = if call.idempotent { &self.pooled } else { &self.fresh };
        let request = match self.build_request(&call) {
            Ok(request) => request,
            Err(error) => return Answer::Rejected(error.to_string()),
        };
        match client.request(request).await {
            Ok(response) => self.read(response).await,
            Err(error) if error.is_connect() => {
                Answer::NotConnected(format!("the agent could not be reached at {}: {}", self.url, chain(&error)))
            }
            Err(error) => {
                Answer::ConnectionLost(format!("the agent closed the connection without an answer: {}", chain(&error)))
            }
        }
    }

    fn build_request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let body = serde_json::to_vec(&call.request)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header("idempotency-key", &call.request.task_id);
        if let Some(traceparent) = call.traceparent.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            request = request.header("traceparent", traceparent);
        }
        Ok(request.body(Full::from(body))?)
    }

    async fn read(&self, response: Response<Incoming>) -> Answer {
        let status = response.status();
        match status {
            StatusCode::OK => self.read_envelope(response.into_body()).await,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Answer::Busy(retry_after(&response)),
            _ => {
                let path = self.url.path().to_owned();
                let said = read_start(response.into_body()).await;
                let separator = if said.is_empty() { "" } else { ": " };
                let message = format!("the agent answered {status} to POST {path}{separator}{said}");
                match status {
                    StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Answer::Rejected(message),
                    _ => Answer::Failed(message),
                }
            }
        }
    }

    async fn read_envelope(&self, body: Incoming) -> Answer {
        match Limited::new(body, self.max_response).collect().await {
            Ok(body) => parse_envelope(&body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Answer::TooLarge(format!(
                "the agent's answer is larger than {} bytes: return a reference to the data instead",
                self.max_response
            )),
            Err(error) => {
                Answer::ConnectionLost(format!("the agent closed the connection within its answer: {}", chain(&*error)))
            }
        }
    }
}

/// The answer's envelope, with the output left as text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    hand_over: Option<HandedOver<'a>>,
    #[serde(default)]
    error: Option<AgentError>,
}

/// Who goes on, with the input left as text.
#[derive(Deserialize)]
struct HandedOver<'a> {
    capability: Name,
    #[serde(borrow, default, deserialize_with = "present")]
    input: Option<&'a RawValue>,
    #[serde(default)]
    reason: Option<String>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn parse_envelope(body: &Bytes) -> Answer {
    // Serde would also take an array for the envelope's fields in order.
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let parsed = match serde_json::from_slice::<Envelope<'_>>(body) {
        Ok(_) if !is_object => Err("it is no JSON object".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    };
    match parsed {
        Ok(Envelope { error: Some(error), .. }) if error.retryable => Answer::Failed(error.message),
        Ok(Envelope { error: Some(error), .. }) => Answer::Rejected(error.message),
        Ok(Envelope { output, hand_over: Some(HandedOver { capability: to, input, reason }), .. }) => {
            let input = input.or(output).map(|input| body.slice_ref(input.get().as_bytes()));
            Answer::HandedOver(HandOver { to, input, reason })
        }
        Ok(Envelope { output: Some(output), .. }) => Answer::Output(body.slice_ref(output.get().as_bytes())),
        Ok(Envelope { .. }) => Answer::Invalid(
            "the agent's answer has neither output nor error nor handOver: answer {\"output\": …}, {\"error\": {\"message\": …}} or {\"handOver\": {\"capability\": …}}"
                .to_owned(),
        ),
        Err(error) => Answer::Invalid(format!(
            "the agent's answer is no envelope ({error}): answer JSON such as {{\"output\": …}}; it began with {:?}",
            start_of(body, 80)
        )),
    }
}

fn retry_after<B>(response: &Response<B>) -> Duration {
    let seconds =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(DEFAULT_RETRY_AFTER, Duration::from_secs).min(MAX_RETRY_AFTER)
}

/// The start of what the agent said besides its status.
async fn read_start(mut body: Incoming) -> String {
    let mut said = Vec::new();
    while said.len() < MAX_MESSAGE
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            said.extend_from_slice(&data);
        }
    }
    start_of(&said, MAX_MESSAGE).trim().to_owned()
}

fn start_of(bytes: &[u8], length: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(length)]).into_owned()
}

/// An error with its causes; hyper's own text hides them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"output": {"a": 1}}"#, Answer::Output(Bytes::from_static(br#"{"a": 1}"#)))]
    #[case(r#"{"output": null}"#, Answer::Output(Bytes::from_static(b"null")))]
    #[case(r#"{"output": 1, "usage": {"tokens": 3}}"#, Answer::Output(Bytes::from_static(b"1")))]
    #[case(r#"{"error": {"message": "later"}}"#, Answer::Failed("later".into()))]
    #[case(r#"{"error": {"message": "never", "retryable": false}}"#, Answer::Rejected("never".into()))]
    fn envelopes_are_read(#[case] body: &'static str, #[case] expected: Answer) {
        assert_eq!(parse_envelope(&Bytes::from_static(body.as_bytes())), expected);
    }

    #[rstest]
    #[case(r#"{"handOver": {"capability": "billing"}}"#, None, None)]
    #[case(
        r#"{"handOver": {"capability": "billing", "input": null, "reason": "not mine"}}"#,
        Some("null"),
        Some("not mine")
    )]
    #[case(r#"{"output": {"n": 1}, "handOver": {"capability": "billing"}}"#, Some(r#"{"n": 1}"#), None)]
    #[case(r#"{"output": 1, "handOver": {"capability": "billing", "input": 2}}"#, Some("2"), None)]
    fn an_agent_can_name_who_goes_on(
        #[case] body: &'static str,
        #[case] input: Option<&'static str>,
        #[case] reason: Option<&str>,
    ) {
        let input = input.map(|input| Bytes::from_static(input.as_bytes()));
        let expected = HandOver { to: "billing".parse().unwrap(), input, reason: reason.map(str::to_owned) };
        assert_eq!(parse_envelope(&Bytes::from_static(body.as_bytes())), Answer::HandedOver(expected));
    }

    #[test]
    fn an_error_is_stronger_than_a_hand_over() {
        let body = br#"{"error": {"message": "no"}, "handOver": {"capability": "billing"}}"#;
        assert_eq!(parse_envelope(&Bytes::from_static(body)), Answer::Failed("no".into()));
    }

    #[rstest]
    #[case(r#"{"handOver": {}}"#)]
    #[case(r#"{"handOver": {"capability": "No Name"}}"#)]
    #[case(r#"{"handOver": "billing"}"#)]
    #[case("")]
    #[case("<html>")]
    #[case("{}")]
    #[case("[1]")]
    #[case(r#"{"output": 1"#)]
    fn anything_else_is_invalid_and_says_what_to_answer(#[case] body: &'static str) {
        let Answer::Invalid(message) = parse_envelope(&Bytes::from_static(body.as_bytes())) else { panic!("{body}") };
        assert!(message.contains("output"), "{message}");
    }

    #[rstest]
    #[case(Some("7"), 7)]
    #[case(Some("Wed, 21 Oct 2026 07:28:00 GMT"), 1)]
    #[case(Some("999999"), 300)]
    #[case(None, 1)]
    fn retry_after_is_seconds_and_bounded(#[case] value: Option<&str>, #[case] seconds: u64) {
        let mut response = Response::builder();
        if let Some(value) = value {
            response = response.header("retry-after", value);
        }
        assert_eq!(retry_after(&response.body(()).unwrap()), Duration::from_secs(seconds));
    }

    #[rstest]
    #[case("https://127.0.0.1/tasks")]
    #[case("127.0.0.1:8080")]
    #[case("")]
    fn only_http_addresses_are_accepted(#[case] url: &str) {
        assert!(Agent::new(url, "http://127.0.0.1:1/health", 1).is_err());
    }
}
