//! The one task that holds the state of all runs: folds the journal, decides what is due, and hands it out to the writers.
//!
//! Nothing in here waits for the bus. What is handed out comes back as a journal entry, or as a refusal after which the run lists again
//! what the journal does not show as done ([`Run::reissue`](tetrarch_core::workflow::run::Run::reissue)).

mod act;
mod admit;
mod children;
mod completions;
mod control;
mod decisions;
mod fold;
mod open;
mod outputs;
mod plans;
mod queues;
mod retain;
mod runs;
mod summarize;
mod trace;
mod triggers;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tetrarch_core::{
    fairness::Line,
    id::{Name, RunId},
    priority::Class,
};
use tetrarch_protocol::snapshot::{SupervisorSnapshot, WorkflowSnapshot};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{
    children::Children, completions::Completions, queues::Queues, runs::Runs, trace::Tracer, triggers::Triggers,
    turns::Turns,
};
use crate::{
    config, consumers,
    export::Export,
    hooks::secrets::Unready,
    http::Progress,
    intake::Open,
    janitor::{Job, Removed},
    journal,
    leases::{Held, partition},
    loads::{Beat, Loads},
    metrics::Metrics,
    report::Report,
    writer::{Done, Request},
};

/// Entries that are folded before it is decided what to do.
const FOLD_AT_ONCE: usize = 1024;

/// Longest sleep without anything to do.
const IDLE: Duration = Duration::from_hours(1);

/// Where the driver learns from.
pub struct Inputs {
    pub journal: mpsc::Receiver<journal::Event>,
    pub config: mpsc::Receiver<config::Event>,
    pub beats: mpsc::Receiver<Beat>,
    pub held: watch::Receiver<Held>,
    pub done: mpsc::UnboundedReceiver<Done>,
    pub removed: mpsc::UnboundedReceiver<Removed>,
    /// Webhooks without a secret.
    pub unready: watch::Receiver<Unready>,
    /// Report keys that somebody else wrote.
    pub overtaken: mpsc::UnboundedReceiver<String>,
}

/// Who does what the driver decides.
pub struct Outputs {
    pub requests: mpsc::Sender<Vec<Request>>,
    pub jobs: mpsc::Sender<Job>,
    pub reports: mpsc::Sender<Report>,
    pub wanted: watch::Sender<Option<consumers::Wanted>>,
    /// What messages can begin.
    pub open: watch::Sender<Option<Arc<Open>>>,
    /// How many runs of each Workflow wait for a place.
    pub waiting: watch::Sender<BTreeMap<Name, usize>>,
    pub spans: mpsc::Sender<Export>,
    pub metrics: Metrics,
    pub progress: Arc<Progress>,
}

/// What is configured.
#[derive(Default)]
struct Config {
    supervisor: Option<SupervisorSnapshot>,
    workflows: BTreeMap<Name, WorkflowSnapshot>,
    /// When the operator wrote each Workflow last.
    written: BTreeMap<Name, Timestamp>,
    /// While everything is told anew: the Workflows told so far.
    told: Option<BTreeSet<Name>>,
}

/// A wanted run that is not accepted yet.
struct Wanted {
    workflow: Name,
    /// Why it could not be accepted.
    refusal: Option<String>,
    /// When to try again; none while a try is under way.
    retry_at: Option<Timestamp>,
}

/// What has changed and is to be looked at before the driver rests.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent notes, each worked off on its own")]
struct Changed {
    /// Runs that may have something to do.
    runs: BTreeSet<RunId>,
    /// What is wanted, or who is responsible for it.
    wants: bool,
    /// Runs of which people may have asked something.
    control: BTreeSet<RunId>,
    /// Places in the classes.
    places: bool,
    /// Which runs have ended, or what begins when they do.
    completions: bool,
    /// Finished runs.
    finished: bool,
    /// The pools, or who makes their consumers.
    consumers: bool,
    /// Workflows whose summary may differ.
    summaries: BTreeSet<Name>,
    /// The report on the load may differ.
    load: bool,
}

