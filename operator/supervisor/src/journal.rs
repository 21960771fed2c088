//! The journal: every entry of this Supervisor's runs, decoded and in the order of the stream.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_bus::{
    Bus, blob,
    follow::{self, Delivered, Follow, Start},
};
use tetrarch_core::{
    id::{Name, RunId, TaskId, TaskPath},
    workflow::journal::{Entry, FailureReason, Outcome, RunEvent},
};
use tetrarch_protocol::{
    VERSION,
    blob::Payload,
    journal::{Line, newer_version},
    stream::WORK,
    subject::{self, Subject},
    task::{ResultEnvelope, ResultOutcome},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tries to load a large value that the store refuses to give; a missing one is not tried again.
const LOAD_TRIES: u32 = 20;

/// Pause between two of them.
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// What the journal tells.
#[derive(Debug)]
pub enum Event {
    /// The next entry.
    Record(Box<Record>),
    /// There are no entries (yet).
    CaughtUp,
    /// The stream was replaced: forget everything, it is read from its start.
    Restarted,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the bus stored it.
    pub at: Timestamp,
    /// The run it belongs to.
    pub run: RunId,
    /// What it says.
    pub body: Body,
    /// Entries that are still to come, as of this one.
    pub pending: u64,
    /// Of a result: what the sidecar says of the call.
    pub call: Option<Call>,
}

/// A call of an agent, by its sidecar's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The agent's pod.
    pub agent: String,
    /// How often the task had been delivered.
    pub deliveries: u64,
    /// When the agent was called.
    pub started_at: Timestamp,
    /// When it answered.
    pub finished_at: Timestamp,
}

impl Call {
    fn of(envelope: &ResultEnvelope) -> Self {
        Self {
            agent: envelope.agent.clone(),
            deliveries: envelope.deliveries,
            started_at: envelope.started_at,
            finished_at: envelope.finished_at,
        }
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Something the engine folds.
    Entry(Entry),
    /// Something that this version cannot read, with the reason.
    Unreadable(String),
}

/// The value of a result: there, or still in the store of large values.
enum Decoded {
    Whole(Record),
    Large { record: Record, path: TaskPath, attempt: u32, payload: Payload, made: Made },
}

/// What an agent made with a value.
enum Made {
    Output,
    HandOver { to: Name, reason: Option<String> },
}

impl Made {
    fn outcome(self, value: Value) -> Outcome {
        match self {
            Self::Output => Outcome::Succeeded { output: value },
            Self::HandOver { to, reason } => Outcome::HandedOver { to, input: Some(value), reason },
        }
    }

