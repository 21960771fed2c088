//! The driver of our side: simulated sidecars, and a client that requests runs and watches the journal for their ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tetrarch_bus::{
    Bus, Options,
    follow::{Event, Start},
};
use tetrarch_core::{
    id::{Name, RunId},
    workflow::journal::FailureReason,
};
use tetrarch_protocol::{
    VERSION,
    blob::Payload,
    control::Control,
    snapshot::{self, RunRequest, WorkflowSnapshot},
    stream,
    subject::Subject,
    task::ResultOutcome,
};
use tokio::sync::oneshot;

use super::{
    definition::definition,
    driver,
    shape::{Asked, Shape},
    spans::Spans,
};
use crate::{
    engine,
    simulated::{self, Pool},
};

/// As many tasks at once as the rivals' workers take.
const SIDECARS: usize = 4;
const SLOTS: usize = 256;

/// Who waits for the end of which run.
type Waiting = Arc<Mutex<HashMap<RunId, oneshot::Sender<Entry>>>>;

/// What is read of an entry of the journal.
#[derive(Deserialize)]
struct Entry {
    r#type: String,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// What is read of a step's input.
#[derive(Deserialize)]
struct Input {
    millis: u64,
    fails: bool,
}

/// Works and measures until its input ends.
pub async fn drive() -> Result<()> {
    let options = Options { url: driver::bus()?, name: "driver".to_owned(), ..Options::default() };
    let bus = tetrarch_bus::connect(&options).await?;
    bus.connected().await;
    let (supervisor, pool) = (engine::supervisor()?, engine::pool()?);
    let spans = Arc::new(Spans::default());
    let pool = Pool { supervisor: supervisor.clone(), name: pool, sidecars: SIDECARS, slots: SLOTS };
    let working = spans.clone();
    let agent: simulated::Agent = Arc::new(move |task, input| {
        let spans = working.clone();
        Box::pin(async move {
            let Payload::Inline(value) = input else { return rejected("the input is not in the message") };
            let Ok(input) = Input::deserialize(&value) else { return rejected("the input is not ours") };
            // A run is called after its workflow, which the driver named.
            spans.work(task.run.as_str().trim_end_matches(RUN), input.millis).await;
            if input.fails { rejected("as asked") } else { ResultOutcome::Succeeded { output: Payload::Inline(value) } }
        })
    });
    let _agents = simulated::run_with(&bus, &pool, &agent).await?;
    let waiting = Waiting::default();
    tokio::spawn(watch(bus.clone(), supervisor.clone(), waiting.clone()));
    driver::drive(&spans, |asked, name| run(bus.clone(), supervisor.clone(), waiting.clone(), asked, name)).await
}

/// What the name of a run has behind that of its workflow.
const RUN: &str = "-bench-1";

fn rejected(message: &str) -> ResultOutcome {
    ResultOutcome::Failed { reason: FailureReason::Rejected, message: message.to_owned() }
}

/// Requests a run and waits for its end.
async fn run(bus: Bus, supervisor: Name, waiting: Waiting, asked: Asked, name: String) -> Result<()> {
    let definition = definition(&name, asked.shape, asked.width, asked.millis)?;
    let key = snapshot::workflow_key(&supervisor, &definition.workflow);
    let run: RunId = format!("{name}{RUN}").parse()?;
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
        schedule: None,
        triggers: Vec::new(),
        messages: Vec::new(),
        decisions: Vec::new(),
        control: Control::default(),
        limits: snapshot::WorkflowLimits::default(),
        deleted: false,
    };
    let (ended, end) = oneshot::channel();
    waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone(), ended);
    bus.put(stream::CONFIG_BUCKET, &key, serde_json::to_vec(&wanted)?).await?;
    let end = end.await.context("the journal ended")?;
    let expected = if asked.shape == Shape::Saga { "Compensated" } else { "Succeeded" };
    ensure!(
        end.phase.as_deref() == Some(expected),
        "{run} ended as {}: {}",
        end.phase.unwrap_or_default(),
        end.message.unwrap_or_default()
    );
    Ok(())
}

/// Tells those who wait for the end of a run.
async fn watch(bus: Bus, supervisor: Name, waiting: Waiting) {
    let mut journal = bus.follow(stream::WORK, vec![format!("run.{supervisor}.*")], Start::After(0));
    loop {
        let Event::Message(message) = journal.next().await else { continue };
        let Ok(Subject::Run { run, .. }) = message.subject.parse() else { continue };
        let Ok(entry) = serde_json::from_slice::<Entry>(&message.payload) else { continue };
        if entry.r#type != "finished" {
            continue;
        }
        let ended = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        if let Some(ended) = ended {
            // Nobody waits any more only when the driver ends.
            let _ = ended.send(entry);
        }
    }
}
