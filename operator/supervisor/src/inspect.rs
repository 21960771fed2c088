//! Answers for a person at the pod: the journal of a run, its output of any size, the list of runs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tetrarch_bus::{
    Bus,
    follow::{Event, Start},
};
use tetrarch_core::{
    id::{Name, RunId},
    workflow::{
        journal::Entry,
        run::{Run, RunPhase},
    },
};
use tetrarch_protocol::{inspect::Kept, stream::WORK, subject};

use crate::journal::{self, Body, Record};

/// Longest time for reading everything there is.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus did not answer.
    #[error("the bus did not answer within {0:?}: see whether the pod is ready")]
    Silent(Duration),
    /// There is no such run.
    #[error(
        "there is no run {0}: it never was, or is beyond the retention of its Workflow; `runs` lists those there are"
    )]
    UnknownRun(RunId),
    /// A newer version went on with the run.
    #[error("run {run} cannot be read: {why}; ask a Supervisor of the version that wrote it, or of a later one")]
    Unreadable {
        /// The run.
        run: RunId,
        /// What cannot be read.
        why: String,
    },
    /// Its outputs are removed.
    #[error("the outputs of run {run} were removed at {at:.0}: they are beyond spec.keepOutputsFor of its Workflow")]
    OutputsRemoved {
        /// The run.
        run: RunId,
        /// Since when.
        at: jiff::Timestamp,
    },
    /// The run has no output.
    #[error("run {run} has no output: it is {phase}")]
    NoOutput {
        /// The run.
        run: RunId,
        /// Where it stands.
        phase: String,
    },
}

/// Every message of a run as it is stored, as one JSON object each: sequence, time, subject, body.
pub async fn read_journal(bus: &Bus, supervisor: &Name, run: &RunId) -> Result<Vec<Value>, Error> {
    let read = async {
        let filters = subject::everything_of_run(supervisor, run).to_vec();
        let mut follow = bus.follow(WORK, filters, Start::After(0));
        let mut lines = Vec::new();
        loop {
            match follow.next().await {
                Event::Message(message) => {
                    lines.push(json!({
                        "sequence": message.sequence,
                        "at": message.at,
                        "subject": message.subject,
                        "body": journal::readable(&message),
                    }));
                    if message.pending == 0 {
                        return lines;
                    }
                }
                Event::CaughtUp => return lines,
                Event::Restarted => lines.clear(),
            }
        }
    };
    let lines = tokio::time::timeout(PATIENCE, read).await.map_err(|_| Error::Silent(PATIENCE))?;
    if lines.is_empty() { Err(Error::UnknownRun(run.clone())) } else { Ok(lines) }
}

/// The output of a run.
pub async fn read_output(bus: &Bus, supervisor: &Name, run: &RunId) -> Result<Value, Error> {
    let filters = subject::everything_of_run(supervisor, run)
        .into_iter()
        .filter(|filter| ["task.", "res.", "run."].iter().any(|kind| filter.starts_with(kind)));
    let records = read(bus, filters.collect()).await?;
    if let Some(why) = unreadable(&records).remove(run) {
        return Err(Error::Unreadable { run: run.clone(), why });
    }
    let folded = fold(records);
    let folded = folded.get(run).ok_or_else(|| Error::UnknownRun(run.clone()))?;
    if let Some(at) = folded.outputs_removed_at() {
        return Err(Error::OutputsRemoved { run: run.clone(), at });
    }
    folded.output().ok_or_else(|| Error::NoOutput { run: run.clone(), phase: phase(folded) })
}

/// All runs in the order of acceptance.
pub async fn list_runs(bus: &Bus, supervisor: &Name) -> Result<Vec<Kept>, Error> {
    let records = read(bus, subject::journal_of_supervisor(supervisor).to_vec()).await?;
    let mut unreadable = unreadable(&records);
    let folded = fold(records);
    let mut runs: Vec<Kept> = folded
        .into_values()
        .map(|run| Kept {
            run: run.id().clone(),
            workflow: run.definition().workflow.clone(),
            phase: phase(&run),
            progress: run.progress(),
            cause: run.cause().to_owned(),
            retried: run.reopened(),
            accepted_at: run.accepted_at(),
            started_at: run.started_at(),
            finished_at: run.ended_at(),
            outputs_removed_at: run.outputs_removed_at(),
            message: unreadable.remove(run.id()).or_else(|| run.message()),
        })
        .collect();
    runs.sort_by_key(|run| run.accepted_at);
    Ok(runs)
}

async fn read(bus: &Bus, filters: Vec<String>) -> Result<Vec<Record>, Error> {
    tokio::time::timeout(PATIENCE, journal::read(bus, filters)).await.map_err(|_| Error::Silent(PATIENCE))
}

/// What cannot be read of runs, by the first such entry of each.
fn unreadable(records: &[Record]) -> BTreeMap<RunId, String> {
    let mut unreadable = BTreeMap::new();
    for record in records {
        if let Body::Unreadable(why) = &record.body {
            unreadable.entry(record.run.clone()).or_insert_with(|| why.clone());
        }
    }
    unreadable
}

fn fold(records: Vec<Record>) -> BTreeMap<RunId, Run> {
    let mut entries: BTreeMap<RunId, Vec<(Entry, jiff::Timestamp)>> = BTreeMap::new();
    for record in records {
        if let Body::Entry(entry) = record.body {
            entries.entry(record.run).or_default().push((entry, record.at));
        }
    }
    entries.into_iter().filter_map(|(id, entries)| Some((id.clone(), Run::replay(id, entries)?))).collect()
}

fn phase(run: &Run) -> String {
    match run.phase() {
        RunPhase::Pending => "Pending".to_owned(),
        RunPhase::Running => "Running".to_owned(),
        RunPhase::Waiting => "Waiting".to_owned(),
        RunPhase::Compensating => "Compensating".to_owned(),
        RunPhase::Ended(phase) => format!("{phase:?}"),
    }
}
