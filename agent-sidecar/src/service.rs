//! The loop of one sidecar: turns what the bus, the agent, time and people do into events, and does what the session orders.

#[cfg(feature = "fault-no-deduplication")]
mod fault;
mod handle;
mod held;
mod work;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::Subscriber;
use futures::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, BoxFuture},
    stream::FuturesUnordered,
};
use jiff::Timestamp;
use tetrarch_bus::{Bus, State, write::Message};
use tetrarch_core::id::Name;
use tetrarch_protocol::{VERSION, load::Heartbeat, subject};
use tokio::sync::{mpsc, watch};

pub use self::handle::{Handle, Phase, Status};
use self::{handle::Command, held::Held, work::Done};
use crate::{
    agent::{self, Agent},
    bus::{self, Incoming, Queues},
    metrics::Metrics,
    session::{
        Session, Settings,
        event::{Action, Event, Key, Now},
    },
};

/// Time between two heartbeats without a change.
const BEAT: Duration = Duration::from_secs(1);
/// Shortest time between two heartbeats.
const MIN_BEAT: Duration = Duration::from_millis(100);
/// Time for what is still under way when the session has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why a service could not start or run on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent cannot be addressed.
    #[error(transparent)]
    Agent(#[from] agent::Error),
    /// The bus cannot be used.
    #[error(transparent)]
    Bus(#[from] bus::Error),
}

/// What a service is set up with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Supervisor that dispatches the tasks.
    pub supervisor: Name,
    /// Pool of the agent.
    pub pool: Name,
    /// Name of the pod.
    pub agent: String,
    /// Tasks the agent works on at once.
    pub slots: u32,
    /// Where the agent takes tasks.
    pub agent_url: String,
    /// Where the agent says how it is.
    pub health_url: String,
    /// Longest time for running tasks once draining.
    pub drain_timeout: Duration,
    /// Largest answer of the agent, in bytes.
    pub max_response: usize,
    /// `ack_wait` of the pool's consumers.
    pub ack_wait: Duration,
}

/// One sidecar. Dropping it ends everything at once, as a crash would.
pub struct Service {
    options: Options,
    session: Session,
    queues: Queues,
    inbox: Option<Subscriber>,
    closing: bool,
    connection: watch::Receiver<State>,
    agent: Agent,
    metrics: Metrics,
    started: Instant,
    held: HashMap<Key, Held>,
    next_key: u64,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    calls: HashMap<Key, AbortHandle>,
    results: Vec<(Key, Message)>,
    commands: mpsc::UnboundedReceiver<Command>,
    status: watch::Sender<Status>,
    beat: Heartbeat,
    beat_at: Duration,
    connections: u64,
}

impl Service {
    /// A service on an open connection, and the handle to steer it. It starts with [`Service::run`].
    pub async fn new(options: Options, bus: Bus, metrics: Metrics) -> Result<(Self, Handle), Error> {
        let agent = Agent::new(&options.agent_url, &options.health_url, options.max_response)?;
        let connection = bus.state();
        let (queues, inbox) = Queues::open(bus, options.supervisor.clone(), options.pool.clone()).await?;
        let (sender, commands) = mpsc::unbounded_channel();
        let (status, watched) = watch::channel(Status::default());
        let settings = Settings {
            agent: options.agent.clone(),
            slots: options.slots,
            drain_timeout: options.drain_timeout,
            ack_wait: options.ack_wait,
        };
        metrics.slots.set(options.slots.into());
        let beat = Heartbeat {
            version: VERSION,
            // The name is one token of the heartbeat's subject.
            agent: options.agent.replace('.', "-"),
            slots: options.slots,
            ..Heartbeat::default()
        };
        let service = Self {
            session: Session::new(settings),
            queues,
            inbox: Some(inbox),
            closing: false,
            connection,
            agent,
            metrics,
            started: Instant::now(),
            held: HashMap::new(),
            next_key: 1,
            jobs: FuturesUnordered::new(),
            calls: HashMap::new(),
            results: Vec::new(),
            commands,
            status,
            beat,
            beat_at: Duration::ZERO,
            connections: 0,
            options,
        };
        Ok((service, Handle::new(sender, watched)))
    }

