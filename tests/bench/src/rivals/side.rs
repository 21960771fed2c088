//! A side of the comparison: its servers, and one driver with the agents and the client. All are processes of their own, so that the kernel
//! tells what each needs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tetrarch_testkit::nats::NatsServer;
use tokio::net::TcpListener;

use super::{
    driver,
    shape::{Asked, Figures},
};
use crate::{
    engine::Engine,
    process::{self, Dialogue, Process},
};

/// Environment variable that names the directory with the rivals' programs.
const RIVALS: &str = "TETRARCH_RIVALS";

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Longest time of one measure.
const PATIENCE: Duration = Duration::from_mins(15);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Who {
    /// The bare bus.
    Floor,
    /// The real supervisor.
    Tetrarch,
    /// Temporal on its SQL store.
    Temporal,
    /// Restate, whose steps are journaled side effects of the run.
    Restate,
    /// Restate, all of whose steps are calls of another service.
    RestateCalls,
}

impl Who {
    /// All sides, ours after the floor.
    pub const ALL: [Self; 5] = [Self::Floor, Self::Tetrarch, Self::Temporal, Self::Restate, Self::RestateCalls];

    /// Its name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "bare bus (floor)",
            Self::Tetrarch => "Tetrarch",
            Self::Temporal => "Temporal",
            Self::Restate => "Restate, journaled side effects",
            Self::RestateCalls => "Restate, calls",
        }
    }
}

impl Who {
    /// How it makes a step durable before it acknowledges it.
    pub const fn durability(self) -> &'static str {
        match self {
            Self::Floor | Self::Tetrarch => "JetStream, file storage, one replica, sync_interval always",
            Self::Temporal => {
                "SQLite, journal_mode WAL, synchronous FULL, 4 shards, limits of rates lifted, eager activities on"
            }
            Self::Restate | Self::RestateCalls => {
                "its settings as they come: replicated loglet of one node, RocksDB with its WAL, rocksdb-disable-wal-fsync false"
            }
        }
    }
}

/// What a measure of a side gave.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What its driver measured.
    pub figures: Figures,
    /// CPU time of all its processes.
    pub cpu: Duration,
    /// CPU time of its servers alone.
    pub cpu_of_servers: Duration,
    /// The most MiB that its servers had resident at once, by server.
    pub servers: Vec<(&'static str, f64)>,
    /// The same of all its processes together.
    pub all: f64,
}

