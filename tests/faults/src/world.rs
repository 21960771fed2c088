//! A bus with the programs of one Supervisor and two pools around it, and the runs that are wanted of them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tetrarch_bus::{
    Bus,
    domain::Settings,
    follow::{Event, Start},
};
use tetrarch_core::{
    id::Name,
    priority::{Class, ClassLimits},
};
use tetrarch_protocol::{
    snapshot,
    stream::{CONFIG_BUCKET, WORK},
    subject::Subject,
};
use tetrarch_supervisor::journal::readable;
use tetrarch_testkit::nats::{NatsServer, Options};

use crate::{
    ledger::Ledger,
    load::{AGAIN, ONCE, Wanted},
    process::Process,
};

/// Longest time in which no run gets on once nothing breaks any more. Tasks of dead sidecars come back after 30 s.
const PATIENCE: Duration = Duration::from_mins(2);

/// Tasks that an agent works on at once.
const SLOTS: u32 = 6;

/// Everything that runs.
pub struct World {
    /// The bus.
    pub server: NatsServer,
    /// The connection of an administrator.
    pub bus: Bus,
    /// The Supervisor.
    pub supervisor: Name,
    /// Its replicas, then the sidecars.
    pub processes: Vec<Process>,
    /// What the agents did.
    pub ledger: Ledger,
    /// What was asked for.
    pub wanted: Vec<Wanted>,
    agent: String,
    logs: TempDir,
}

impl World {
    /// A bus that is set up for one Supervisor, without any program yet.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let server = NatsServer::start_with(options).await?;
        let bus = tetrarch_bus::Options { url: server.url(), name: "faults".to_owned(), ..Default::default() };
        let bus = tetrarch_bus::connect(&bus).await?;
        let ledger = Ledger::default();
        let agent = ledger.serve().await?;
        let (processes, wanted) = (Vec::new(), Vec::new());
        let logs = tempfile::Builder::new().prefix("tetrarch-faults-").tempdir()?;
        let world = Self { server, bus, supervisor: "sup".parse()?, processes, ledger, wanted, agent, logs };
        world.configure().await?;
        Ok(world)
    }

    /// Does what the operator does for a Domain: its streams, and what is wanted of its Supervisor.
    pub async fn configure(&self) -> anyhow::Result<()> {
        self.bus.connected().await;
        self.bus.ensure_domain(&Settings::default()).await?;
        let pool =
            |name: &str| json!({"name": name, "capabilities": [], "concurrency": SLOTS, "idempotent": name == AGAIN});
        let limits = |class| ClassLimits { class, max_concurrent: 10_000, timeout: Duration::from_mins(30) };
        let supervisor = json!({"version": 1, "pools": [pool(AGAIN), pool(ONCE)], "classes": Class::ALL.map(limits)});
        self.put(&snapshot::supervisor_key(&self.supervisor), &supervisor).await;
        for wanted in &self.wanted {
            self.publish(wanted).await?;
        }
        Ok(())
    }

    async fn publish(&self, wanted: &Wanted) -> anyhow::Result<()> {
        self.put(&snapshot::workflow_key(&self.supervisor, &wanted.name.parse()?), &wanted.snapshot()).await;
        Ok(())
    }

    /// Writes until the bus has confirmed it.
    async fn put(&self, key: &str, value: &Value) {
        loop {
            self.bus.connected().await;
            if self.bus.put(CONFIG_BUCKET, key, value.to_string()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks for runs.
    pub async fn want(&mut self, runs: Vec<Wanted>) -> anyhow::Result<()> {
        for wanted in runs {
            self.publish(&wanted).await?;
            self.wanted.push(wanted);
        }
        Ok(())
    }

    /// Starts two supervisors of these programs.
    pub fn start_supervisors(&mut self, programs: &Path) -> anyhow::Result<()> {
        let environment =
            || vec![("TETRARCH_BUS_URL", self.server.url()), ("TETRARCH_SUPERVISOR", self.supervisor.to_string())];
        for replica in ["supervisor-0", "supervisor-1"] {
            let binary = programs.join("tetrarch-supervisor");
            let mut process = Process::new(binary, replica, vec!["serve"], environment(), self.logs.path());
            process.start()?;
            self.processes.push(process);
        }
        Ok(())
    }

    /// Starts two sidecars for each pool.
    pub fn start_sidecars(&mut self, binary: &Path) -> anyhow::Result<()> {
        for (pool, pod) in [(AGAIN, "again-0"), (AGAIN, "again-1"), (ONCE, "once-0"), (ONCE, "once-1")] {
            let environment = vec![
                ("TETRARCH_BUS_URL", self.server.url()),
                ("TETRARCH_SUPERVISOR", self.supervisor.to_string()),
                ("TETRARCH_POOL", pool.to_owned()),
                ("TETRARCH_SLOTS", SLOTS.to_string()),
                ("TETRARCH_AGENT_URL", format!("{}/tasks", self.agent)),
                ("TETRARCH_AGENT_HEALTH_URL", format!("{}/health", self.agent)),
            ];
            let mut process = Process::new(binary.to_owned(), pod, vec![], environment, self.logs.path());
            process.start()?;
            self.processes.push(process);
        }
        Ok(())
    }

    /// Kills the bus with SIGKILL and starts it again.
    pub async fn restart_bus(&mut self) -> anyhow::Result<()> {
        self.server.restart().await?;
        self.bus.connected().await;
        Ok(())
    }

    /// Waits until every wanted run has ended, or nothing happens any more; the runs that have not ended.
    pub async fn await_ends(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut open: BTreeSet<String> = self.wanted.iter().map(Wanted::run).collect();
        let mut follow = self.bus.follow(WORK, vec![format!("run.{}.>", self.supervisor)], Start::After(0));
        while !open.is_empty() {
            let Ok(event) = tokio::time::timeout(PATIENCE, follow.next()).await else { break };
            if let Event::Message(message) = event
                && readable(&message)["type"] == "finished"
                && let Ok(Subject::Run { run, .. }) = message.subject.parse()
            {
                open.remove(run.as_str());
            }
        }
        Ok(open)
    }

    /// Whether a program has logged this.
    pub fn has_said(&self, text: &str) -> anyhow::Result<bool> {
        for log in std::fs::read_dir(self.logs.path())? {
            if std::fs::read_to_string(log?.path())?.contains(text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the logs of the programs for whoever looks for the reason; where they are.
    pub fn keep_logs(mut self) -> PathBuf {
        self.processes.clear();
        self.logs.keep()
    }
}

/// The program, which must be there.
pub fn program(directory: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    ensure!(path.is_file(), "there is no {}: build it, or use tests/faults.sh", path.display());
    path.canonicalize().context("no such program")
}
