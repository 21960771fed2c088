//! Starts all parts of a replica, wires them, and stops them in order.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tetrarch_bus::{Bus, connection};
use tetrarch_core::id::Name;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config, consumers,
    drive::{Driver, Inputs, Outputs},
    events, export,
    hooks::{
        self,
        secrets::{Secrets, Unready},
    },
    http::{self, Progress},
    intake::Intake,
    janitor, journal,
    leases::{self, Held, Timing},
    loads,
    metrics::{self, Metrics},
    report, writer,
};

/// Entries, jobs and reports that wait between two parts at most; then the sender waits.
const ENTRIES: usize = 4096;
const JOBS: usize = 1024;
const SMALL: usize = 256;

/// Longest time that writes under way get on shutdown.
const FLUSH: Duration = Duration::from_secs(10);

/// Why a replica could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus options are not usable.
    #[error(transparent)]
    Bus(#[from] connection::Error),
    /// The HTTP address cannot be used.
    #[error("cannot listen on {address}: set {variable} to a free address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What sets it.
        variable: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Webhooks cannot be served.
    #[error(transparent)]
    Hooks(#[from] hooks::Error),
    /// The metrics could not be made.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
}

/// What a replica needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to reach the bus.
    pub bus: tetrarch_bus::Options,
    /// Name of the Supervisor, unique in its Domain.
    pub supervisor: Name,
    /// Name of this replica, unique among the living ones: the pod's name.
    pub replica: String,
    /// Where to answer probes and scrapes; port 0 takes a free one, none answers nothing.
    pub http: Option<SocketAddr>,
    /// How to take webhooks; none takes none.
    pub hooks: Option<hooks::Options>,
    /// Times of the leases.
    pub leases: Timing,
    /// Shortest time between two reports of the same thing.
    pub report_every: Duration,
}

impl Options {
    /// The defaults for a replica of a Supervisor.
    pub fn new(bus: tetrarch_bus::Options, supervisor: Name, replica: impl Into<String>) -> Self {
        Self {
            bus,
            supervisor,
            replica: replica.into(),
            http: None,
            hooks: None,
            leases: Timing::default(),
            report_every: Duration::from_millis(250),
        }
    }
}

/// A running replica. Dropping it ends it at once, as a crash would; [`Handle::stop`] ends it in order.
#[derive(Debug)]
pub struct Handle {
    http: Option<SocketAddr>,
    hooks: Option<SocketAddr>,
    bus: Bus,
    metrics: Metrics,
    stop: CancellationToken,
    stop_leases: CancellationToken,
    /// Ends when the driver has handed out its last work.
    driver: JoinSet<()>,
    /// End by themselves when the driver is gone and everything is written.
    writers: JoinSet<()>,
    leases: JoinSet<()>,
    /// End with the token.
    readers: JoinSet<()>,
}

impl Handle {
    /// Where it answers probes and scrapes.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where it takes webhooks.
    pub fn hooks(&self) -> Option<SocketAddr> {
        self.hooks
    }

    /// Its connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Waits until a part ended that never should.
    pub async fn failed(&mut self) {
        tokio::select! {
            Some(_) = self.driver.join_next() => {}
            Some(_) = self.readers.join_next() => {}
            else => {}
        }
    }

    /// Stops acting, finishes what is being written, and gives the leases back.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let finish = async {
            while self.driver.join_next().await.is_some() {}
            while self.writers.join_next().await.is_some() {}
        };
        if tokio::time::timeout(FLUSH, finish).await.is_err() {
            tracing::warn!("some writes are not finished; their conditions make it safe to repeat them");
        }
        self.stop_leases.cancel();
        let farewell = async {
            while self.leases.join_next().await.is_some() {}
            self.readers.shutdown().await;
            if let Err(error) = self.bus.client().flush().await {
                tracing::debug!(%error, "the connection is gone already");
            }
        };
        // Without a bus, as when its Domain is deleted, nothing can be flushed and nobody may be kept waiting.
        if tokio::time::timeout(FLUSH, farewell).await.is_err() {
            tracing::warn!("the bus does not answer; the leases run out by themselves");
        }
    }
}

