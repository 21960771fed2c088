//! Follows subjects of a stream in order, through every loss of the connection, without skipping or repeating a message.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use rand::RngExt as _;

use crate::{Bus, State};

/// Messages that are fetched ahead.
const FETCH: usize = 1000;

/// The server says that it lives when nothing else is to be said; two missed ones start the following anew.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Time after which the server forgets a consumer whose follower is gone.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// Pauses between two attempts to follow again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the message with this sequence; 0 is the start of the stream.
    After(u64),
    /// With the last message of each subject. After a loss of the connection all of them come again, behind an [`Event::Restarted`].
    Latest,
}

/// What a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The next message.
    Message(Delivered),
    /// Everything that was there when the following started has been seen, and there was nothing (left). After a message, see
    /// [`Delivered::pending`].
    CaughtUp,
    /// What was seen so far is void: everything comes again.
    Restarted,
}

/// A message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the server stored it.
    pub at: Timestamp,
    /// Its body.
    pub payload: Bytes,
    /// In a key-value bucket: whether it says that the key is deleted.
    pub deleted: bool,
    /// Messages that are still to come, as of this one.
    pub pending: u64,
}

/// Why the following must start anew; only for the log.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("cannot read stream {0}: {1}")]
    Stream(String, String),
    #[error("cannot follow stream {0}: {1}")]
    Consumer(String, String),
    #[error("messages were lost on the way")]
    Gap,
    #[error("the connection was lost")]
    Disconnected,
    #[error("the server stopped sending: {0}")]
    Silent(String),
}

/// Follows some subjects of one stream.
pub struct Follow {
    bus: Bus,
    stream: String,
    filters: Vec<String>,
    start: Start,
    /// When the stream was made; another date means another stream.
    created: Option<Timestamp>,
    session: Option<Session>,
    pause: Duration,
    queued: Vec<Event>,
}

struct Session {
    messages: pull::Stream,
    state: tokio::sync::watch::Receiver<State>,
    /// Deliveries so far, to notice a gap.
    delivered: u64,
}

impl Bus {
    /// Follows the subjects that match any of the filters.
    pub fn follow(&self, stream: impl Into<String>, filters: Vec<String>, start: Start) -> Follow {
        Follow {
            bus: self.clone(),
            stream: stream.into(),
            filters,
            start,
            created: None,
            session: None,
            pause: FIRST_PAUSE,
            queued: Vec::new(),
        }
    }
}

impl Follow {
    /// The next event; waits as long as there is none, also for the bus. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.queued.pop() {
                return event;
            }
            let interruption = match &mut self.session {
                None => {
                    self.bus.connected().await;
                    match self.open().await {
                        Ok(session) => {
                            self.session = Some(session);
                            continue;
                        }
                        Err(interruption) => interruption,
                    }
                }
                Some(session) => match session.next().await {
                    Ok(delivered) => {
                        self.pause = FIRST_PAUSE;
                        if let Start::After(last) = &mut self.start {
                            *last = delivered.sequence;
                        }
                        return Event::Message(delivered);
                    }
                    Err(interruption) => interruption,
                },
            };
            tracing::info!(stream = self.stream, reason = %interruption, "following the stream again");
            if self.session.take().is_some() && self.start == Start::Latest {
                self.queued.push(Event::Restarted);
            }
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&mut self) -> Result<Session, Interruption> {
        let state = self.bus.state();
        let stream = self
            .bus
            .jetstream()
            .get_stream(&self.stream)
            .await
            .map_err(|e| Interruption::Stream(self.stream.clone(), e.to_string()))?;
        let info = stream.cached_info();
        let created = timestamp(info.created.unix_timestamp_nanos());
        let mut restarted = false;
        if let Start::After(last) = &mut self.start {
            let is_other = self.created.is_some_and(|known| known != created) || info.state.last_sequence < *last;
            if is_other && *last > 0 {
                tracing::warn!(stream = self.stream, "the stream was replaced: reading it from its start");
                *last = 0;
                restarted = true;
            }
        }
        self.created = Some(created);
        let deliver_policy = match self.start {
            Start::After(last) => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
            Start::Latest => DeliverPolicy::LastPerSubject,
        };
        let config = pull::Config {
            name: Some(format!("follow-{:016x}", rand::rng().random::<u64>())),
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subjects: self.filters.clone(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGET_AFTER,
            ..pull::Config::default()
        };
        let broken = |e: String| Interruption::Consumer(self.stream.clone(), e);
        let consumer = stream.create_consumer(config).await.map_err(|e| broken(e.to_string()))?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer
            .stream()
            .max_messages_per_batch(FETCH)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|e| broken(e.to_string()))?;
        // Handed out from the end.
        if pending == 0 {
            self.queued.push(Event::CaughtUp);
        }
        if restarted {
            self.queued.push(Event::Restarted);
        }
        Ok(Session { messages, state, delivered: 0 })
    }
}

impl Session {
    async fn next(&mut self) -> Result<Delivered, Interruption> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                changed = self.state.changed() => {
                    // The consumer lives in the server's memory and may be gone: open it anew after every loss.
                    if changed.is_err() || *self.state.borrow_and_update() != State::Connected {
                        return Err(Interruption::Disconnected);
                    }
                    continue;
                }
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Interruption::Silent(error.to_string())),
                None => return Err(Interruption::Silent("the subscription ended".to_owned())),
            };
            return self.decode(message);
        }
    }

    fn decode(&mut self, message: jetstream::Message) -> Result<Delivered, Interruption> {
        let info = message.info().map_err(|e| Interruption::Silent(e.to_string()))?;
        self.delivered += 1;
        if info.consumer_sequence != self.delivered {
            return Err(Interruption::Gap);
        }
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let at = timestamp(info.published.unix_timestamp_nanos());
        let deleted = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("KV-Operation"))
            .is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"));
        let message = message.message;
        Ok(Delivered {
            subject: message.subject.into_string(),
            sequence,
            at,
            payload: message.payload,
            deleted,
            pending,
        })
    }
}

fn timestamp(nanoseconds: i128) -> Timestamp {
    // The server's clock lies within jiff's range unless it is off by millennia.
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::MAX)
}