    /// Runs until the session ends: after [`Handle::stop`] and everything that follows from it.
    pub async fn run(mut self) -> Result<(), Error> {
        self.connection.mark_changed();
        'turns: loop {
            let now = self.now();
            let wake = self.session.wake(now.steady).unwrap_or(now.steady + BEAT).min(self.beat_at);
            let event = tokio::select! {
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => self.finish(done),
                incoming = bus::next(&mut self.inbox) => self.receive(incoming)?,
                Ok(()) = self.connection.changed() => Some(self.observe_connection()),
                Some(command) = self.commands.recv() => Some(Event::Drain { exit: command == Command::Stop }),
                () = tokio::time::sleep(wake.saturating_sub(now.steady)) => Some(Event::Tick),
            };
            if self.handle(event) {
                break;
            }
            // What else is ready belongs to the same turn, so that results that are ready together are written together.
            while let Some(Some(done)) = self.jobs.next().now_or_never() {
                let event = self.finish(done);
                if self.handle(event) {
                    break 'turns;
                }
            }
            self.close_inbox().await;
            self.write_results();
            self.report_state();
        }
        self.say_goodbye().await;
        Ok(())
    }

    /// Lets the session decide; true when it has ended.
    fn handle(&mut self, event: Option<Event>) -> bool {
        let Some(event) = event else { return false };
        let acked = if let Event::Acked(key, _) = &event { Some(*key) } else { None };
        for action in self.session.handle(event, self.now()) {
            if action == Action::Exit {
                return true;
            }
            self.perform(action);
        }
        if let Some(key) = acked
            && !self.session.holds(key)
        {
            self.held.remove(&key);
        }
        false
    }

    fn receive(&mut self, incoming: Option<Incoming>) -> Result<Option<Event>, Error> {
        match incoming {
            Some(Incoming::Task(task)) => {
                let key = Key(self.next_key);
                self.next_key += 1;
                let (held, delivery) = Held::new(key, *task);
                self.held.insert(key, held);
                Ok(Some(Event::Delivered(delivery)))
            }
            Some(Incoming::Heard(id)) => Ok(Some(Event::PullHeard(id))),
            Some(Incoming::Ended(id, end)) => Ok(Some(Event::PullEnded(id, end))),
            Some(Incoming::Strange(subject)) => {
                tracing::warn!(subject, "a message on the inbox is no task");
                Ok(None)
            }
            None if self.session.is_draining() => {
                self.inbox = None;
                Ok(None)
            }
            None => Err(bus::Error::Inbox("the connection is closed".to_owned()).into()),
        }
    }

    fn observe_connection(&mut self) -> Event {
        let connected = *self.connection.borrow_and_update() == State::Connected;
        if connected {
            if self.connections > 0 {
                self.metrics.reconnects.inc();
            }
            self.connections += 1;
        }
        Event::Bus(connected)
    }

    /// Tells everybody who asks how it stands: status, metrics, and the supervisor by heartbeat.
    fn report_state(&mut self) {
        let now = self.now().steady;
        let connected = *self.connection.borrow() == State::Connected;
        let status = Status {
            connected,
            healthy: self.session.is_agent_well(),
            phase: match (self.session.is_draining(), self.session.is_drained()) {
                (_, true) => Phase::Drained,
                (true, false) => Phase::Draining,
                (false, false) => Phase::Working,
            },
            in_flight: self.session.in_flight(),
        };
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
        self.metrics.in_flight.set(status.in_flight.into());
        self.metrics.agent_healthy.set(status.healthy.into());
        self.metrics.bus_connected.set(connected.into());
        let draining = status.phase != Phase::Working;
        self.metrics.draining.set(draining.into());
        let changed = (self.beat.in_flight, self.beat.healthy, self.beat.draining)
            != (status.in_flight, status.healthy, draining);
        let sent = self.beat_at.saturating_sub(BEAT);
        if changed && now < self.beat_at {
            self.beat_at = (sent + MIN_BEAT).min(self.beat_at);
        }
        if now < self.beat_at {
            return;
        }
        self.beat_at = now + BEAT;
        self.beat.in_flight = status.in_flight;
        self.beat.healthy = status.healthy;
        self.beat.draining = draining;
        if connected {
            self.send_heartbeat();
        }
    }

    fn send_heartbeat(&mut self) {
        let subject = subject::load(&self.options.supervisor, &self.options.pool, &self.beat.agent);
        let Ok(body) = serde_json::to_vec(&self.beat) else { return };
        let client = self.queues.bus().client().clone();
        self.spawn(async move {
            // Losing one is harmless.
            client.publish(subject, body.into()).await.ok();
            Done::Nothing
        });
    }

    /// Gives up the subscription in the way that still hands out what is under way, so that it can be handed back.
    async fn close_inbox(&mut self) {
        if std::mem::take(&mut self.closing)
            && let Some(inbox) = &mut self.inbox
            && let Err(error) = inbox.drain().await
        {
            tracing::debug!(%error, "cannot give up the inbox");
            self.inbox = None;
        }
    }

    async fn say_goodbye(mut self) {
        self.calls.values().for_each(AbortHandle::abort);
        self.write_results();
        let rest = async {
            while self.jobs.next().await.is_some() {}
            self.queues.bus().client().flush().await.ok();
        };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::warn!("the bus did not take everything before the end");
        }
    }

    fn spawn(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.jobs.push(job.boxed());
    }

    fn now(&self) -> Now {
        Now { steady: self.started.elapsed(), wall: Timestamp::now() }
    }
}
