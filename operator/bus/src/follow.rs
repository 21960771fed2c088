//! Follows subjects of a stream in order, through every loss of the connection, without skipping or repeating a message.
//!
//! A server that lost its power may come back with an older stream: what it had not written to its disk is gone, and other messages
//! take the same sequences. So after every loss of the connection the last messages are read again and compared; when one is another
//! than before, everything that was seen is void.

use std::{collections::VecDeque, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    },
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

/// Silence after which the server is asked what is still to come: what was may have been purged.
const QUIET: Duration = Duration::from_millis(500);

/// Time after which the server forgets a consumer whose follower is gone.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// Pauses between two attempts to follow again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Messages that are compared when the following starts anew.
const REMEMBERED: usize = 32;

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
    /// Its headers.
    pub headers: Option<HeaderMap>,
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
    #[error("the messages that were seen last are gone")]
    WentBack,
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
    /// Sequence and time of the last messages.
    seen: VecDeque<(u64, Timestamp)>,
}

struct Session {
    consumer: Consumer<pull::Config>,
    messages: pull::Stream,
    state: tokio::sync::watch::Receiver<State>,
    /// Deliveries so far, to notice a gap.
    delivered: u64,
    /// Messages that were still to come, as far as is known.
    left: u64,
    /// Whether the last message that was seen before is still the one that is there.
    is_compared: bool,
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
            seen: VecDeque::new(),
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
                    Ok(None) if session.is_compared => return Event::CaughtUp,
                    // Those that were seen before are gone.
                    Ok(None) => return self.start_over(),
                    Ok(Some(delivered)) => {
                        self.pause = FIRST_PAUSE;
                        if let Some(event) = self.observe(delivered) {
                            return event;
                        }
                        continue;
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

    /// What a delivered message means; nothing when it was seen before.
    fn observe(&mut self, delivered: Delivered) -> Option<Event> {
        let Start::After(last) = self.start else { return Some(Event::Message(delivered)) };
        let Some(session) = &mut self.session else { return None };
        if session.is_compared {
            if self.seen.len() == REMEMBERED {
                self.seen.pop_front();
            }
            self.seen.push_back((delivered.sequence, delivered.at));
            self.start = Start::After(delivered.sequence);
            return Some(Event::Message(delivered));
        }
        session.is_compared = delivered.sequence == last;
        let is_known = self.seen.contains(&(delivered.sequence, delivered.at));
        let is_end = delivered.pending == 0;
        if !is_known || (is_end && !session.is_compared) {
            // Another message, or the last one is gone: deleted, or never written to the disk of the server.
            return Some(self.start_over());
        }
        is_end.then_some(Event::CaughtUp)
    }

    /// What was seen is not what is there.
    fn start_over(&mut self) -> Event {
        tracing::warn!(stream = self.stream, "the stream went back or was replaced: reading it from its start");
        self.start = Start::After(0);
        self.seen.clear();
        self.session = None;
        Event::Restarted
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
                self.seen.clear();
                restarted = true;
            }
        }
        self.created = Some(created);
        let deliver_policy = match self.start {
            Start::After(last) => {
                let start_sequence = self.seen.front().map_or(last + 1, |(sequence, _)| *sequence);
                DeliverPolicy::ByStartSequence { start_sequence }
            }
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
        if pending == 0 && !self.seen.is_empty() {
            let restarted = self.start_over();
            self.queued.push(restarted);
            return Err(Interruption::WentBack);
        }
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
        let is_compared = self.seen.is_empty();
        Ok(Session { consumer, messages, state, delivered: 0, left: pending, is_compared })
    }
}

impl Session {
    /// The next message; none when those that were to come are gone.
    async fn next(&mut self) -> Result<Option<Delivered>, Interruption> {
        loop {
            let is_waiting = self.left > 0;
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
                () = tokio::time::sleep(QUIET), if is_waiting => {
                    if self.is_nothing_left().await {
                        self.left = 0;
                        return Ok(None);
                    }
                    continue;
                }
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Interruption::Silent(error.to_string())),
                None => return Err(Interruption::Silent("the subscription ended".to_owned())),
            };
            let delivered = self.decode(message)?;
            self.left = delivered.pending;
            return Ok(Some(delivered));
        }
    }

    /// Whether the server has sent all there is, and all of it came.
    async fn is_nothing_left(&self) -> bool {
        match self.consumer.get_info().await {
            Ok(info) => info.num_pending == 0 && info.delivered.consumer_sequence == self.delivered,
            Err(error) => {
                tracing::debug!(%error, "the server does not say what is still to come");
                false
            }
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
            headers: message.headers,
            deleted,
            pending,
        })
    }
}

fn timestamp(nanoseconds: i128) -> Timestamp {
    // The server's clock lies within jiff's range unless it is off by millennia.
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::MAX)
}
