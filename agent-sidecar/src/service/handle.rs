//! Steering and watching a running service from outside.

use tokio::sync::{mpsc, watch};

/// What a service can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Take no more tasks.
    Drain,
    /// The same, and end when nothing is left.
    Stop,
}

/// Whether a service stays or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It takes tasks.
    #[default]
    Working,
    /// It takes no more tasks.
    Draining,
    /// It takes no more tasks and has none left.
    Drained,
}

/// How a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the bus is reached.
    pub connected: bool,
    /// Whether the agent is fit for work.
    pub healthy: bool,
    /// Whether it stays or goes.
    pub phase: Phase,
    /// Tasks that occupy a slot.
    pub in_flight: u32,
}

/// A service's handle. Clones steer the same service.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<Status>,
}

impl Handle {
    pub(super) fn new(commands: mpsc::UnboundedSender<Command>, status: watch::Receiver<Status>) -> Self {
        Self { commands, status }
    }

    /// How it stands now.
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Whether it has neither ended nor crashed.
    pub fn is_running(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Takes no more tasks; returns once none is left or the service has ended. Doing it twice is the same.
    pub async fn drain(&self) {
        self.tell(Command::Drain);
        self.wait_for(|status| status.phase == Phase::Drained).await;
    }

    /// Drains and ends the service.
    pub fn stop(&self) {
        self.tell(Command::Stop);
    }

    /// Waits until the status is as wanted, or the service has ended.
    pub async fn wait_for(&self, wanted: impl FnMut(&Status) -> bool) {
        // An error means that the service has ended.
        self.status.clone().wait_for(wanted).await.ok();
    }

    fn tell(&self, command: Command) {
        // A service that has ended needs no telling.
        self.commands.send(command).ok();
    }
}
