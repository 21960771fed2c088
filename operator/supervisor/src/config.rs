//! Follows what the operator writes for this Supervisor: its pools and classes, its Workflows.

use jiff::Timestamp;
use tetrarch_bus::{
    Bus,
    follow::{Delivered, Event as Followed},
    keyvalue::key_of,
};
use tetrarch_core::id::Name;
use tetrarch_protocol::{
    snapshot::{SupervisorSnapshot, WorkflowSnapshot, supervisor_key, workflows_of_supervisor},
    stream::CONFIG_BUCKET,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A change of the configuration.
#[derive(Debug)]
pub enum Event {
    /// What follows until `Synced` replaces everything.
    Restarted,
    /// The Supervisor's own configuration.
    Supervisor(Box<SupervisorSnapshot>),
    /// A Workflow, and when the operator wrote it.
    Workflow(Name, Box<WorkflowSnapshot>, Timestamp),
    /// A Workflow is gone.
    Removed(Name),
    /// Everything that is there now has been told.
    Synced,
}

/// Follows the configuration and sends every change, until it is told to stop.
pub async fn follow(bus: Bus, supervisor: Name, events: mpsc::Sender<Event>, stop: CancellationToken) {
    let filters = [supervisor_key(&supervisor), workflows_of_supervisor(&supervisor)];
    let mut watch = bus.watch(CONFIG_BUCKET, &filters);
    loop {
        let followed = tokio::select! {
            () = stop.cancelled() => return,
            followed = watch.next() => followed,
        };
        let (event, is_last) = match followed {
            Followed::Restarted => (Some(Event::Restarted), false),
            Followed::CaughtUp => (None, true),
            Followed::Message(message) => (decode(&message), message.pending == 0),
        };
        for event in event.into_iter().chain(is_last.then_some(Event::Synced)) {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn decode(message: &Delivered) -> Option<Event> {
    let key = key_of(CONFIG_BUCKET, &message.subject)?;
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::error!(key, revision = message.sequence, %error, "configuration is not readable, the one before it stays");
    };
    let workflow = match key.split('.').collect::<Vec<_>>()[..] {
        ["workflow", _, workflow] => Some(workflow.parse::<Name>().map_err(|e| unreadable(&e)).ok()?),
        _ => None,
    };
    match (workflow, message.deleted) {
        (Some(workflow), true) => Some(Event::Removed(workflow)),
        (None, true) => None,
        (Some(workflow), false) => {
            let snapshot = serde_json::from_slice(&message.payload).map_err(|e| unreadable(&e)).ok()?;
            Some(Event::Workflow(workflow, Box::new(snapshot), message.at))
        }
        (None, false) => {
            let snapshot = serde_json::from_slice(&message.payload).map_err(|e| unreadable(&e)).ok()?;
            Some(Event::Supervisor(Box::new(snapshot)))
        }
    }
}
