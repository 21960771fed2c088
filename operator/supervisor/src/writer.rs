//! Writes to the journal on behalf of the driver: few at once go out at once, and what comes in while many are under way goes out
//! together (group commit).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_bus::{
    Bus,
    write::{self, MIN_BATCH, Message, Written},
};
use tetrarch_core::{
    id::{Name, RunId, TaskId},
    priority::Class,
    workflow::{
        definition::Definition,
        journal::{Outcome, RunEvent},
        run::resolve_parameters,
        stamp::Stamp,
        trigger::{Follower, Origin},
    },
};
use tetrarch_protocol::{
    VERSION,
    journal::RunEnvelope,
    subject::{self, Subject},
    task::{ResultEnvelope, ResultOutcome, TaskEnvelope},
};
use tokio::sync::{Semaphore, mpsc};

/// Writes that are under way at once; a batch counts for as many as it costs. More would wait for the server's disk all the same,
/// and what gathers here instead goes out together for less.
const AT_ONCE: usize = 2 * MIN_BATCH;

/// Decisions of the driver whose writes wait here; then it waits too.
pub const WAITING: usize = 256;

/// Something to write.
#[derive(Debug)]
pub enum Request {
    /// An event of a run.
    Append {
        /// The run.
        run: RunId,
        /// Sequence of the run's last event; 0 for its first.
        expected: u64,
        /// The event.
        event: RunEvent,
    },
    /// A task for a pool.
    Dispatch(Box<Dispatch>),
    /// The end of a run, for the step that stands for it.
    ChildEnded(Box<ChildEnd>),
}

/// A task for a pool.
#[derive(Debug)]
pub struct Dispatch {
    /// Which attempt of which task.
    pub task: TaskId,
    /// The pool.
    pub pool: Name,
    /// Its priority.
    pub class: Class,
    /// Name of the Workflow.
    pub workflow: Name,
    /// Input for the agent.
    pub input: Value,
    /// Longest time of the attempt in milliseconds.
    pub timeout_ms: u64,
    /// No attempt starts after it.
    pub deadline: Timestamp,
    /// Whether it may be handed to an agent twice.
    pub idempotent: bool,
    /// Its trace context.
    pub traceparent: Option<String>,
}

/// The end of a run, for the step that stands for it.
#[derive(Debug)]
pub struct ChildEnd {
    /// The attempt of the step.
    pub task: TaskId,
    /// The run that ended.
    pub run: RunId,
    /// How.
    pub outcome: Outcome,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// An event of a run.
    Append {
        /// The run.
        run: RunId,
        /// Sequence of the event before it; 0 for the run's first.
        expected: u64,
    },
    /// A task.
    Dispatch(TaskId),
    /// The end of a run, for the step that stands for it.
    ChildEnded(TaskId),
}

/// How a write ended.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub key: Key,
    /// How.
    pub result: Result<Written, Failure>,
}

/// Why a write is not known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The bus refused or did not answer.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// The large input could not be stored.
    #[error(transparent)]
    Input(#[from] tetrarch_bus::blob::Error),
    /// The body could not be encoded.
    #[error("cannot encode: {0}")]
    Encode(String),
}

/// Writes what comes in and tells how each ended, until nobody asks any more; then finishes what is under way. What was asked for
/// together is written together.
pub async fn run(
    bus: Bus,
    supervisor: Name,
    mut requests: mpsc::Receiver<Vec<Request>>,
    done: mpsc::UnboundedSender<Done>,
) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let supervisor = Arc::new(supervisor);
    let mut asked = Vec::new();
    loop {
        // Room first: while there is none, requests gather.
        let Ok(mut permit) = room.clone().acquire_owned().await else { return };
        if requests.recv_many(&mut asked, WAITING).await == 0 {
            break;
        }
        let group: Vec<Request> = asked.drain(..).flatten().collect();
        let others = group.len().clamp(1, MIN_BATCH) - 1;
        let Ok(rest) = room.clone().acquire_many_owned(u32::try_from(others).unwrap_or_default()).await else { return };
        permit.merge(rest);
        let (bus, supervisor, done) = (bus.clone(), supervisor.clone(), done.clone());
        tokio::spawn(async move {
            write_group(&bus, &supervisor, group, &done).await;
            drop(permit);
        });
    }
    room.acquire_many(u32::try_from(AT_ONCE).unwrap_or(1)).await.map(drop).ok();
}

