//! A bus with one pool, a scripted agent, and sidecars that can be started, stopped and crashed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{consumer::pull, stream::Stream};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_agent_sidecar::{
    metrics::Metrics,
    service::{Handle, Options, Service},
};
use tetrarch_bus::{Bus, domain::Settings};
use tetrarch_core::{
    id::{Name, TaskId},
    priority::Class,
};
use tetrarch_protocol::{
    VERSION,
    agent::Request,
    blob::Payload,
    permission::{agent, agent_inbox},
    stream::{MAX_WAITING, WORK, task_consumer},
    subject::{Subject, tasks_of_pool},
    task::{ResultEnvelope, ResultOutcome, TaskEnvelope},
};
use tetrarch_testkit::nats::{self, NatsServer};
use tokio::{net::TcpListener, task::JoinHandle};

/// Longest time until something expected happens.
const PATIENCE: Duration = Duration::from_mins(1);

pub fn supervisor() -> Name {
    "licences".parse().unwrap()
}

pub fn pool() -> Name {
    "classifier".parse().unwrap()
}

pub fn task(number: usize) -> TaskId {
    format!("audit-1/classify:{number}/1").parse().unwrap()
}

/// A bus whose only agent credentials are those of the pool.
pub struct Department {
    pub server: NatsServer,
    pub admin: Bus,
    pub ack_wait: Duration,
}

impl Department {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Duration::from_secs(30)).await
    }

    pub async fn start_with(ack_wait: Duration) -> anyhow::Result<Self> {
        let department = Self::without_consumers(ack_wait).await?;
        department.create_consumers().await?;
        Ok(department)
    }

    pub async fn without_consumers(ack_wait: Duration) -> anyhow::Result<Self> {
        let permissions = agent(&supervisor(), &pool());
        let extra = format!(
            "authorization {{ users: [ {{user: admin, password: admin}}, {{user: agent, password: agent, permissions: {{publish: {}, subscribe: {}}}}} ] }}",
            serde_json::to_string(&permissions.publish)?,
            serde_json::to_string(&permissions.subscribe)?,
        );
        let server = NatsServer::start_with(nats::Options { extra, ..nats::Options::default() }).await?;
        let url = server.url().replace("nats://", "nats://admin:admin@");
        let admin = tetrarch_bus::connect(&tetrarch_bus::Options { url, ..Default::default() }).await?;
        admin.connected().await;
        admin.ensure_domain(&Settings::default()).await?;
        Ok(Self { server, admin, ack_wait })
    }

    pub async fn create_consumers(&self) -> anyhow::Result<()> {
        for class in Class::ALL {
            let name = task_consumer(&supervisor(), &pool(), class);
            let config = pull::Config {
                durable_name: Some(name.clone()),
                ack_wait: self.ack_wait,
                max_ack_pending: 100_000,
                max_waiting: MAX_WAITING,
                filter_subject: tasks_of_pool(&supervisor(), &pool(), class),
                ..pull::Config::default()
            };
            self.stream().await?.create_consumer(config).await?;
        }
        Ok(())
    }

    pub async fn stream(&self) -> anyhow::Result<Stream> {
        Ok(self.admin.jetstream().get_stream(WORK).await?)
    }

    /// Starts a sidecar that waits until its agent is well.
    pub async fn sidecar(&self, agent: &Agent, pod: &str, slots: u32) -> anyhow::Result<Sidecar> {
        self.sidecar_with(agent, pod, slots, Duration::from_secs(30)).await
    }

    pub async fn sidecar_with(&self, agent: &Agent, pod: &str, slots: u32, drain: Duration) -> anyhow::Result<Sidecar> {
        let options = Options {
            supervisor: supervisor(),
            pool: pool(),
            agent: pod.to_owned(),
            slots,
            agent_url: format!("{}/tasks", agent.url),
            health_url: format!("{}/health", agent.url),
            drain_timeout: drain,
            max_response: 4 * 1024 * 1024,
            ack_wait: self.ack_wait,
        };
        let bus = tetrarch_bus::connect(&tetrarch_bus::Options {
            url: self.server.url().replace("nats://", "nats://agent:agent@"),
            inbox_prefix: Some(agent_inbox(&supervisor(), &pool())),
            ..Default::default()
        })
        .await?;
        let metrics = Metrics::new()?;
        let (service, handle) = Service::new(options, bus, metrics.clone()).await?;
        let running = tokio::spawn(async move { service.run().await.map_err(anyhow::Error::from) });
        Ok(Sidecar { handle, metrics, running })
    }

    pub async fn dispatch(&self, class: Class, task: &TaskId, envelope: &TaskEnvelope) -> anyhow::Result<()> {
        let subject = Subject::Task { supervisor: supervisor(), pool: pool(), class, task: task.clone() };
        self.admin.publish_new(subject.to_string(), serde_json::to_vec(envelope)?).await?;
        Ok(())
    }

    /// The result of a task, once it is there.
    pub async fn result(&self, task: &TaskId) -> anyhow::Result<ResultEnvelope> {
        let subject = Subject::Result { supervisor: supervisor(), pool: pool(), task: task.clone() }.to_string();
        let found = until(|| async {
            let stream = self.stream().await.ok()?;
            stream.direct_get_last_for_subject(subject.as_str()).await.ok()
        });
        let message = found.await.with_context(|| format!("no result for {task}"))?;
        Ok(serde_json::from_slice(&message.payload)?)
    }

    pub async fn outcome(&self, task: &TaskId) -> anyhow::Result<ResultOutcome> {
        Ok(self.result(task).await?.outcome)
    }

    /// How many messages each subject of a filter holds.
    pub async fn count(&self, filter: &str) -> anyhow::Result<BTreeMap<String, usize>> {
        use futures::TryStreamExt as _;
        let subjects = self.stream().await?.info_with_subjects(filter).await?;
        Ok(subjects.try_collect().await?)
    }

    /// Waits until the queues are empty and nothing waits for an acknowledgement.
    pub async fn settled(&self) -> anyhow::Result<()> {
        let settled = until(|| async {
            let stream = self.stream().await.ok()?;
            for class in Class::ALL {
                let info = stream.consumer_info(task_consumer(&supervisor(), &pool(), class)).await.ok()?;
                (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())?;
            }
            Some(())
        });
        settled.await.context("some task was never acknowledged")
    }
}