/// The state of all runs of a Supervisor.
pub struct Driver {
    supervisor: Name,
    outputs: Outputs,
    config: Config,
    runs: Runs,
    wanted: BTreeMap<RunId, Wanted>,
    children: Children,
    triggers: Triggers,
    completions: Completions,
    queues: Queues,
    /// The lines of runs that wait for a place.
    lines: BTreeMap<Class, Line>,
    turns: Turns,
    tracer: Tracer,
    loads: Loads,
    held: Held,
    /// Webhooks without a secret.
    unready: Unready,
    is_caught_up: bool,
    is_configured: bool,
    last_sequence: u64,
    /// How often the journal began anew.
    restarts: u64,
    changed: Changed,
    wakes: BTreeSet<(Timestamp, RunId)>,
    /// When the next finished run becomes too old to be kept.
    next_retention: Option<Timestamp>,
    /// What was last reported under each key.
    reported: BTreeMap<String, Bytes>,
    requests: Vec<Request>,
    jobs: Vec<Job>,
}

impl Driver {
    /// A driver that knows nothing yet.
    pub fn new(supervisor: Name, outputs: Outputs) -> Self {
        let tracer = Tracer::new(outputs.spans.clone(), outputs.metrics.clone());
        Self {
            supervisor,
            outputs,
            config: Config::default(),
            runs: Runs::default(),
            wanted: BTreeMap::new(),
            children: Children::default(),
            triggers: Triggers::default(),
            completions: Completions::default(),
            queues: Queues::default(),
            lines: BTreeMap::new(),
            turns: Turns::default(),
            tracer,
            loads: Loads::default(),
            held: Held::new(),
            unready: Unready::new(),
            is_caught_up: false,
            is_configured: false,
            last_sequence: 0,
            restarts: 0,
            changed: Changed::default(),
            wakes: BTreeSet::new(),
            next_retention: None,
            reported: BTreeMap::new(),
            requests: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Drives until it is told to stop.
    pub async fn run(mut self, mut inputs: Inputs, report_every: Duration, stop: CancellationToken) {
        let mut entries = Vec::with_capacity(FOLD_AT_ONCE);
        let mut ticks = tokio::time::interval(report_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => break,
                read = inputs.journal.recv_many(&mut entries, FOLD_AT_ONCE) => if read == 0 { break },
                Some(event) = inputs.config.recv() => self.observe_config(event),
                Some(done) = inputs.done.recv() => self.observe_done(done),
                Some(removed) = inputs.removed.recv() => self.observe_removed(removed),
                Some(beat) = inputs.beats.recv() => self.observe_beat(beat),
                Some(key) = inputs.overtaken.recv() => self.observe_overtaken(&key),
                Ok(()) = inputs.unready.changed() => self.unready = inputs.unready.borrow_and_update().clone(),
                Ok(()) = inputs.held.changed() => {
                    let held = inputs.held.borrow_and_update().clone();
                    self.observe_held(held);
                }
                () = tokio::time::sleep(wake) => {}
                _ = ticks.tick() => self.report(),
            }
            while let Ok(done) = inputs.done.try_recv() {
                self.observe_done(done);
            }
            for event in entries.drain(..) {
                self.observe_journal(event);
            }
            self.decide();
            tokio::select! {
                () = stop.cancelled() => break,
                is_open = self.hand_out() => if !is_open { break },
            }
        }
        tracing::debug!("the driver stops");
    }

    /// Decides everything that is due.
    fn decide(&mut self) {
        if !self.is_caught_up || !self.is_configured {
            return;
        }
        let now = Timestamp::now();
        self.wake(now);
        self.observe_schedules(now);
        if std::mem::take(&mut self.changed.consumers) {
            self.want_consumers();
        }
        for run in std::mem::take(&mut self.changed.runs) {
            self.act(&run, now);
            self.tend_family(&run, now);
        }
        if std::mem::take(&mut self.changed.completions) {
            self.observe_completions();
        }
        if std::mem::take(&mut self.changed.wants) {
            self.accept_wanted(now);
            self.cancel_unwanted();
            self.take_decisions();
            for run in self.children.refused() {
                self.tend_family(&run, now);
            }
        }
        self.control_runs();
        if std::mem::take(&mut self.changed.places) {
            self.start_waiting(now);
            self.tell_waiting();
            self.start_children(now);
        }
        self.take_turns(now);
        if std::mem::take(&mut self.changed.finished) {
            self.retain(now);
        }
    }

    /// Hands out what was decided; false when nobody takes it any more.
    async fn hand_out(&mut self) -> bool {
        // What was decided together is written together.
        let requests = std::mem::take(&mut self.requests);
        if !requests.is_empty() && self.outputs.requests.send(requests).await.is_err() {
            return false;
        }
        for job in self.jobs.drain(..) {
            if self.outputs.jobs.send(job).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether this replica acts on the run.
    fn owns(&self, run: &RunId) -> bool {
        self.held.contains(&partition(run))
    }

    /// Whether this replica does what concerns the Supervisor as a whole.
    fn leads(&self) -> bool {
        self.held.contains(&0)
    }

    fn next_wake(&self) -> Duration {
        let due = self.wakes.first().map(|(at, _)| *at);
        let wanted = self.wanted.values().filter_map(|wanted| wanted.retry_at).min();
        let others = self.triggers.next().into_iter().chain(self.next_retention);
        let Some(at) = due.into_iter().chain(wanted).chain(others).min() else { return IDLE };
        Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default().min(IDLE)
    }

    /// Notes the runs whose time has come.
    fn wake(&mut self, now: Timestamp) {
        while let Some((at, run)) = self.wakes.first().cloned()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(slot) = self.runs.get_mut(&run) {
                slot.wake = None;
            }
            self.changed.runs.insert(run);
        }
        if self.next_retention.is_some_and(|at| at <= now) {
            self.next_retention = None;
            self.changed.finished = true;
        }
        if self.wanted.values().any(|wanted| wanted.retry_at.is_some_and(|at| at <= now)) {
            self.changed.wants = true;
        }
    }

    fn observe_beat(&mut self, beat: Beat) {
        let now = Instant::now();
        self.loads.observe(beat, now);
        self.queues.observe_loads(self.loads.sum(now));
        self.changed.load = true;
    }

    fn observe_config(&mut self, event: config::Event) {
        self.triggers.read_again();
        self.completions.reconsider();
        match event {
            config::Event::Restarted => self.config.told = Some(BTreeSet::new()),
            config::Event::Supervisor(snapshot) => {
                self.queues.configure(&snapshot.pools);
                self.tracer.configure(snapshot.telemetry.as_ref());
                self.config.supervisor = Some(*snapshot);
                self.changed.places = true;
                self.changed.consumers = true;
                self.changed.load = true;
                self.changed.runs.extend(self.runs.waiting_for_pools());
            }
            config::Event::Workflow(name, snapshot, written) => {
                if let Some(told) = &mut self.config.told {
                    told.insert(name.clone());
                }
                self.changed.control.extend(self.runs.of_workflow(&name).cloned());
                // What is asked in vain, or was.
                self.changed.summaries.insert(name.clone());
                self.config.written.insert(name.clone(), written);
                self.config.workflows.insert(name, *snapshot);
            }
            config::Event::Removed(name) => {
                self.config.workflows.remove(&name);
                self.config.written.remove(&name);
            }
            config::Event::Synced => {
                if let Some(told) = self.config.told.take() {
                    self.config.workflows.retain(|name, _| told.contains(name));
                    self.config.written.retain(|name, _| told.contains(name));
                }
                self.is_configured = true;
                self.tell_open();
                self.outputs.progress.is_configured.store(true, Ordering::Relaxed);
            }
        }
        self.changed.wants = true;
        self.changed.completions = true;
        self.changed.finished = true;
    }

    fn observe_held(&mut self, held: Held) {
        let gained: Held = held.difference(&self.held).copied().collect();
        self.held = held;
        self.outputs.metrics.set_partitions(self.held.len());
        for (run, slot) in self.runs.iter_mut() {
            if gained.contains(&partition(run)) {
                slot.must_reissue = true;
                self.changed.runs.insert(run.clone());
                self.changed.control.insert(run.clone());
                self.changed.summaries.insert(slot.run.definition().workflow.clone());
            }
        }
        self.jobs.extend(self.runs.take_expired(&gained).into_iter().map(Job::Run));
        if !gained.is_empty() {
            // What was reported under these keys is not known any more: another replica was responsible.
            self.reported.clear();
        }
        self.wanted.retain(|run, _| self.held.contains(&partition(run)));
        self.changed.wants = true;
        self.changed.places = true;
        self.changed.finished = true;
        self.changed.consumers = true;
        self.changed.load = true;
    }

    fn observe_overtaken(&mut self, key: &str) {
        self.reported.remove(key);
        match key.rsplit_once('.').map(|(kind, name)| (kind.starts_with("workflow."), name.parse::<Name>())) {
            Some((true, Ok(workflow))) => {
                self.changed.summaries.insert(workflow);
            }
            _ => self.changed.load = true,
        }
    }
}

#[cfg(test)]
mod tests;
