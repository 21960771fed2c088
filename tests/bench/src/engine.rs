//! The workflow engine against the floor: the real supervisor program on a real bus, with agents that answer at once.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_bus::{
    Bus, Options,
    domain::Settings,
    follow::{Event, Start},
};
use tetrarch_core::{
    id::{Name, RunId},
    priority::{Class, ClassLimits},
    workflow::{
        auto::AutoStep,
        definition::{
            AgentSelector, Definition, FailurePolicy, MapStep, Reduce, Retry, Stage, Step, StepKind, Task,
            UnknownPolicy,
        },
    },
};
use tetrarch_protocol::{
    VERSION,
    snapshot::{self, PoolSnapshot, RunRequest, SupervisorSnapshot, WorkflowSnapshot},
    stream,
    subject::{self, Subject},
};
use tetrarch_testkit::nats::NatsServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::process::Process;

/// A bus with one Domain and one supervisor process.
pub struct Engine {
    /// Access to the Domain's account.
    pub bus: Bus,
    /// The supervisor.
    pub process: Process,
    /// Its name.
    pub supervisor: Name,
    /// The one pool.
    pub pool: Name,
    /// Address of the bus.
    pub url: String,
}

/// Times of a run as an observer of the stream saw them.
pub struct Observed {
    /// From the request to the last task in its queue.
    pub last_task: Duration,
    /// Times between one result and the next, the first one from its task.
    pub steps: Vec<Duration>,
    /// From the start of a step that decomposes a text to its plan in the journal.
    pub planned: Option<Duration>,
    /// From the request to the end of the run.
    pub total: Duration,
}

impl Engine {
    /// Starts a supervisor on this bus, for a pool whose sidecars are somebody else's matter.
    pub async fn start(nats: &NatsServer) -> Result<Self> {
        let url = nats.url();
        let bus = tetrarch_bus::connect(&Options { url: url.clone(), name: "bench".to_owned(), ..Options::default() })
            .await?;
        bus.connected().await;
        bus.ensure_domain(&Settings::default()).await?;
        let (supervisor, pool) = (supervisor()?, pool()?);
        let configuration = SupervisorSnapshot {
            version: VERSION,
            pools: vec![PoolSnapshot {
                name: pool.clone(),
                capabilities: vec![("noop".parse()?, 50)],
                concurrency: 16,
                idempotent: true,
            }],
            classes: Class::ALL
                .into_iter()
                .map(|class| ClassLimits { class, max_concurrent: 1000, timeout: Duration::from_mins(15) })
                .collect(),
            telemetry: None,
        };
        bus.put(stream::CONFIG_BUCKET, &snapshot::supervisor_key(&supervisor), serde_json::to_vec(&configuration)?)
            .await?;
        let process = start_supervisor(&url, "127.0.0.1:0".parse()?)?;
        Ok(Self { bus, process, supervisor, pool, url })
    }

