//! What the session hears and what it orders: plain values, so that every decision can be tested without a bus or an agent.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tetrarch_core::{
    id::{Name, TaskId},
    priority::Class,
    workflow::journal::FailureReason,
};

/// A moment: `steady` never jumps and times everything inside, `wall` is compared with deadlines that others set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the process started.
    pub steady: Duration,
    /// Time of day.
    pub wall: Timestamp,
}

/// One delivery of a task; a redelivered task has a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// One pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PullId {
    /// Whose queue.
    pub class: Class,
    /// Counts up; a request that is given up gets no second life.
    pub number: u64,
}

/// A task as it came from the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// This delivery.
    pub key: Key,
    /// The queue it was in.
    pub class: Class,
    /// The task.
    pub task: TaskId,
    /// How often it has been delivered, from 1.
    pub deliveries: u64,
    /// Tasks that wait behind it in its queue.
    pub pending: u64,
    /// What its envelope says.
    pub body: Result<Brief, Unreadable>,
}

/// What the session needs to know of a task's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Whether it may be handed to an agent twice.
    pub idempotent: bool,
    /// Longest time of a call.
    pub timeout: Duration,
    /// End of the run.
    pub deadline: Timestamp,
    /// Whether the input has to be loaded from the object store.
    pub large_input: bool,
}

/// Why an envelope could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no envelope.
    Garbage(String),
    /// It has a later version; a newer sidecar can read it.
    TooNew(u16),
}

/// How a pull request ended without filling its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullEnd {
    /// The queue is empty.
    Empty,
    /// Its time ran out.
    Expired,
    /// The consumer does not exist (yet), or the server refused for a while.
    Refused,
}

/// A mark on a task's `try` subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Who wrote it.
    pub agent: String,
    /// When.
    pub at: Timestamp,
    /// Calls begun so far.
    pub calls: u32,
    /// Whether it takes back the one before.
    pub withdrawn: bool,
}

/// A mark to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMark {
    /// When; it also tells our own mark from others.
    pub at: Timestamp,
    /// Calls begun so far.
    pub calls: u32,
    /// Whether it takes back the one before.
    pub withdrawn: bool,
    /// Sequence of the mark before; 0 when there must be none.
    pub after: u64,
}

/// What the stream says about a task that was delivered before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it has its result.
    pub ended: bool,
    /// Its last mark.
    pub mark: Option<Mark>,
}

/// How writing a mark ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Written, with this sequence.
    Written(u64),
    /// Somebody else wrote one before.
    Taken,
    /// The bus did not answer; it may be written or not.
    Unclear,
}

/// How loading a large input ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is here.
    Here,
    /// The store does not have it.
    Missing(String),
    /// The bus did not answer.
    Unavailable,
}

/// How an agent answered a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A valid envelope with an output, as JSON text.
    Output(Bytes),
    /// A valid envelope that says who goes on.
    HandedOver(HandOver),
    /// A failure that may be repeated.
    Failed(String),
    /// A refusal for good.
    Rejected(String),
    /// Not now; try again after this time.
    Busy(Duration),
    /// No valid envelope.
    Invalid(String),
    /// Larger than the limit.
    TooLarge(String),
    /// No complete answer within this time.
    TimedOut(Duration),
    /// The agent could not be reached; nothing was sent.
    NotConnected(String),
    /// The connection broke after something was sent.
    ConnectionLost(String),
}

/// How a health probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// 2xx.
    Well,
    /// Refused, or another status.
    Failing,
    /// No answer in time.
    Silent,
}

/// Who goes on with a task, as its agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The capability of those who go on.
    pub to: Name,
    /// Their input, as JSON text; none means the one that this agent got.
    pub input: Option<Bytes>,
    /// Why, bounded.
    pub reason: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The output, as JSON text.
    Succeeded(Bytes),
    /// Others go on.
    HandedOver(HandOver),
    /// It failed.
    Failed(FailureReason, String),
    /// It is not known how it ended.
    Unknown(String),
}

/// A result to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// How often the task was delivered.
    pub deliveries: u64,
    /// When the agent was called, or when it was decided not to.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What the session hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A task came.
    Delivered(Delivery),
    /// A pull request lives.
    PullHeard(PullId),
    /// A pull request ended.
    PullEnded(PullId, PullEnd),
    /// Answer to [`Action::Inspect`]; `None` when the bus did not answer.
    Inspected(Key, Option<Inspection>),
    /// Answer to [`Action::Load`].
    Loaded(Key, Loaded),
    /// Answer to [`Action::Mark`].
    Marked(Key, Marked),
    /// Answer to [`Action::Call`].
    Answered(Key, Answer),
    /// Answer to [`Action::Report`]: whether the attempt has its result now, ours or an earlier one.
    Reported(Key, bool),
    /// Answer to [`Action::Ack`]: whether the server confirmed.
    Acked(Key, bool),
    /// Answer to [`Action::Probe`].
    Probed(Probe),
    /// The bus was reached again (true) or lost (false).
    Bus(bool),
    /// Take no more tasks; with `exit` also end the process once nothing is left.
    Drain {
        /// Whether to exit.
        exit: bool,
    },
    /// Nothing but time.
    Tick,
}

/// What the session orders.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask for tasks: up to `batch`, waiting for the first one or not.
    Pull {
        /// The request.
        id: PullId,
        /// Most tasks.
        batch: u32,
        /// Whether to wait when there is none.
        wait: bool,
    },
    /// Give up all pull requests for good.
    StopPulling,
    /// Read whether the task has ended, and its last mark.
    Inspect(Key),
    /// Load the large input.
    Load(Key),
    /// Write a mark.
    Mark(Key, NewMark),
    /// Call the agent, and wait no longer than this.
    Call(Key, Duration),
    /// Stop waiting for the call.
    Abort(Key),
    /// Write the result, with a dead letter when that is what it says.
    Report(Key, Report),
    /// Acknowledge for good.
    Ack(Key),
    /// Give the task back to its queue.
    HandBack {
        /// The delivery.
        key: Key,
        /// How long the queue keeps it.
        delay: Duration,
        /// The mark that takes back ours, if we wrote one.
        withdraw: Option<NewMark>,
    },
    /// Tell the server that we still work on it.
    Extend(Key),
    /// Drop what is known of the delivery: somebody else has the task.
    Forget(Key),
    /// The task in flight as `old` was delivered again as `new`: acknowledge that one.
    Replace {
        /// Key in use.
        old: Key,
        /// Key of the new delivery.
        new: Key,
    },
    /// Ask the agent's health.
    Probe,
    /// Flush and end.
    Exit,
}