/// Starts a replica. It waits by itself for the bus and for the streams of its Domain.
pub async fn start(options: Options) -> Result<Handle, Error> {
    let metrics = Metrics::new()?;
    let bus = tetrarch_bus::connect(&options.bus).await?;
    let supervisor = options.supervisor.clone();
    let (stop, stop_leases) = (CancellationToken::new(), CancellationToken::new());
    let progress = Arc::new(Progress::default());
    let (mut driver, mut writers, mut leases, mut readers) =
        (JoinSet::new(), JoinSet::new(), JoinSet::new(), JoinSet::new());

    let http = match options.http {
        None => None,
        Some(address) => {
            let (listener, address) = http::bind(address).await.map_err(|source| {
                let variable = "TETRARCH_HTTP_ADDR";
                Error::Listen { address, variable, source }
            })?;
            readers.spawn(http::serve(listener, bus.clone(), metrics.clone(), progress.clone(), stop.clone()));
            Some(address)
        }
    };

    let (journal_tx, journal) = mpsc::channel(ENTRIES);
    readers.spawn(journal::follow(bus.clone(), supervisor.clone(), journal_tx, stop.clone()));
    let (config_tx, config) = mpsc::channel(SMALL);
    readers.spawn(config::follow(bus.clone(), supervisor.clone(), config_tx, stop.clone()));
    let (beats_tx, beats) = mpsc::channel(SMALL);
    readers.spawn(loads::listen(bus.clone(), supervisor.clone(), beats_tx, stop.clone()));
    let (wanted, wanted_rx) = watch::channel(None);
    readers.spawn(consumers::keep(bus.clone(), supervisor.clone(), wanted_rx, stop.clone()));

    let (held_tx, held) = watch::channel(Held::new());
    let (open, open_rx) = watch::channel(None);
    let (waiting, waiting_rx) = watch::channel(BTreeMap::new());
    let intake = Intake {
        bus: bus.clone(),
        supervisor: supervisor.clone(),
        open: open_rx,
        waiting: waiting_rx,
        metrics: metrics.clone(),
    };
    readers.spawn(events::follow(intake.clone(), held.clone(), stop.clone()));
    let (unready_tx, unready) = watch::channel(Unready::new());
    let hooks = match options.hooks {
        None => None,
        Some(hooks) => Some(take_webhooks(hooks, intake, unready_tx, &mut readers, &stop).await?),
    };
    leases.spawn(leases::hold(
        bus.clone(),
        supervisor.clone(),
        options.replica,
        options.leases,
        held_tx,
        stop_leases.clone(),
    ));

    let (requests, requests_rx) = mpsc::channel(writer::WAITING);
    let (done_tx, done) = mpsc::unbounded_channel();
    writers.spawn(writer::run(bus.clone(), supervisor.clone(), requests_rx, done_tx));
    let (jobs, jobs_rx) = mpsc::channel(JOBS);
    let (removed_tx, removed) = mpsc::unbounded_channel();
    writers.spawn(janitor::run(bus.clone(), supervisor.clone(), jobs_rx, removed_tx));
    let (reports, reports_rx) = mpsc::channel(SMALL);
    let (overtaken_tx, overtaken) = mpsc::unbounded_channel();
    writers.spawn(report::run(bus.clone(), reports_rx, overtaken_tx));

    let (spans, spans_rx) = mpsc::channel(export::BUFFER);
    writers.spawn(export::run(spans_rx, metrics.clone()));

    let inputs = Inputs { journal, config, beats, held, done, removed, unready, overtaken };
    let outputs = Outputs { requests, jobs, reports, wanted, open, waiting, spans, metrics: metrics.clone(), progress };
    let drive = Driver::new(supervisor, outputs);
    driver.spawn(drive.run(inputs, options.report_every, stop.clone()));

    Ok(Handle { http, hooks, bus, metrics, stop, stop_leases, driver, writers, leases, readers })
}

/// Starts to take webhooks; the address that it got.
async fn take_webhooks(
    options: hooks::Options,
    intake: Intake,
    unready: watch::Sender<Unready>,
    readers: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<SocketAddr, Error> {
    let (address, variable) = (options.address, "TETRARCH_HOOKS_ADDR");
    let bound = http::bind(address).await;
    let (listener, address) = bound.map_err(|source| Error::Listen { address, variable, source })?;
    readers.spawn(Secrets(options.secrets.clone()).watch(intake.open.clone(), unready, stop.clone()));
    let server = hooks::Server::prepare(intake, options).await?;
    readers.spawn(server.serve(listener, stop.clone()));
    Ok(address)
}
