//! What the service keeps of a task while the session decides about it.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use serde_json::Value;
use tetrarch_core::{id::TaskId, priority::Class};
use tetrarch_protocol::{blob::Payload, task::TaskEnvelope};

use crate::{
    bus::Task,
    session::event::{Brief, Delivery, Key},
};

/// A delivered task.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: TaskId,
    pub(super) class: Class,
    pub(super) reply: Subject,
    pub(super) body: Bytes,
    /// Everything but the input, if the envelope could be read.
    pub(super) envelope: Option<TaskEnvelope>,
    /// The loaded input.
    pub(super) input: Option<Value>,
    /// The output as it travels, once it is stored.
    pub(super) output: Option<Payload>,
    /// Whether its end was logged and counted.
    pub(super) told: bool,
}

impl Held {
    /// Keeps what the service needs and tells the session the rest.
    pub(super) fn new(key: Key, task: Task) -> (Self, Delivery) {
        let brief = task.envelope.as_ref().map_err(Clone::clone).map(|envelope| Brief {
            idempotent: envelope.idempotent,
            timeout: Duration::from_millis(envelope.timeout_ms),
            deadline: envelope.deadline,
            large_input: matches!(envelope.input, Payload::Blob(_)),
        });
        let delivery = Delivery {
            key,
            class: task.class,
            task: task.id.clone(),
            deliveries: task.deliveries,
            pending: task.pending,
            body: brief,
        };
        let held = Self {
            id: task.id,
            class: task.class,
            reply: task.reply,
            body: task.body,
            envelope: task.envelope.ok(),
            input: None,
            output: None,
            told: false,
        };
        (held, delivery)
    }
}