/// Tries until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(mut attempt: impl FnMut() -> F) -> anyhow::Result<T> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt().await {
            return Ok(value);
        }
        ensure!(tokio::time::Instant::now() < end, "it did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A task whose agent does what `input` says, see [`work`].
pub fn envelope(input: Value, idempotent: bool) -> TaskEnvelope {
    TaskEnvelope {
        version: VERSION,
        workflow: "audit".to_owned(),
        input: Payload::Inline(input),
        timeout_ms: 20_000,
        deadline: Timestamp::now() + Duration::from_mins(10),
        idempotent,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    }
}

/// A running sidecar.
pub struct Sidecar {
    pub handle: Handle,
    pub metrics: Metrics,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Sidecar {
    /// Ends it without a drain, as SIGKILL would.
    pub async fn crash(self) {
        self.running.abort();
        self.running.await.ok();
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop();
        self.running.await?
    }
}

/// What an agent was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub request: Request,
    pub headers: HeaderMap,
}

#[derive(Clone, Default)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    running: Arc<Mutex<(usize, usize)>>,
}

/// An agent that does what the input of its task says.
pub struct Agent {
    pub url: String,
    shared: Shared,
    server: JoinHandle<()>,
}

impl Agent {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Shared::default();
        let router = Router::new()
            .route("/tasks", post(take))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .route("/health", get(async || "well"))
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { url, shared, server })
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub fn calls(&self, task: &TaskId) -> usize {
        self.asked().iter().filter(|asked| asked.request.task_id == task.to_string()).count()
    }

    /// Most tasks at once so far.
    pub fn peak(&self) -> usize {
        self.shared.running.lock().unwrap().1
    }

    /// Waits until a task was handed over this often.
    pub async fn called(&self, task: &TaskId, times: usize) -> anyhow::Result<()> {
        until(|| async { (self.calls(task) >= times).then_some(()) }).await.context("the agent was not called")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, Json(request): Json<Request>) -> Response {
    struct Running(Shared);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.running.lock().unwrap().0 -= 1;
        }
    }
    {
        let mut running = shared.running.lock().unwrap();
        running.0 += 1;
        running.1 = running.1.max(running.0);
    }
    let _running = Running(shared.clone());
    let before = {
        let mut asked = shared.asked.lock().unwrap();
        let before = asked.iter().filter(|asked| asked.request.task_id == request.task_id).count();
        asked.push(Asked { request: request.clone(), headers });
        before as u64
    };
    let input = request.input;
    if let Some(ms) = input["sleep"].as_u64() {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if before < input["busy"].as_u64().unwrap_or(0) {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    match input["do"].as_str() {
        Some("garbage") => "<html>oops".into_response(),
        Some("500") => (StatusCode::INTERNAL_SERVER_ERROR, "out of tokens").into_response(),
        Some("422") => (StatusCode::UNPROCESSABLE_ENTITY, "no such licence").into_response(),
        Some("error") => Json(json!({"error": {"message": "model refused", "retryable": false}})).into_response(),
        Some("crash") => panic!("the agent crashes on purpose"),
        Some("large") => {
            let size = usize::try_from(input["size"].as_u64().unwrap_or(0)).unwrap();
            Json(json!({"output": "x".repeat(size)})).into_response()
        }
        _ => Json(json!({"output": {"echo": input}})).into_response(),
    }
}
