//! The bus's side of a session: raw pull requests and what comes back on their inbox, acknowledgements, marks and results.
//!
//! Pull requests are published by hand, because credentials of a sidecar permit asking its consumers for messages and nothing else about them.

use async_nats::{Message, StatusCode, Subject as NatsSubject, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::json;
use tetrarch_bus::{Bus, write::Written};
use tetrarch_core::{
    id::{Name, TaskId},
    priority::Class,
};
use tetrarch_protocol::{
    VERSION,
    stream::{WORK, task_consumer},
    subject::Subject,
    task::{TaskEnvelope, TryEnvelope},
};

use crate::session::{
    event::{Inspection, Mark, Marked, NewMark, PullEnd, PullId, Unreadable},
    pulls::{EXPIRES, HEARTBEAT},
};

/// Why the bus could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The inbox could not be opened, or was closed.
    #[error("cannot listen for tasks: {0}")]
    Inbox(String),
    /// A request was not answered as it should be.
    #[error("the bus did not answer {subject}: {reason}")]
    Request {
        /// The request's subject.
        subject: String,
        /// What happened.
        reason: String,
    },
    /// The answer could not be read.
    #[error("the bus answered {subject} with something else: {reason}")]
    Answer {
        /// The request's subject.
        subject: String,
        /// What is wrong.
        reason: String,
    },
}

/// A task as it was delivered.
#[derive(Clone, Debug)]
pub struct Task {
    /// The task.
    pub id: TaskId,
    /// Its queue.
    pub class: Class,
    /// Where acknowledgements go.
    pub reply: NatsSubject,
    /// How often it has been delivered, from 1.
    pub deliveries: u64,
    /// Tasks that wait behind it.
    pub pending: u64,
    /// The body, for a dead letter.
    pub body: Bytes,
    /// What it says.
    pub envelope: Result<TaskEnvelope, Unreadable>,
}

/// What comes in on the inbox.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A task.
    Task(Box<Task>),
    /// The server still holds a request.
    Heard(PullId),
    /// A request ended.
    Ended(PullId, PullEnd),
    /// Something that is none of these.
    Strange(String),
}

/// One pool's place on the bus, as one of its sidecars uses it.
#[derive(Clone, Debug)]
pub struct Queues {
    bus: Bus,
    supervisor: Name,
    pool: Name,
    inbox: String,
}

impl Queues {
    /// The queues of a pool, with an inbox of one's own for what they deliver.
    pub async fn open(bus: Bus, supervisor: Name, pool: Name) -> Result<(Self, Subscriber), Error> {
        let inbox = bus.client().new_inbox();
        let subscriber =
            bus.client().subscribe(format!("{inbox}.*")).await.map_err(|error| Error::Inbox(error.to_string()))?;
        Ok((Self { bus, supervisor, pool, inbox }, subscriber))
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Asks for up to `batch` tasks. An answer comes in on the inbox, or never when the bus is lost.
    pub async fn pull(&self, id: PullId, batch: u32, wait: bool) {
        let consumer = task_consumer(&self.supervisor, &self.pool, id.class);
        let request = if wait {
            let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
            json!({ "batch": batch, "expires": expires, "idle_heartbeat": heartbeat })
        } else {
            json!({ "batch": batch, "no_wait": true })
        };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{WORK}.{consumer}");
        let reply = format!("{}.{}-{}", self.inbox, id.class, id.number);
        if let Err(error) = self.bus.client().publish_with_reply(subject, reply, request.to_string().into()).await {
            tracing::debug!(%error, "cannot ask for tasks");
        }
    }

    /// Acknowledges a task for good; whether the server confirmed.
    pub async fn ack(&self, reply: NatsSubject) -> bool {
        self.bus.client().request(reply, Bytes::from_static(b"+ACK")).await.is_ok()
    }

    /// Gives a task back to its queue, where it stays away for the delay.
    pub async fn hand_back(&self, reply: NatsSubject, delay: std::time::Duration) {
        let body = if delay.is_zero() {
            Bytes::from_static(b"-NAK")
        } else {
            format!("-NAK {}", json!({ "delay": u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX) })).into()
        };
        self.tell(reply, body).await;
    }

    /// Tells the server that a task is still worked on.
    pub async fn extend(&self, reply: NatsSubject) {
        self.tell(reply, Bytes::from_static(b"+WPI")).await;
    }

    async fn tell(&self, reply: NatsSubject, body: Bytes) {
        if let Err(error) = self.bus.client().publish(reply, body).await {
            tracing::debug!(%error, "cannot answer a delivery");
        }
    }

    /// Reads whether a task has its result, and its last mark.
    pub async fn inspect(&self, task: &TaskId) -> Result<Inspection, Error> {
        let (result, mark) = futures::try_join!(self.last(self.result(task)), self.last(self.mark_of(task)))?;
        let mark = match mark {
            None => None,
            Some((sequence, body)) => {
                let mark: TryEnvelope = serde_json::from_slice(&body).map_err(|error| Error::Answer {
                    subject: self.mark_of(task).to_string(),
                    reason: error.to_string(),
                })?;
                let TryEnvelope { agent, at, calls, withdrawn, .. } = mark;
                Some(Mark { sequence, agent, at, calls, withdrawn })
            }
        };
        Ok(Inspection { ended: result.is_some(), mark })
    }