/// A side with everything that it needs; ends when dropped.
pub struct Side {
    who: Who,
    driver: Dialogue,
    servers: Vec<(&'static str, u32)>,
    _running: Vec<Process>,
    _bus: Option<NatsServer>,
    _directory: TempDir,
}

impl Side {
    /// Starts the servers of a side with an empty store, and its driver.
    pub async fn start(who: Who) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tetrarch-bench-").tempdir()?;
        let (mut servers, mut running, mut bus) = (Vec::new(), Vec::new(), None);
        let mut serve = |name, process: Process| {
            servers.push((name, process.id()));
            running.push(process);
        };
        // What a rival leaves in its temporary directory goes with the side.
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command.env("TMPDIR", directory.path());
            command
        };
        let driver = match who {
            Who::Floor | Who::Tetrarch => {
                let nats = NatsServer::start().await?;
                let url = nats.url();
                let part = if who == Who::Floor {
                    "drive-floor"
                } else {
                    serve("supervisor", Engine::start(&nats).await?.process);
                    "drive-tetrarch"
                };
                servers.push(("nats-server", nats.pid().context("nats-server has ended")?));
                bus = Some(nats);
                let mut command = command(&std::env::current_exe()?);
                command.arg(part).env(driver::BUS, url);
                command
            }
            Who::Temporal => {
                let (program, port) = (rival("rival-temporal")?, free_port().await?.to_string());
                let database = directory.path().join("store.db");
                let database = database.to_str().context("an odd temporary directory")?;
                let mut server = command(&program);
                server.args(["serve", &port, database]);
                serve("temporal", Process::start_command("temporal", server)?);
                let mut command = command(&program);
                command.args(["drive", &format!("127.0.0.1:{port}")]);
                command
            }
            Who::Restate | Who::RestateCalls => {
                let (node, ingress, admin) = (free_port().await?, free_port().await?, free_port().await?);
                let mut server = command(&rival("restate-server")?);
                configure(&mut server, directory.path(), node, ingress, admin);
                serve("restate-server", Process::start_command("restate-server", server)?);
                let mut command = command(Path::new("node"));
                command
                    .arg(rival("restate/driver.mjs")?)
                    .args([format!("http://127.0.0.1:{ingress}"), format!("http://127.0.0.1:{admin}")]);
                command
            }
        };
        let driver = Dialogue::start("bench-driver", driver)?;
        Ok(Self { who, driver, servers, _running: running, _bus: bus, _directory: directory })
    }

    /// Measures what is asked for.
    pub async fn measure(&mut self, asked: &Asked) -> Result<Measured> {
        let asked = Asked { calls: self.who == Who::RestateCalls, ..asked.clone() };
        let pids: Vec<u32> = self.servers.iter().map(|(_, pid)| *pid).chain([self.driver.id()]).collect();
        let cpu_before = cpu(&pids)?;
        let mut servers: Vec<(&'static str, f64)> = self.servers.iter().map(|(name, _)| (*name, 0.0)).collect();
        let mut all = 0.0_f64;
        let answer = self.driver.ask(serde_json::to_string(&asked)?);
        let mut answer = std::pin::pin!(tokio::time::timeout(PATIENCE, answer));
        let answer = loop {
            // A driver that has ended has no size; why it ended is in its answer.
            let sizes: Vec<f64> = pids.iter().map(|pid| process::resident(*pid).unwrap_or_default()).collect();
            for ((_, most), now) in servers.iter_mut().zip(&sizes) {
                *most = most.max(*now);
            }
            all = all.max(sizes.iter().sum());
            tokio::select! {
                answer = &mut answer => break answer,
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        let figures: Figures = serde_json::from_str(&answer.context("it takes too long")??)?;
        figures.check(&asked)?;
        let spent: Vec<Duration> =
            cpu(&pids)?.into_iter().zip(cpu_before).map(|(now, before)| now.saturating_sub(before)).collect();
        let cpu_of_servers = spent.iter().take(servers.len()).sum();
        Ok(Measured { figures, cpu: spent.iter().sum(), cpu_of_servers, servers, all })
    }
}

/// CPU time so far of each of these processes.
fn cpu(pids: &[u32]) -> Result<Vec<Duration>> {
    pids.iter().map(|pid| process::cpu(*pid)).collect()
}

/// Where the program of a rival is.
fn rival(name: &str) -> Result<PathBuf> {
    let directory = std::env::var_os(RIVALS)
        .with_context(|| format!("{RIVALS} is not set: run this part with `make bench-rivals`"))?;
    let program = PathBuf::from(directory).join(name);
    ensure!(program.is_file(), "{} is missing: run `tests/tools.sh rivals`", program.display());
    Ok(program)
}

/// A node of Restate on loopback alone, with the settings that it comes with: its log is on the disk before an append is acknowledged.
fn configure(server: &mut Command, directory: &Path, node: u16, ingress: u16, admin: u16) {
    server
        .arg("--base-dir")
        .arg(directory)
        .args(["--listen-mode", "tcp", "--node-name", "bench", "--bind-address", &format!("127.0.0.1:{node}")])
        .env("RESTATE_ADVERTISED_ADDRESS", format!("http://127.0.0.1:{node}"))
        .env("RESTATE_INGRESS__BIND_ADDRESS", format!("127.0.0.1:{ingress}"))
        .env("RESTATE_ADMIN__BIND_ADDRESS", format!("127.0.0.1:{admin}"))
        // As many as run at once here; more than the default of 1,000 when runs call an agent each.
        .env("RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT", "4096")
        .env("RESTATE_DISABLE_TELEMETRY", "true")
        .env("RESTATE_LOG_FILTER", "warn");
}

/// A port on loopback that nobody has at the moment.
async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}