    fn told(self, payload: Payload) -> Told {
        match payload {
            Payload::Inline(value) => Told::Here(self.outcome(value)),
            Payload::Blob(_) => Told::Stored(self, payload),
        }
    }
}

/// What a result tells.
enum Told {
    Here(Outcome),
    /// With a value that is still in the store.
    Stored(Made, Payload),
}

impl Told {
    fn of(outcome: ResultOutcome) -> Self {
        Self::Here(match outcome {
            ResultOutcome::Succeeded { output } => return Made::Output.told(output),
            ResultOutcome::HandedOver { to, input: Some(input), reason } => {
                return Made::HandOver { to, reason }.told(input);
            }
            ResultOutcome::HandedOver { to, input: None, reason } => Outcome::HandedOver { to, input: None, reason },
            ResultOutcome::Failed { reason, message } => Outcome::Failed { reason, message },
            ResultOutcome::Unknown { message } => Outcome::Unknown { message },
        })
    }
}

/// Follows the journal of a Supervisor and sends every entry, until it is told to stop.
pub async fn follow(bus: Bus, supervisor: Name, events: mpsc::Sender<Event>, stop: CancellationToken) {
    let filters = subject::journal_of_supervisor(&supervisor).to_vec();
    let mut follow = bus.follow(WORK, filters, Start::After(0));
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = next(&bus, &mut follow) => event,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

async fn next(bus: &Bus, follow: &mut Follow) -> Event {
    loop {
        match follow.next().await {
            follow::Event::Message(message) => match decode(&message) {
                Some(Decoded::Whole(record)) => return Event::Record(Box::new(record)),
                Some(Decoded::Large { record, path, attempt, payload, made }) => {
                    return Event::Record(Box::new(hydrate(bus, record, (path, attempt), payload, made).await));
                }
                None if message.pending == 0 => return Event::CaughtUp,
                None => {}
            },
            follow::Event::CaughtUp => return Event::CaughtUp,
            follow::Event::Restarted => return Event::Restarted,
        }
    }
}

/// All entries that are there now, for a person who asks.
pub async fn read(bus: &Bus, filters: Vec<String>) -> Vec<Record> {
    let mut follow = bus.follow(WORK, filters, Start::After(0));
    let mut records = Vec::new();
    loop {
        match next(bus, &mut follow).await {
            Event::Record(record) => {
                let is_last = record.pending == 0;
                records.push(*record);
                if is_last {
                    return records;
                }
            }
            Event::CaughtUp => return records,
            Event::Restarted => records.clear(),
        }
    }
}

/// The entry of a printed line, as a follower of the stream sees it; none for what is not folded. Large values are not loaded.
pub fn read_line(line: &Line) -> Option<Record> {
    let message = Delivered {
        subject: line.subject.clone(),
        sequence: line.sequence,
        at: line.at,
        payload: line.body.to_string().into(),
        headers: None,
        deleted: false,
        pending: 0,
    };
    match decode(&message)? {
        Decoded::Whole(record) => Some(record),
        Decoded::Large { record, path, attempt, .. } => {
            let outcome = unusable("the output is larger than a message".to_owned());
            Some(Record { body: result(path, attempt, outcome), ..record })
        }
    }
}

fn decode(message: &Delivered) -> Option<Decoded> {
    let record = |run: RunId, body: Body| Record {
        sequence: message.sequence,
        at: message.at,
        run,
        body,
        pending: message.pending,
        call: None,
    };
    let subject = match message.subject.parse::<Subject>() {
        Ok(subject) => subject,
        Err(error) => {
            tracing::error!(sequence = message.sequence, %error, "entry with an unknown subject is passed over");
            return None;
        }
    };
    if let Some(version) = newer_version(&message.payload) {
        let (Subject::Task { task: TaskId { run, .. }, .. }
        | Subject::Result { task: TaskId { run, .. }, .. }
        | Subject::Run { run, .. }) = subject
        else {
            return None;
        };
        let sequence = message.sequence;
        tracing::error!(%run, sequence, version, "a newer version wrote an entry; its run is left alone");
        let why = format!("entry {sequence} of its journal is of version {version}, this one knows up to {VERSION}");
        return Some(Decoded::Whole(record(run, Body::Unreadable(why))));
    }
    let decoded = match subject {
        Subject::Task { pool, task, .. } => {
            let entry = Entry::Dispatched { path: task.path, attempt: task.attempt, pool };
            Decoded::Whole(record(task.run, Body::Entry(entry)))
        }
        Subject::Run { run, .. } => Decoded::Whole(match serde_json::from_slice::<RunEvent>(&message.payload) {
            Ok(event) => record(run, Body::Entry(Entry::Run(event))),
            Err(error) => {
                tracing::error!(%run, sequence = message.sequence, %error, "run event is not readable");
                let why = format!("entry {} of its journal is not readable: {error}", message.sequence);
                record(run, Body::Unreadable(why))
            }
        }),
        Subject::Result { task, .. } => match serde_json::from_slice::<ResultEnvelope>(&message.payload) {
            Ok(envelope) => {
                let call = Some(Call::of(&envelope));
                match Told::of(envelope.outcome) {
                    Told::Here(outcome) => {
                        Decoded::Whole(Record { call, ..record(task.run, result(task.path, task.attempt, outcome)) })
                    }
                    Told::Stored(made, payload) => {
                        let record = Record { call, ..record(task.run, Body::Unreadable(String::new())) };
                        Decoded::Large { record, path: task.path, attempt: task.attempt, payload, made }
                    }
                }
            }
            Err(error) => {
                tracing::error!(%task, sequence = message.sequence, %error, "result is not readable");
                let outcome = unusable(format!("the sidecar's result is not readable: {error}"));
                Decoded::Whole(record(task.run, result(task.path, task.attempt, outcome)))
            }
        },
        Subject::Try { .. } | Subject::Dead { .. } => return None,
    };
    Some(decoded)
}

async fn hydrate(
    bus: &Bus,
    mut record: Record,
    (path, attempt): (TaskPath, u32),
    payload: Payload,
    made: Made,
) -> Record {
    let mut outcome = unusable("the output is larger than a message and could not be loaded".to_owned());
    for _ in 0..LOAD_TRIES {
        bus.connected().await;
        match bus.load_payload(payload.clone()).await {
            Ok(value) => outcome = made.outcome(value),
            Err(error @ blob::Error::Refused { .. }) => {
                tracing::warn!(run = %record.run, %path, attempt, %error, "loading a large output again");
                tokio::time::sleep(LOAD_PAUSE).await;
                continue;
            }
            Err(error @ (blob::Error::Missing(_) | blob::Error::Unreadable { .. })) => {
                tracing::error!(run = %record.run, %path, attempt, %error, "large output is lost");
                outcome = unusable(error.to_string());
            }
        }
        break;
    }
    record.body = result(path, attempt, outcome);
    record
}

fn result(path: TaskPath, attempt: u32, outcome: Outcome) -> Body {
    Body::Entry(Entry::Result { path, attempt, outcome })
}

fn unusable(message: String) -> Outcome {
    Outcome::Failed { reason: FailureReason::InvalidResponse, message }
}

/// The value of a message as JSON, for people; text when it is none.
pub fn readable(message: &Delivered) -> Value {
    serde_json::from_slice(&message.payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&message.payload).into_owned()))
}