    /// Kills the supervisor and starts another; the time until that one has read the journal and is ready.
    pub async fn restart(&mut self) -> Result<Duration> {
        // Nobody else takes the port in this moment: it is free, and another one is given out to whoever asks for any.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // The one before keeps its part of the CPU until it is gone.
        self.process.end()?;
        let begin = Instant::now();
        self.process = start_supervisor(&self.url, address)?;
        while !is_ready(address).await {
            ensure!(begin.elapsed() < Duration::from_mins(5), "the supervisor is not ready again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(begin.elapsed())
    }

    /// Asks for one run of a definition and watches the stream until it ends.
    pub async fn run(&self, definition: Definition) -> Result<Observed> {
        let run: RunId = format!("{}-bench-1", definition.workflow).parse()?;
        let filters = subject::everything_of_run(&self.supervisor, &run).to_vec();
        let mut journal = self.bus.follow(stream::WORK, filters, Start::After(0));
        let key = snapshot::workflow_key(&self.supervisor, &definition.workflow);
        let wanted = WorkflowSnapshot {
            version: VERSION,
            definition,
            runs: vec![RunRequest {
                run: run.clone(),
                parameters: BTreeMap::new(),
                cause: "bench".to_owned(),
                stamp: None,
            }],
            cancel: Vec::new(),
            control: tetrarch_protocol::control::Control::default(),
            decisions: Vec::new(),
            limits: snapshot::WorkflowLimits::default(),
            schedule: None,
            triggers: Vec::new(),
            messages: Vec::new(),
            deleted: false,
        };
        let begin = Instant::now();
        self.bus.put(stream::CONFIG_BUCKET, &key, serde_json::to_vec(&wanted)?).await?;
        let (mut last_task, mut last_result) = (Duration::ZERO, None);
        let (mut started, mut planned) = (Duration::ZERO, None);
        let mut steps = Vec::new();
        let total = loop {
            let event = tokio::time::timeout(Duration::from_mins(2), journal.next())
                .await
                .with_context(|| format!("nothing more of {run}"))?;
            let Event::Message(message) = event else { continue };
            let at = begin.elapsed();
            match message.subject.parse()? {
                Subject::Task { .. } => {
                    last_result.get_or_insert(at);
                    last_task = at;
                }
                Subject::Result { .. } => {
                    steps.push(at.saturating_sub(last_result.replace(at).unwrap_or(at)));
                }
                Subject::Run { .. } => {
                    let body: Value = serde_json::from_slice(&message.payload)?;
                    match body["type"].as_str() {
                        Some("started") => started = at,
                        Some("planned") => planned = Some(at.saturating_sub(started)),
                        Some("finished") => {
                            ensure!(body["phase"] == "Succeeded", "{run}: {body}");
                            break at;
                        }
                        _ => {}
                    }
                }
                Subject::Try { .. } | Subject::Dead { .. } => {}
            }
        };
        Ok(Observed { last_task, steps, planned, total })
    }
}

fn start_supervisor(url: &str, http: SocketAddr) -> Result<Process> {
    let settings = [
        ("TETRARCH_BUS_URL", url.to_owned()),
        ("TETRARCH_DOMAIN", "bench".to_owned()),
        ("TETRARCH_SUPERVISOR", supervisor()?.to_string()),
        ("POD_NAME", "bench-0".to_owned()),
        ("TETRARCH_HTTP_ADDR", http.to_string()),
        ("TETRARCH_LOG", "warn".to_owned()),
    ];
    Process::start("tetrarch-supervisor", &["serve"], &settings)
}

/// Whether the probe of readiness is answered with 200.
async fn is_ready(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    ask.await.is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// Name of the one supervisor.
pub fn supervisor() -> Result<Name> {
    Ok("bench".parse()?)
}

/// Name of its one pool.
pub fn pool() -> Result<Name> {
    Ok("noop".parse()?)
}

fn task() -> Result<Task> {
    Ok(Task {
        agent: AgentSelector::Capability("noop".parse()?),
        input: json!({"payload": "x".repeat(400)}),
        timeout: Duration::from_mins(1),
        retry: Retry { limit: 3, initial: Duration::from_secs(1), factor: 2, max: Duration::from_secs(30) },
        hand_over: None,
    })
}

fn definition(workflow: &str, kind: StepKind) -> Result<Definition> {
    Ok(Definition {
        workflow: workflow.parse()?,
        generation: 1,
        class: Class::Normal,
        timeout: None,
        on_failure: FailurePolicy::Stop,
        on_unknown: UnknownPolicy::Fail,
        keep_runs_for: None,
        keep_outputs_for: None,
        parameters: BTreeMap::new(),
        steps: vec![Step {
            name: "only".parse()?,
            after: Vec::new(),
            when: None,
            timeout: None,
            kind,
            gate: None,
            compensate: None,
        }],
        output: Some(json!("done")),
        keep_runs: 3,
        weight: tetrarch_core::fairness::WEIGHT,
        max_concurrent_runs: None,
    })
}

/// A text that is taken apart.
pub fn auto(workflow: &str, step: AutoStep) -> Result<Definition> {
    definition(workflow, StepKind::Auto(Box::new(step)))
}

/// Stages that run one after the other.
pub fn pipeline(workflow: &str, stages: usize) -> Result<Definition> {
    let stages = (0..stages)
        .map(|number| Ok(Stage { name: format!("s{number}").parse()?, task: task()? }))
        .collect::<Result<Vec<_>>>()?;
    definition(workflow, StepKind::Pipeline(stages))
}

/// One task for each of many items, all at once.
pub fn map(workflow: &str, items: usize) -> Result<Definition> {
    windowed_map(workflow, items, u32::try_from(items)?)
}

/// One task for each of many items, so many at once.
pub fn windowed_map(workflow: &str, items: usize, max_parallel: u32) -> Result<Definition> {
    let step = MapStep {
        items: json!({"from": 1, "to": items}),
        items_from: None,
        nested: None,
        task: task()?,
        max_parallel,
        min_success_percent: 100,
        reduce: Reduce::Collect,
    };
    definition(workflow, StepKind::Map(Box::new(step)))
}
