//! Begins runs for messages from outside, on any replica: what is written first decides, and that happens once for each message.
//!
//! The run's first event comes before the mark that it has begun. A message that comes again finds the run or, when that is purged, the
//! mark.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tetrarch_bus::{Bus, write};
use tetrarch_core::{
    id::{Name, RunId},
    workflow::{
        definition::Definition,
        message::{Message, Source},
    },
};
use tetrarch_protocol::{
    snapshot::MessageSnapshot,
    stream::{REMEMBER_MESSAGES, WORK},
    subject,
};
use tokio::sync::watch;

use crate::{
    metrics::{MessageEnd, Metrics},
    writer,
};

/// Runs of a Workflow that may wait for a place; then messages wait.
pub const MAX_WAITING_RUNS: usize = 1000;

/// The Workflows that messages can begin runs of.
pub type Open = BTreeMap<Name, OpenWorkflow>;

/// A Workflow that messages can begin runs of.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenWorkflow {
    /// What is run.
    pub definition: Arc<Definition>,
    /// What begins it.
    pub messages: Vec<MessageSnapshot>,
}

/// Why a message could not be taken; it has to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many runs of the Workflow wait.
    #[error("{MAX_WAITING_RUNS} runs of Workflow {0} wait for a place: send it again later")]
    Full(Name),
    /// It cannot be read or evaluated, and whoever sends it can be told.
    #[error("{0}")]
    Unusable(String),
    /// The bus did not take it.
    #[error(transparent)]
    Bus(#[from] write::Error),
    /// It cannot be written.
    #[error("cannot encode: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has begun this run, now or when it came before.
    Begun(RunId),
    /// The condition is false.
    Declined,
}

/// Takes messages.
#[derive(Clone)]
pub struct Intake {
    pub bus: Bus,
    pub supervisor: Name,
    /// None before the configuration was read.
    pub open: watch::Receiver<Option<Arc<Open>>>,
    /// How many runs of each Workflow wait for a place.
    pub waiting: watch::Receiver<BTreeMap<Name, usize>>,
    pub metrics: Metrics,
}

impl Intake {
    /// The Workflows with a trigger about this topic that holds since before `at`, each with these triggers.
    pub fn listeners(&self, topic: &Name, at: Timestamp) -> Vec<(Name, Arc<Definition>, MessageSnapshot)> {
        let open = self.open.borrow().clone().unwrap_or_default();
        let mut found = Vec::new();
        for (workflow, known) in open.iter() {
            for message in known.messages.iter().filter(|message| message.since <= at) {
                if matches!(&message.trigger.source, Source::Event { topic: of } if of == topic) {
                    found.push((workflow.clone(), known.definition.clone(), message.clone()));
                }
            }
        }
        found
    }

    /// Begins the run of a message, unless it has begun.
    pub async fn take(
        &self,
        definition: &Definition,
        snapshot: &MessageSnapshot,
        message: Message<'_>,
    ) -> Result<Taken, Error> {
        let Some(follower) = snapshot.trigger.begin(&snapshot.prefix, message) else {
            self.metrics.message_ended(MessageEnd::Declined);
            return Ok(Taken::Declined);
        };
        if let (Source::Webhook { .. }, Some(flaw)) = (&snapshot.trigger.source, &follower.origin.flaw) {
            return Err(Error::Unusable(flaw.clone()));
        }
        let workflow = &definition.workflow;
        let mark = subject::seen(&self.supervisor, &follower.run);
        if self.bus.has(WORK, &mark).await? {
            self.metrics.message_ended(MessageEnd::Repeated);
            return Ok(Taken::Begun(follower.run));
        }
        if self.waiting.borrow().get(workflow).is_some_and(|waiting| *waiting >= MAX_WAITING_RUNS) {
            return Err(Error::Full(workflow.clone()));
        }
        let event = writer::accepted_by(definition, &follower);
        let first = writer::encode_event(&self.supervisor, follower.run.clone(), 0, &event)?;
        let end = match self.bus.write(&first).await? {
            write::Written::Fresh(_) => MessageEnd::Begun,
            write::Written::Exists => MessageEnd::Repeated,
        };
        self.bus.mark(mark, REMEMBER_MESSAGES).await?;
        self.metrics.message_ended(end);
        Ok(Taken::Begun(follower.run))
    }
}