    /// Writes a mark, if the one before is still the last.
    pub async fn mark(&self, task: &TaskId, agent: &str, mark: NewMark) -> Marked {
        let envelope = TryEnvelope {
            version: VERSION,
            agent: agent.to_owned(),
            at: mark.at,
            calls: mark.calls,
            withdrawn: mark.withdrawn,
        };
        let Ok(body) = serde_json::to_vec(&envelope) else { return Marked::Unclear };
        match self.bus.append(self.mark_of(task).to_string(), mark.after, body).await {
            Ok(Written::Fresh(sequence)) => Marked::Written(sequence),
            Ok(Written::Exists) => Marked::Taken,
            Err(error) => {
                tracing::warn!(%task, %error, "cannot mark a task as begun");
                Marked::Unclear
            }
        }
    }

    /// Subject of a task's result.
    pub fn result(&self, task: &TaskId) -> Subject {
        Subject::Result { supervisor: self.supervisor.clone(), pool: self.pool.clone(), task: task.clone() }
    }

    /// Subject of a task's dead letter.
    pub fn dead_letter(&self, task: &TaskId) -> Subject {
        Subject::Dead { supervisor: self.supervisor.clone(), pool: self.pool.clone(), task: task.clone() }
    }

    fn mark_of(&self, task: &TaskId) -> Subject {
        Subject::Try { supervisor: self.supervisor.clone(), pool: self.pool.clone(), task: task.clone() }
    }

    /// Sequence and body of the last message of a subject.
    async fn last(&self, subject: Subject) -> Result<Option<(u64, Bytes)>, Error> {
        let subject = format!("$JS.API.DIRECT.GET.{WORK}.{subject}");
        let answer = self
            .bus
            .client()
            .request(subject.clone(), Bytes::new())
            .await
            .map_err(|error| Error::Request { subject: subject.clone(), reason: error.to_string() })?;
        match answer.status {
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) if !status.is_success() => {
                return Err(Error::Answer { subject, reason: status.to_string() });
            }
            _ => {}
        }
        let sequence = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence")?.as_str().parse().ok());
        let sequence = sequence.ok_or_else(|| Error::Answer { subject, reason: "it has no sequence".to_owned() })?;
        Ok(Some((sequence, answer.payload)))
    }
}

/// What a message on the inbox means.
pub fn read(message: &Message) -> Incoming {
    if let Some(status) = message.status {
        let Some(id) = parse_pull(&message.subject) else { return Incoming::Strange(message.subject.to_string()) };
        return match status {
            StatusCode::IDLE_HEARTBEAT => Incoming::Heard(id),
            StatusCode::NOT_FOUND => Incoming::Ended(id, PullEnd::Empty),
            StatusCode::TIMEOUT => Incoming::Ended(id, PullEnd::Expired),
            _ => Incoming::Ended(id, PullEnd::Refused),
        };
    }
    read_task(message)
        .map_or_else(|| Incoming::Strange(message.subject.to_string()), |task| Incoming::Task(Box::new(task)))
}

fn read_task(message: &Message) -> Option<Task> {
    let Ok(Subject::Task { class, task, .. }) = message.subject.as_str().parse() else { return None };
    let reply = message.reply.clone()?;
    let (deliveries, pending) = parse_reply(&reply)?;
    let envelope = read_envelope(&message.payload);
    Some(Task { id: task, class, reply, deliveries, pending, body: message.payload.clone(), envelope })
}

fn read_envelope(body: &[u8]) -> Result<TaskEnvelope, Unreadable> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u16,
    }
    let version: Version = serde_json::from_slice(body).map_err(|error| Unreadable::Garbage(error.to_string()))?;
    if version.version > VERSION {
        return Err(Unreadable::TooNew(version.version));
    }
    serde_json::from_slice(body).map_err(|error| Unreadable::Garbage(error.to_string()))
}

/// The request that a status belongs to: `….<class>-<number>`.
fn parse_pull(subject: &str) -> Option<PullId> {
    let (class, number) = subject.rsplit('.').next()?.split_once('-')?;
    Some(PullId { class: class.parse().ok()?, number: number.parse().ok()? })
}

/// Deliveries so far and tasks that wait behind it, from
/// `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>[.<token>]`.
fn parse_reply(reply: &str) -> Option<(u64, u64)> {
    let tokens: Vec<&str> = reply.split('.').collect();
    let skip = match tokens.len() {
        9 => 0,
        11.. => 2,
        _ => return None,
    };
    Some((tokens.get(4 + skip)?.parse().ok()?, tokens.get(8 + skip)?.parse().ok()?))
}

/// The next message of the inbox; waits for ever once it is closed.
pub async fn next(subscriber: &mut Option<Subscriber>) -> Option<Incoming> {
    match subscriber {
        Some(open) => open.next().await.as_ref().map(read),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_acknowledgement_subjects_are_read() {
        assert_eq!(parse_reply("$JS.ACK.WORK.s_p_low.2.10.11.1795248870073881437.7"), Some((2, 7)));
        assert_eq!(parse_reply("$JS.ACK.hub.ACC.WORK.s_p_low.3.10.11.1795248870073881437.0.tok"), Some((3, 0)));
        assert_eq!(parse_reply("_INBOX.x"), None);
    }

    #[test]
    fn statuses_name_their_request() {
        let id = PullId { class: Class::High, number: 12 };
        assert_eq!(parse_pull("_INBOX.agent.s.p.nuid.high-12"), Some(id));
        assert_eq!(parse_pull("_INBOX.agent.s.p.nuid.12"), None);
    }

    #[test]
    fn a_later_version_is_told_from_garbage() {
        assert!(matches!(read_envelope(b"{\"version\": 99}"), Err(Unreadable::TooNew(99))));
        assert!(matches!(read_envelope(b"{\"version\": 1}"), Err(Unreadable::Garbage(_))));
        assert!(matches!(read_envelope(b"nonsense"), Err(Unreadable::Garbage(_))));
    }
}