async fn write_group(bus: &Bus, supervisor: &Name, group: Vec<Request>, done: &mpsc::UnboundedSender<Done>) {
    bus.connected().await;
    // The driver may be gone on shutdown; what was asked for is written all the same.
    let tell = |key, result| done.send(Done { key, result }).ok();
    let mut keys = Vec::with_capacity(group.len());
    let mut messages = Vec::with_capacity(group.len());
    for request in group {
        let key = match &request {
            Request::Append { run, expected, .. } => Key::Append { run: run.clone(), expected: *expected },
            Request::Dispatch(dispatch) => Key::Dispatch(dispatch.task.clone()),
            Request::ChildEnded(end) => Key::ChildEnded(end.task.clone()),
        };
        match encode(bus, supervisor, request).await {
            Ok(message) => {
                keys.push(key);
                messages.push(message);
            }
            Err(failure) => {
                tell(key, Err(failure));
            }
        }
    }
    match bus.publish_batch(&messages).await {
        Ok(written) => {
            for (key, written) in keys.into_iter().zip(written) {
                tell(key, Ok(written));
            }
        }
        Err(error) => {
            for key in keys {
                tell(key, Err(error.clone().into()));
            }
        }
    }
}

/// The message of an event of a run.
pub fn encode_event(supervisor: &Name, run: RunId, expected: u64, event: &RunEvent) -> serde_json::Result<Message> {
    let subject = Subject::Run { supervisor: supervisor.clone(), run }.to_string();
    let body = serde_json::to_vec(&RunEnvelope { version: VERSION, event })?;
    Ok(Message { subject, payload: body.into(), expected })
}

/// The first event of a run. With parameters that do not fit the run is accepted all the same, and its end says what is wrong.
pub fn accepted(
    definition: &Definition,
    given: &BTreeMap<String, Value>,
    cause: &str,
    stamp: Option<Stamp>,
    origin: Option<Box<Origin>>,
) -> RunEvent {
    RunEvent::Accepted {
        definition: Box::new(definition.clone()),
        parameters: resolve_parameters(definition, given).unwrap_or_else(|_| given.clone()),
        cause: cause.to_owned(),
        parent: None,
        stamp,
        origin,
    }
}

/// The first event of a run that a trigger begins.
pub fn accepted_by(definition: &Definition, follower: &Follower) -> RunEvent {
    accepted(definition, &follower.parameters, &follower.cause, None, Some(Box::new(follower.origin.clone())))
}

async fn encode(bus: &Bus, supervisor: &Name, request: Request) -> Result<Message, Failure> {
    let failed = |error: serde_json::Error| Failure::Encode(error.to_string());
    match request {
        Request::Append { run, expected, event } => encode_event(supervisor, run, expected, &event).map_err(failed),
        Request::Dispatch(dispatch) => {
            let Dispatch { task, pool, class, workflow, input, timeout_ms, deadline, idempotent, traceparent } =
                *dispatch;
            let name = format!("{}/{}/{}/in", task.run, task.path, task.attempt);
            let envelope = TaskEnvelope {
                version: VERSION,
                workflow: workflow.into(),
                input: bus.store_payload(&name, input).await?,
                timeout_ms,
                deadline,
                idempotent,
                traceparent,
            };
            let subject = Subject::Task { supervisor: supervisor.clone(), pool, class, task }.to_string();
            Ok(Message::new(subject, serde_json::to_vec(&envelope).map_err(failed)?))
        }
        Request::ChildEnded(end) => {
            let ChildEnd { task, run, outcome, started_at, finished_at } = *end;
            let name = format!("{}/{}/{}/out", task.run, task.path, task.attempt);
            let outcome = match outcome {
                Outcome::Succeeded { output } => {
                    ResultOutcome::Succeeded { output: bus.store_payload(&name, output).await? }
                }
                Outcome::HandedOver { to, input, reason } => {
                    let input = match input {
                        Some(input) => Some(bus.store_payload(&name, input).await?),
                        None => None,
                    };
                    ResultOutcome::HandedOver { to, input, reason }
                }
                Outcome::Failed { reason, message } => ResultOutcome::Failed { reason, message },
                Outcome::Unknown { message } => ResultOutcome::Unknown { message },
            };
            let agent = run.to_string();
            let envelope = ResultEnvelope { version: VERSION, agent, deliveries: 1, started_at, finished_at, outcome };
            let subject = subject::result_of_run(supervisor, task).to_string();
            Ok(Message::new(subject, serde_json::to_vec(&envelope).map_err(failed)?))
        }
    }
}
