//! Conditional writes to the work stream, one by one or in atomic batches.
//!
//! Every write says what the last message of its subject must be (0: none), so that it can be repeated after a lost answer and
//! by a second writer without being stored twice.

use std::time::Duration;

use async_nats::{HeaderMap, Request, client::RequestErrorKind, jetstream::ErrorCode};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use rand::RngExt as _;
use serde::Deserialize;

use crate::{Bus, State, connection::REQUEST_TIMEOUT};

/// Most messages of one atomic batch; the server's limit.
pub const MAX_BATCH: usize = 1000;

/// Most bytes of one atomic batch.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Fewest messages for which a batch is quicker than single writes: making a batch costs the server about ten of them.
pub const MIN_BATCH: usize = 12;

/// Single writes that are under way at once when a batch is not possible.
const PARALLEL_SINGLES: usize = 64;

/// Why a write did not happen, or is not known to have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The stream or the store behind it is full.
    #[error("the bus stores no more for this Domain ({0}): delete finished runs, or raise the size of its work stream")]
    Full(String),
    /// No answer in time. The write may have happened; repeat it.
    #[error("the bus did not answer within {0:?}")]
    Timeout(Duration),
    /// The connection was lost before the answer. The write may have happened; repeat it.
    #[error("the connection to the bus was lost")]
    Disconnected,
    /// Nobody takes this subject: the stream is missing, or the connection is.
    #[error("the bus has no stream for {0}")]
    NoStream(String),
    /// The message is larger than the server takes.
    #[error("the message for {0} is too large for the bus")]
    TooLarge(String),
    /// The server said no for another reason.
    #[error("the bus refused the write to {subject}: {reason}")]
    Refused {
        /// Where to.
        subject: String,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// Whether the same write may succeed when it is repeated.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Timeout(_) | Self::Disconnected | Self::NoStream(_))
    }
}

/// How a conditional write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored now, with this sequence.
    Fresh(u64),
    /// The condition did not hold: somebody wrote to the subject before.
    Exists,
}

/// A message with its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Subject.
    pub subject: String,
    /// Body.
    pub payload: Bytes,
    /// Sequence of the last message of this subject; 0 means there is none.
    pub expected: u64,
}

impl Message {
    /// A message whose subject must be empty.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), payload: payload.into(), expected: 0 }
    }
}

/// What the server answers to a write.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// How an atomic batch ended.
enum BatchOutcome {
    /// All of it is stored; the sequence of the last message.
    Stored(u64),
    /// Some condition did not hold, or batches are not possible here: nothing is stored.
    Declined,
}

impl Bus {
    /// Writes a message if its subject is empty.
    pub async fn publish_new(&self, subject: impl Into<String>, payload: impl Into<Bytes>) -> Result<Written, Error> {
        self.write(&Message::new(subject, payload)).await
    }

    /// Writes a message if the last one of its subject has the expected sequence; 0 means that there is none.
    pub async fn append(
        &self,
        subject: impl Into<String>,
        expected: u64,
        payload: impl Into<Bytes>,
    ) -> Result<Written, Error> {
        self.write(&Message { subject: subject.into(), payload: payload.into(), expected }).await
    }

    /// Writes one message under its condition.
    pub async fn write(&self, message: &Message) -> Result<Written, Error> {
        self.write_under(message, condition(message.expected)).await
    }

    pub(crate) async fn write_under(&self, message: &Message, headers: HeaderMap) -> Result<Written, Error> {
        let answer = self.request(message, headers).await?;
        match answer.error {
            None => Ok(Written::Fresh(answer.seq)),
            Some(refusal) if is_condition(refusal.err_code) => Ok(Written::Exists),
            Some(refusal) => Err(build_error(&message.subject, refusal)),
        }
    }

    /// Writes messages, each under its own condition, in atomic batches where that is quicker. A batch that is declined because one
    /// condition does not hold is written message by message, so that the others are stored. The answers are in the order of the messages.
    ///
    /// After an error some of the messages may be stored; repeating all of them is safe.
    pub async fn publish_batch(&self, messages: &[Message]) -> Result<Vec<Written>, Error> {
        let mut written = Vec::with_capacity(messages.len());
        for chunk in split(messages) {
            if chunk.len() >= MIN_BATCH
                && let BatchOutcome::Stored(last) = self.write_atomic(chunk).await?
            {
                let first = (last + 1).saturating_sub(chunk.len() as u64);
                written.extend((first..=last).map(Written::Fresh));
                continue;
            }
            // Collected first: with a lazy iterator in it the future could not be handed to another task.
            let writes: Vec<_> = chunk.iter().map(|message| self.write(message)).collect();
            let singles: Vec<_> = stream::iter(writes).buffered(PARALLEL_SINGLES).collect().await;
            for single in singles {
                written.push(single?);
            }
        }
        Ok(written)
    }

