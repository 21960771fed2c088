//! What the operator reads of this Supervisor: summaries of runs and of load, written when they change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use tetrarch_bus::{
    Bus,
    write::{self, Written},
};
use tetrarch_core::{
    id::RunId,
    workflow::{
        auto::Planned,
        journal::FinalPhase,
        run::{Run, RunPhase, StepPhase},
    },
};
use tetrarch_protocol::{
    VERSION,
    stream::REPORT_BUCKET,
    summary::{MAX_OUTPUT, MAX_PLANNED, Phase, PlanSummary, PlannedStepSummary, RunSummary, StepSummary},
};
use tokio::sync::mpsc;

/// Longest message of a summary, in characters.
const MAX_MESSAGE: usize = 1024;

/// Pause after a failed write.
const PAUSE: Duration = Duration::from_millis(500);

/// A value for a key of the REPORT bucket; none deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<Bytes>,
}

/// The summary of a run. `waiting` says what it waits for, when it waits.
pub fn build_summary(run: &Run, waiting: Option<String>) -> RunSummary {
    let (ended, total) = run.progress();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    RunSummary {
        version: VERSION,
        run: run.id().clone(),
        cause: Some(bound(run.cause())).filter(|cause| !cause.is_empty()),
        accepted: Vec::new(),
        scheduled: None,
        phase: match run.phase() {
            RunPhase::Pending => Phase::Pending,
            RunPhase::Running => Phase::Running,
            RunPhase::Waiting => Phase::Waiting,
            RunPhase::Compensating => Phase::Compensating,
            RunPhase::Ended(FinalPhase::Succeeded) => Phase::Succeeded,
            RunPhase::Ended(FinalPhase::Failed) => Phase::Failed,
            RunPhase::Ended(FinalPhase::Compensated) => Phase::Compensated,
            RunPhase::Ended(FinalPhase::Cancelled) => Phase::Cancelled,
            RunPhase::Ended(FinalPhase::OutcomeUnknown) => Phase::OutcomeUnknown,
        },
        message: waiting.clone().or_else(|| run.message()).map(|message| bound(&message)),
        waits_for: waiting.or_else(|| run.waits_for()).map(|waiting| bound(&waiting)),
        retried: run.reopened(),
        ended: count(ended),
        total: count(total),
        started_at: run.started_at(),
        finished_at: run.ended_at(),
        outputs_removed_at: run.outputs_removed_at(),
        steps: run
            .steps()
            .map(|step| StepSummary {
                name: step.name.clone(),
                kind: step.kind.to_owned(),
                phase: phase_of(step.phase),
                message: step.message.map(bound),
                tasks: step.tasks,
                succeeded: step.succeeded,
                failed: step.failed,
                retries: step.retries,
                run: step.run,
                plan: step.plan.map(build_plan),
                started_at: step.started_at,
                finished_at: step.ended_at,
            })
            .collect(),
        output: run.output().filter(|output| output.to_string().len() <= MAX_OUTPUT),
        waiting: Vec::new(),
        refused: Vec::new(),
    }
}

const fn phase_of(phase: StepPhase) -> Phase {
    match phase {
        StepPhase::Pending => Phase::Pending,
        StepPhase::Running => Phase::Running,
        StepPhase::Waiting => Phase::Waiting,
        StepPhase::Succeeded => Phase::Succeeded,
        StepPhase::Failed => Phase::Failed,
        StepPhase::Skipped => Phase::Skipped,
        StepPhase::Cancelled => Phase::Cancelled,
        StepPhase::OutcomeUnknown => Phase::OutcomeUnknown,
        StepPhase::Compensating => Phase::Compensating,
        StepPhase::Compensated => Phase::Compensated,
    }
}

