//! A Domain's bus, replicas of one Supervisor, and agents that are played in this process.
#![allow(dead_code, reason = "each test binary uses its part of the world")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the steps of a test end it when they fail")]
#![expect(clippy::needless_pass_by_value, reason = "values are written in place with json!")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    AckKind,
    consumer::{Consumer, pull},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_bus::{
    Bus, State,
    domain::Settings,
    follow::{Event, Start},
    write::Written,
};
use tetrarch_core::{
    id::{Name, RunId, TaskPath},
    priority::{Class, ClassLimits},
    workflow::{
        definition::Definition,
        journal::{Entry, FinalPhase, Outcome, RunEvent},
    },
};
use tetrarch_protocol::{
    VERSION,
    blob::Payload,
    control::Control,
    load::Heartbeat,
    permission,
    snapshot::{
        self, PoolSnapshot, RunRequest, ScheduleSnapshot, StepDecision, SupervisorSnapshot, TelemetrySnapshot,
        WorkflowLimits, WorkflowSnapshot,
    },
    stream::{CONFIG_BUCKET, REPORT_BUCKET, WORK, task_consumer},
    subject::{self, Subject},
    summary::{self, RunSummary, SupervisorReport},
    task::{ResultEnvelope, ResultOutcome, TaskEnvelope},
};
use tetrarch_supervisor::{
    Handle, Options,
    journal::{self, Body, Record},
    leases::Timing,
};
use tetrarch_testkit::nats::NatsServer;
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_mins(1);

/// What an agent makes of a task.
pub type Behaviour = Arc<dyn Fn(&Subject, Value) -> ResultOutcome + Send + Sync>;

pub fn succeed(output: Value) -> ResultOutcome {
    ResultOutcome::Succeeded { output: Payload::Inline(output) }
}

pub fn hand_over(to: &str, input: Value, reason: Option<String>) -> ResultOutcome {
    ResultOutcome::HandedOver { to: name(to), input: Some(Payload::Inline(input)), reason }
}

pub fn fail(message: &str) -> ResultOutcome {
    let reason = tetrarch_core::workflow::journal::FailureReason::AgentError;
    ResultOutcome::Failed { reason, message: message.to_owned() }
}

/// An agent that makes a text larger than a message when it is told to, and measures any other text.
pub fn large() -> Behaviour {
    Arc::new(|_, input| match input.as_str() {
        Some("make") => succeed(Value::String("x".repeat(3 * 1024 * 1024))),
        Some(text) => succeed(json!(text.len())),
        None => fail("no text"),
    })
}