    /// Writes to a subject whatever was there; the sequence.
    pub(crate) async fn write_unconditionally(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, Error> {
        let answer = self.request(&Message::new(subject, payload), headers).await?;
        answer.error.map_or(Ok(answer.seq), |refusal| Err(build_error(subject, refusal)))
    }

    async fn write_atomic(&self, messages: &[Message]) -> Result<BatchOutcome, Error> {
        let batch: String = format!("{:032x}", rand::rng().random::<u128>());
        let Some((last, others)) = messages.split_last() else { return Ok(BatchOutcome::Declined) };
        for (index, message) in others.iter().enumerate() {
            let headers = batch_headers(message.expected, &batch, index + 1);
            self.client()
                .publish_with_headers(message.subject.clone(), headers, message.payload.clone())
                .await
                .map_err(|e| Error::Refused { subject: message.subject.clone(), reason: e.to_string() })?;
        }
        let mut headers = batch_headers(last.expected, &batch, messages.len());
        headers.insert("Nats-Batch-Commit", "1");
        let answer = self.request(last, headers).await?;
        match answer.error {
            None => Ok(BatchOutcome::Stored(answer.seq)),
            Some(refusal) if is_condition(refusal.err_code) || is_batch_refusal(refusal.err_code) => {
                tracing::debug!(reason = refusal.description, "batch declined, writing one by one");
                Ok(BatchOutcome::Declined)
            }
            Some(refusal) => Err(build_error(&last.subject, refusal)),
        }
    }

    async fn request(&self, message: &Message, headers: HeaderMap) -> Result<Answer, Error> {
        let request = Request::new().headers(headers).payload(message.payload.clone()).timeout(Some(REQUEST_TIMEOUT));
        let subject = || message.subject.clone();
        let mut state = self.state();
        let sending = self.client().send_request(message.subject.clone(), request);
        let reply = if self.is_connected() {
            tokio::select! {
                biased;
                reply = sending => reply,
                // An answer cannot come any more. What is sent while there is no connection, however, goes out with the next one.
                _ = state.wait_for(|state| *state != State::Connected) => return Err(Error::Disconnected),
            }
        } else {
            sending.await
        };
        let reply = reply.map_err(|e| match e.kind() {
            RequestErrorKind::TimedOut => Error::Timeout(REQUEST_TIMEOUT),
            RequestErrorKind::NoResponders => Error::NoStream(subject()),
            RequestErrorKind::MaxPayloadExceeded => Error::TooLarge(subject()),
            RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                Error::Refused { subject: subject(), reason: e.to_string() }
            }
        })?;
        serde_json::from_slice(&reply.payload)
            .map_err(|e| Error::Refused { subject: subject(), reason: format!("unreadable answer: {e}") })
    }
}

pub(crate) fn condition(expected: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
    headers
}

fn batch_headers(expected: u64, batch: &str, sequence: usize) -> HeaderMap {
    let mut headers = condition(expected);
    headers.insert("Nats-Batch-Id", batch);
    headers.insert("Nats-Batch-Sequence", sequence.to_string());
    headers
}

/// Parts that fit into one batch each, in order.
fn split(messages: &[Message]) -> Vec<&[Message]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (index, message) in messages.iter().enumerate() {
        let size = message.payload.len() + message.subject.len();
        if index > start && (index - start == MAX_BATCH || bytes + size > MAX_BATCH_BYTES) {
            parts.push(&messages[start..index]);
            start = index;
            bytes = 0;
        }
        bytes += size;
    }
    if start < messages.len() {
        parts.push(&messages[start..]);
    }
    parts
}

fn is_condition(code: u64) -> bool {
    [ErrorCode::STREAM_WRONG_LAST_SEQUENCE, ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT].contains(&ErrorCode(code))
}

/// Refusals that concern the batch as such; its messages may be stored one by one.
fn is_batch_refusal(code: u64) -> bool {
    [
        ErrorCode::ATOMIC_PUBLISH_DISABLED,
        ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH,
        ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH,
        ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT,
        ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE,
        ErrorCode::ATOMIC_PUBLISH_UNSUPPORTED_HEADER,
    ]
    .contains(&ErrorCode(code))
}

fn build_error(subject: &str, refusal: Refusal) -> Error {
    let full = [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
    ];
    if full.contains(&ErrorCode(refusal.err_code)) {
        Error::Full(refusal.description)
    } else {
        Error::Refused { subject: subject.to_owned(), reason: refusal.description }
    }
}