/// The summary of a plan of which no run is known.
fn build_plan(plan: &Planned) -> PlanSummary {
    let steps = plan.steps.iter().take(MAX_PLANNED).map(|step| PlannedStepSummary {
        name: step.name.clone(),
        capability: step.capability.clone(),
        after: step.after.clone(),
        phase: Phase::Pending,
    });
    PlanSummary {
        complexity: plan.complexity.as_str().to_owned(),
        pattern: plan.pattern.as_str().to_owned(),
        reason: bound(&plan.why()),
        steps: steps.collect(),
        more: u32::try_from(plan.steps.len().saturating_sub(MAX_PLANNED)).unwrap_or(u32::MAX),
    }
}

/// Tells where the steps of a plan stand in its run.
pub fn tell_progress(plan: &mut PlanSummary, run: &Run) {
    for of_run in run.steps() {
        if let Some(step) = plan.steps.iter_mut().find(|step| step.name == *of_run.name) {
            step.phase = phase_of(of_run.phase);
        }
    }
}

/// The summary of a wanted run that could not be accepted.
pub fn build_refusal(run: &RunId, message: &str) -> RunSummary {
    RunSummary {
        version: VERSION,
        run: run.clone(),
        cause: None,
        accepted: Vec::new(),
        scheduled: None,
        phase: Phase::Pending,
        message: Some(bound(message)),
        waits_for: Some(bound(message)),
        retried: 0,
        ended: 0,
        total: 0,
        started_at: None,
        finished_at: None,
        outputs_removed_at: None,
        steps: Vec::new(),
        output: None,
        waiting: Vec::new(),
        refused: Vec::new(),
    }
}

/// The beginning of a message, so that no summary grows without bounds.
pub fn bound(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

/// Writes the reports that come in, of each key only the latest; tells the keys that somebody else wrote in between, so that whoever is
/// responsible now says again what holds. Ends when nobody reports any more and everything is written, or cannot be.
pub async fn run(bus: Bus, mut reports: mpsc::Receiver<Report>, overtaken: mpsc::UnboundedSender<String>) {
    let mut reporter = Reporter { bus, revisions: BTreeMap::new() };
    let mut pending: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
    let mut is_open = true;
    while is_open || !pending.is_empty() {
        if pending.is_empty() {
            match reports.recv().await {
                Some(report) => pending.insert(report.key, report.value),
                None => break,
            };
        }
        loop {
            match reports.try_recv() {
                Ok(report) => pending.insert(report.key, report.value),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    is_open = false;
                    break;
                }
            };
        }
        if is_open {
            reporter.bus.connected().await;
        }
        let mut failed = BTreeSet::new();
        for (key, value) in &pending {
            match reporter.write(key, value.as_ref()).await {
                Ok(true) => {}
                Ok(false) => {
                    overtaken.send(key.clone()).ok();
                }
                Err(error) => {
                    tracing::warn!(key, %error, "cannot report");
                    failed.insert(key.clone());
                }
            }
        }
        pending.retain(|key, _| failed.contains(key));
        if !pending.is_empty() {
            if !is_open {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

struct Reporter {
    bus: Bus,
    revisions: BTreeMap<String, u64>,
}

impl Reporter {
    /// Writes a value; false when somebody else wrote since we last looked.
    async fn write(&mut self, key: &str, value: Option<&Bytes>) -> Result<bool, write::Error> {
        let Some(value) = value else {
            self.revisions.remove(key);
            self.bus.delete(REPORT_BUCKET, key).await?;
            return Ok(true);
        };
        let revision = match self.revisions.get(key) {
            Some(revision) => *revision,
            None => match self.bus.get_any(REPORT_BUCKET, key).await? {
                Some(entry) if entry.value == *value => {
                    self.revisions.insert(key.to_owned(), entry.revision);
                    return Ok(true);
                }
                entry => entry.map_or(0, |entry| entry.revision),
            },
        };
        match self.bus.put_if(REPORT_BUCKET, key, revision, value.clone()).await? {
            Written::Fresh(revision) => {
                self.revisions.insert(key.to_owned(), revision);
                Ok(true)
            }
            Written::Exists => {
                self.revisions.remove(key);
                Ok(false)
            }
        }
    }
}
