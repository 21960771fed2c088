//! The driver between a journal and writers that a test plays.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use tetrarch_bus::write::{self, Written};
use tetrarch_core::{
    id::{Name, RunId},
    priority::{Class, ClassLimits},
    workflow::journal::{Entry, RunEvent},
};
use tetrarch_protocol::{
    VERSION,
    snapshot::{SupervisorSnapshot, WorkflowSnapshot},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Driver, Inputs, Outputs};
use crate::{
    config,
    hooks::secrets::Unready,
    http::Progress,
    journal::{self, Body, Record},
    leases::{Held, PARTITIONS},
    metrics::Metrics,
    writer::{Done, Failure, Key, Request},
};

const SOON: Duration = Duration::from_secs(10);

/// What surrounds a driver that holds all partitions.
struct Surroundings {
    journal: mpsc::Sender<journal::Event>,
    config: mpsc::Sender<config::Event>,
    done: mpsc::UnboundedSender<Done>,
    requests: mpsc::Receiver<Vec<Request>>,
    _driver: tokio::task::JoinHandle<()>,
    /// Ends of channels that only have to be there.
    _open: Box<dyn std::any::Any + Send>,
}

impl Surroundings {
    fn new() -> Self {
        let (journal, journal_rx) = mpsc::channel(16);
        let (config, config_rx) = mpsc::channel(16);
        let (done, done_rx) = mpsc::unbounded_channel();
        let (requests_tx, requests) = mpsc::channel(16);
        let (jobs, jobs_rx) = mpsc::channel(16);
        let (reports, reports_rx) = mpsc::channel(1024);
        let (spans, spans_rx) = mpsc::channel(16);
        let (beats, beats_rx) = mpsc::channel(1);
        let (held, held_rx) = watch::channel(Held::new());
        let (removed, removed_rx) = mpsc::unbounded_channel();
        let (unready, unready_rx) = watch::channel(Unready::new());
        let (overtaken, overtaken_rx) = mpsc::unbounded_channel();
        held.send_replace((0..PARTITIONS).collect());
        let inputs = Inputs {
            journal: journal_rx,
            config: config_rx,
            beats: beats_rx,
            held: held_rx,
            done: done_rx,
            removed: removed_rx,
            unready: unready_rx,
            overtaken: overtaken_rx,
        };
        let outputs = Outputs {
            requests: requests_tx,
            jobs,
            reports,
            wanted: watch::channel(None).0,
            open: watch::channel(None).0,
            waiting: watch::channel(BTreeMap::new()).0,
            spans,
            metrics: Metrics::new().unwrap(),
            progress: Arc::new(Progress::default()),
        };
        let driver = Driver::new(name("sup"), outputs);
        Self {
            journal,
            config,
            done,
            requests,
            _driver: tokio::spawn(driver.run(inputs, Duration::from_millis(50), CancellationToken::new())),
            _open: Box::new((jobs_rx, reports_rx, spans_rx, beats, held, removed, unready, overtaken)),
        }
    }

    /// Wants a run of a Workflow with one task for which there is no pool.
    async fn want(&self, run: &RunId) {
        let limit = |class| ClassLimits { class, max_concurrent: 10, timeout: Duration::from_mins(2) };
        let supervisor = SupervisorSnapshot {
            version: VERSION,
            pools: Vec::new(),
            classes: Class::ALL.map(limit).to_vec(),
            telemetry: None,
        };
        let workflow: WorkflowSnapshot = serde_json::from_value(json!({
            "version": VERSION,
            "definition": {
                "workflow": "w", "generation": 1, "class": "normal", "onFailure": "Stop", "parameters": {}, "keepRuns": 3,
                "steps": [{"name": "a", "after": [], "kind": {"task": {
                    "agent": {"pool": "worker"}, "input": 1, "timeout": 30_000,
                    "retry": {"limit": 0, "initial": 100, "factor": 1, "max": 100},
                }}}],
            },
            "runs": [{"run": run, "parameters": {}, "cause": "test"}],
            "cancel": [], "limits": {}, "deleted": false,
        }))
        .unwrap();
        self.journal.send(journal::Event::CaughtUp).await.unwrap();
        for event in [
            config::Event::Supervisor(Box::new(supervisor)),
            config::Event::Workflow(name("w"), Box::new(workflow), Timestamp::now()),
            config::Event::Synced,
        ] {
            self.config.send(event).await.unwrap();
        }
    }

    /// The next event that the driver wants to append, with the sequence of the one before it.
    async fn next_append(&mut self) -> (u64, RunEvent) {
        let asked = timeout(SOON, self.requests.recv()).await.expect("the driver asks for nothing").unwrap();
        match <[Request; 1]>::try_from(asked) {
            Ok([Request::Append { expected, event, .. }]) => (expected, event),
            other => panic!("{other:?}"),
        }
    }

    async fn tell(&self, run: &RunId, sequence: u64, event: RunEvent) {
        let body = Body::Entry(Entry::Run(event));
        let record = Record { sequence, at: Timestamp::now(), run: run.clone(), body, pending: 0, call: None };
        self.journal.send(journal::Event::Record(Box::new(record))).await.unwrap();
    }

    fn answer(&self, run: &RunId, expected: u64, result: Result<Written, Failure>) {
        self.done.send(Done { key: Key::Append { run: run.clone(), expected }, result }).unwrap();
    }
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

/// The answer to the acceptance came late, was taken for that to the start, and the start's own for one to nothing.
#[tokio::test]
async fn a_run_whose_start_is_lost_after_a_late_answer_to_its_acceptance_never_starts() {
    let run: RunId = "w-1".parse().unwrap();
    for acceptance in [Ok(Written::Fresh(1)), Ok(Written::Exists), Err(lost())] {
        let mut world = Surroundings::new();
        world.want(&run).await;
        let (expected, accepted) = world.next_append().await;
        assert!(expected == 0 && matches!(accepted, RunEvent::Accepted { .. }), "{expected} {accepted:?}");
        // The journal is quicker than the answer.
        world.tell(&run, 1, accepted).await;
        let (expected, started) = world.next_append().await;
        assert!(expected == 1 && matches!(started, RunEvent::Started { .. }), "{expected} {started:?}");
        world.answer(&run, 0, acceptance);
        world.answer(&run, 1, Err(lost()));
        let (expected, again) = world.next_append().await;
        assert!(expected == 1 && matches!(again, RunEvent::Started { .. }), "{expected} {again:?}");
    }
}

fn lost() -> Failure {
    Failure::Write(write::Error::Disconnected)
}