/// An agent that answers with its input.
pub fn echo() -> Behaviour {
    Arc::new(|_, input| succeed(input))
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn run_id(text: &str) -> RunId {
    text.parse().unwrap()
}

pub struct World {
    pub server: NatsServer,
    pub bus: Bus,
    pub supervisor: Name,
    pools: Vec<PoolSnapshot>,
    /// Takes effect with the next [`World::configure`].
    pub telemetry: Option<TelemetrySnapshot>,
}

impl World {
    /// A bus with one pool `worker` that can `work`.
    pub async fn start() -> Self {
        Self::start_with(&Settings::default()).await
    }

    pub async fn start_with(settings: &Settings) -> Self {
        // TETRARCH_LOG=debug shows what the replicas do.
        let filter = tracing_subscriber::EnvFilter::from_env("TETRARCH_LOG");
        tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init().ok();
        // The replicas may do what the operator permits them, and nothing else.
        let permissions = permission::supervisor(&name("sup"));
        let extra = format!(
            "authorization {{ users: [ {{user: admin, password: admin}}, \
             {{user: replica, password: replica, permissions: {{publish: {}, subscribe: {}}}}} ] }}",
            serde_json::to_string(&permissions.publish).unwrap(),
            serde_json::to_string(&permissions.subscribe).unwrap(),
        );
        let server =
            NatsServer::start_with(tetrarch_testkit::nats::Options { extra, ..Default::default() }).await.unwrap();
        let bus = connect(&server, "test").await;
        bus.ensure_domain(settings).await.unwrap();
        let mut world = Self { server, bus, supervisor: name("sup"), pools: Vec::new(), telemetry: None };
        world.configure(&["worker"], 10).await;
        world
    }

    /// Sets the pools, each with the capability `work`, and the places of each class.
    pub async fn configure(&mut self, pools: &[&str], places: u32) {
        self.pools = pools
            .iter()
            .map(|pool| PoolSnapshot {
                name: name(pool),
                capabilities: vec![(name("work"), 50)],
                concurrency: 4,
                idempotent: true,
            })
            .collect();
        let limit = |class| ClassLimits { class, max_concurrent: places, timeout: Duration::from_mins(2) };
        let snapshot = SupervisorSnapshot {
            version: VERSION,
            pools: self.pools.clone(),
            classes: Class::ALL.map(limit).to_vec(),
            telemetry: self.telemetry.clone(),
        };
        self.put(&snapshot::supervisor_key(&self.supervisor), &snapshot).await;
    }

    async fn put(&self, key: &str, value: &impl serde::Serialize) {
        self.bus.put(CONFIG_BUCKET, key, serde_json::to_vec(value).unwrap()).await.unwrap();
    }

    pub async fn want(&self, definition: &Definition, runs: &[&str]) {
        self.want_with(definition, runs, &[], false).await;
    }

    pub async fn want_with(&self, definition: &Definition, runs: &[&str], cancel: &[&str], deleted: bool) {
        self.want_as(WorkflowSnapshot { deleted, ..wanted(definition, runs, cancel) }).await;
    }

    pub async fn want_under(&self, definition: &Definition, runs: &[&str], control: Control) {
        self.want_as(WorkflowSnapshot { control, ..wanted(definition, runs, &[]) }).await;
    }

    pub async fn want_decided(&self, definition: &Definition, runs: &[&str], decisions: Vec<StepDecision>) {
        self.want_as(WorkflowSnapshot { decisions, ..wanted(definition, runs, &[]) }).await;
    }

    pub async fn want_within(&self, definition: &Definition, runs: &[&str], limits: WorkflowLimits) {
        self.want_as(WorkflowSnapshot { limits, ..wanted(definition, runs, &[]) }).await;
    }

    pub async fn want_scheduled(&self, definition: &Definition, runs: &[&str], schedule: ScheduleSnapshot) {
        self.want_as(WorkflowSnapshot { schedule: Some(schedule), ..wanted(definition, runs, &[]) }).await;
    }

    pub async fn want_as(&self, snapshot: WorkflowSnapshot) {
        self.put(&snapshot::workflow_key(&self.supervisor, &snapshot.definition.workflow), &snapshot).await;
    }

    /// Where replicas find the bus.
    pub fn replica_url(&self) -> String {
        login(&self.server, "replica")
    }

    pub fn options(&self, replica: &str) -> Options {
        let bus = tetrarch_bus::Options { url: self.replica_url(), name: replica.to_owned(), ..Default::default() };
        Options {
            leases: Timing { renew: Duration::from_millis(200), expiry: Duration::from_secs(1) },
            report_every: Duration::from_millis(50),
            ..Options::new(bus, self.supervisor.clone(), replica)
        }
    }

    pub async fn replica(&self, replica: &str) -> Handle {
        tetrarch_supervisor::start(self.options(replica)).await.unwrap()
    }

    /// An agent of a pool with its sidecar.
    pub async fn agent(&self, pool: &str, behaviour: Behaviour) -> Agent {
        let bus = connect(&self.server, "agent").await;
        let calls = Arc::new(AtomicU64::new(0));
        let beating = tokio::spawn(beat(bus.clone(), self.supervisor.clone(), name(pool)));
        let mut tasks = vec![beating];
        for class in Class::ALL {
            let session = Session {
                bus: bus.clone(),
                supervisor: self.supervisor.clone(),
                consumer: task_consumer(&self.supervisor, &name(pool), class),
                behaviour: behaviour.clone(),
                calls: calls.clone(),
            };
            tasks.push(tokio::spawn(session.work()));
        }
        Agent { tasks, calls }
    }

    pub async fn summary(&self, workflow: &str) -> Option<RunSummary> {
        let key = summary::workflow_key(&self.supervisor, &name(workflow));
        let entry = self.bus.get(REPORT_BUCKET, &key).await.ok()??;
        Some(serde_json::from_slice(&entry.value).unwrap())
    }

    pub async fn load(&self) -> Option<SupervisorReport> {
        let entry = self.bus.get(REPORT_BUCKET, &summary::supervisor_key(&self.supervisor)).await.ok()??;
        Some(serde_json::from_slice(&entry.value).unwrap())
    }

    /// Waits until the summary of a Workflow is as expected.
    pub async fn await_summary(&self, workflow: &str, expected: impl Fn(&RunSummary) -> bool) -> RunSummary {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let summary = self.summary(workflow).await;
            match summary {
                Some(summary) if expected(&summary) => return summary,
                summary if tokio::time::Instant::now() > deadline => panic!("{workflow} is still {summary:#?}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub async fn await_end(&self, workflow: &str, run: &str) -> RunSummary {
        self.await_summary(workflow, |summary| summary.run.as_str() == run && summary.phase.is_final()).await
    }

    pub async fn await_runs_to_end(&self, runs: &[&str]) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for run in runs {
            while self.end(run).await.is_none() {
                assert!(tokio::time::Instant::now() < deadline, "{run} never ends");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Times in milliseconds that the tasks of a run were given, in the order in which they were written.
    pub async fn task_timeouts(&self, run: &str) -> Vec<u64> {
        let filter = format!("task.{}.*.*.{run}.>", self.supervisor);
        let count = self.count(&filter).await;
        let mut written = self.bus.follow(WORK, vec![filter], Start::After(0));
        let mut timeouts = Vec::new();
        while timeouts.len() < count {
            if let Event::Message(message) = written.next().await {
                let envelope: TaskEnvelope = serde_json::from_slice(&message.payload).unwrap();
                timeouts.push(envelope.timeout_ms);
            }
        }
        timeouts
    }

    /// The folded part of a run's journal.
    pub async fn journal(&self, run: &str) -> Vec<Record> {
        let filters = subject::everything_of_run(&self.supervisor, &run_id(run));
        let folded = filters.into_iter().filter(|filter| !filter.starts_with("try") && !filter.starts_with("dead"));
        tokio::time::timeout(PATIENCE, journal::read(&self.bus, folded.collect())).await.unwrap()
    }

    /// Messages in the stream under a filter.
    pub async fn count(&self, filter: &str) -> usize {
        let stream = self.bus.jetstream().get_stream(WORK).await.unwrap();
        let mut subjects = stream.info_with_subjects(filter).await.unwrap();
        let mut count = 0;
        while let Some(subject) = subjects.next().await {
            count += subject.unwrap().1;
        }
        count
    }

    /// What holds of every run whatever happened: one end, and one accepted success for each task that was dispatched.
    pub async fn assert_once(&self, run: &str) {
        let journal = self.journal(run).await;
        let ends =
            journal.iter().filter(|record| matches!(record.body, Body::Entry(Entry::Run(RunEvent::Finished { .. }))));
        assert_eq!(ends.count(), 1, "ends of {run}");
        let starts =
            journal.iter().filter(|record| matches!(record.body, Body::Entry(Entry::Run(RunEvent::Started { .. }))));
        assert_eq!(starts.count(), 1, "starts of {run}");
        let mut dispatched = BTreeSet::new();
        let mut succeeded: BTreeMap<_, u32> = BTreeMap::new();
        for record in &journal {
            match &record.body {
                Body::Entry(Entry::Dispatched { path, .. }) => {
                    dispatched.insert(path.clone());
                }
                Body::Entry(Entry::Run(RunEvent::ChildStarted { step, .. })) => {
                    dispatched.insert(TaskPath::of_step(step));
                }
                Body::Entry(Entry::Result { path, outcome: Outcome::Succeeded { .. }, .. }) => {
                    *succeeded.entry(path.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        assert_eq!(dispatched.iter().collect::<Vec<_>>(), succeeded.keys().collect::<Vec<_>>(), "tasks of {run}");
        assert!(succeeded.values().all(|count| *count == 1), "{succeeded:?}");
    }

    /// How the journal says that the run ended.
    pub async fn end(&self, run: &str) -> Option<FinalPhase> {
        self.journal(run).await.iter().find_map(|record| match &record.body {
            Body::Entry(Entry::Run(RunEvent::Finished { phase, .. })) => Some(*phase),
            _ => None,
        })
    }
}

pub fn wanted(definition: &Definition, runs: &[&str], cancel: &[&str]) -> WorkflowSnapshot {
    let cause = || "test".to_owned();
    let request = |run: &&str| RunRequest { run: run_id(run), parameters: [].into(), cause: cause(), stamp: None };
    WorkflowSnapshot {
        version: VERSION,
        definition: definition.clone(),
        runs: runs.iter().map(request).collect(),
        cancel: cancel.iter().map(|run| run_id(run)).collect(),
        control: Control::default(),
        decisions: Vec::new(),
        limits: WorkflowLimits::default(),
        schedule: None,
        triggers: Vec::new(),
        messages: Vec::new(),
        deleted: false,
    }
}

fn login(server: &NatsServer, user: &str) -> String {
    server.url().replace("nats://", &format!("nats://{user}:{user}@"))
}

pub async fn connect(server: &NatsServer, client: &str) -> Bus {
    let options = tetrarch_bus::Options { url: login(server, "admin"), name: client.to_owned(), ..Default::default() };
    let bus = tetrarch_bus::connect(&options).await.unwrap();
    bus.connected().await;
    bus
}

/// A running agent; ends when dropped.
pub struct Agent {
    tasks: Vec<JoinHandle<()>>,
    calls: Arc<AtomicU64>,
}

impl Agent {
    /// Tasks it worked on.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn beat(bus: Bus, supervisor: Name, pool: Name) {
    let agent = format!("{pool}-0");
    let heartbeat =
        Heartbeat { version: VERSION, agent: agent.clone(), slots: 4, healthy: true, ..Heartbeat::default() };
    loop {
        let payload = serde_json::to_vec(&heartbeat).unwrap();
        bus.client().publish(subject::load(&supervisor, &pool, &agent), payload.into()).await.ok();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

struct Session {
    bus: Bus,
    supervisor: Name,
    consumer: String,
    behaviour: Behaviour,
    calls: Arc<AtomicU64>,
}

impl Session {
    async fn work(self) {
        let mut state = self.bus.state();
        loop {
            self.bus.connected().await;
            state.borrow_and_update();
            let Ok(consumer) =
                self.bus.jetstream().get_consumer_from_stream::<pull::Config, _, _>(&self.consumer, WORK).await
            else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            while !state.has_changed().unwrap() {
                self.pull(&consumer, &mut state).await;
            }
        }
    }

    /// Works on what is there; what was taken is worked on also when the connection is lost.
    async fn pull(&self, consumer: &Consumer<pull::Config>, state: &mut tokio::sync::watch::Receiver<State>) {
        let Ok(mut messages) = consumer.batch().max_messages(10).expires(Duration::from_secs(1)).messages().await
        else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return;
        };
        loop {
            tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(Ok(message)) => self.handle(message).await,
                    _ => return,
                },
                _ = state.changed() => {
                    state.mark_changed();
                    return;
                }
            }
        }
    }

    async fn handle(&self, message: async_nats::jetstream::Message) {
        let subject: Subject = message.subject.parse().unwrap();
        let Subject::Task { pool, task, .. } = subject.clone() else { panic!("{subject}") };
        let envelope: TaskEnvelope = serde_json::from_slice(&message.payload).unwrap();
        let input = self.bus.load_payload(envelope.input).await.unwrap();
        let started_at = Timestamp::now();
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut outcome = (self.behaviour)(&subject, input);
        if let ResultOutcome::Succeeded { output: value } | ResultOutcome::HandedOver { input: Some(value), .. } =
            &mut outcome
            && let Payload::Inline(inline) = value
        {
            let place = format!("{}/{}/{}/out", task.run, task.path, task.attempt);
            *value = self.bus.store_payload(&place, inline.take()).await.unwrap();
        }
        let result = ResultEnvelope {
            version: VERSION,
            agent: "agent-0".to_owned(),
            deliveries: 1,
            started_at,
            finished_at: Timestamp::now(),
            outcome,
        };
        let subject = Subject::Result { supervisor: self.supervisor.clone(), pool, task }.to_string();
        let payload = serde_json::to_vec(&result).unwrap();
        loop {
            match self.bus.publish_new(&subject, payload.clone()).await {
                Ok(Written::Fresh(_) | Written::Exists) => break,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        message.ack_with(AckKind::Ack).await.ok();
    }
}

/// A definition with these steps.
pub fn workflow(name: &str, steps: Value) -> Definition {
    workflow_with(name, steps, json!({}))
}

/// A definition with these steps and other settings.
pub fn workflow_with(name: &str, steps: Value, other: Value) -> Definition {
    let mut definition = json!({
        "workflow": name, "generation": 1, "class": "normal", "onFailure": "Stop", "parameters": {}, "keepRuns": 3,
        "steps": steps,
    });
    for (key, value) in other.as_object().unwrap() {
        definition[key] = value.clone();
    }
    serde_json::from_value(definition).unwrap()
}

/// A task for the pool `worker`.
pub fn task(input: Value) -> Value {
    task_for(json!({"pool": "worker"}), input)
}

pub fn task_for(agent: Value, input: Value) -> Value {
    json!({
        "agent": agent, "input": input, "timeout": 30_000,
        "retry": {"limit": 2, "initial": 20, "factor": 2, "max": 100},
    })
}

/// A step of one task.
pub fn step(name: &str, after: &[&str], input: Value) -> Value {
    json!({"name": name, "after": after, "kind": {"task": task(input)}})
}

/// A map over so many items that collects what the agent answers.
pub fn map(name: &str, items: usize, max_parallel: usize) -> Value {
    let items: Vec<usize> = (0..items).collect();
    json!({"name": name, "after": [], "kind": {"map": {
        "items": items, "task": task(json!("${item}")), "maxParallel": max_parallel, "minSuccessPercent": 100, "reduce": "collect",
    }}})
}
