//! Folds the journal into the runs.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use tetrarch_core::{
    id::{RunId, TaskId, TaskPath},
    workflow::{
        journal::{Entry, Outcome, RunEvent},
        run::{Run, RunPhase},
    },
};

use super::{
    Driver,
    runs::{Outstanding, Slot},
};
use crate::{
    janitor::Job,
    journal::{Body, Call, Event, Record},
};

impl Driver {
    pub(super) fn observe_journal(&mut self, event: Event) {
        match event {
            Event::Record(record) => {
                let is_last = record.pending == 0;
                self.outputs.metrics.set_journal_lag(record.pending);
                self.last_sequence = record.sequence;
                self.fold(*record);
                if is_last {
                    self.catch_up();
                }
            }
            Event::CaughtUp => self.catch_up(),
            Event::Restarted => {
                self.runs = super::Runs::default();
                self.queues.clear();
                self.lines.clear();
                self.turns.clear();
                self.wakes.clear();
                self.wanted.clear();
                self.children.clear();
                self.triggers = super::Triggers::default();
                self.completions = super::Completions::default();
                self.is_caught_up = false;
                self.last_sequence = 0;
                self.restarts += 1;
                // Until it is read again nobody knows which tasks are to be handed out.
                self.outputs.wanted.send_replace(None);
                self.outputs.progress.is_caught_up.store(false, Ordering::Relaxed);
            }
        }
    }

    fn catch_up(&mut self) {
        if self.is_caught_up {
            return;
        }
        self.is_caught_up = true;
        self.outputs.progress.is_caught_up.store(true, Ordering::Relaxed);
        self.outputs.metrics.set_journal_lag(0);
        let runs = self.runs.unfinished().count();
        tracing::info!(sequence = self.last_sequence, unfinished = runs, "journal folded");
        self.changed.wants = true;
        self.changed.completions = true;
        self.changed.places = true;
        self.changed.finished = true;
        self.changed.consumers = true;
        self.changed.load = true;
        self.changed.summaries.extend(self.runs.workflows().cloned());
    }

    fn fold(&mut self, record: Record) {
        let Record { sequence, at, run, body, call, .. } = record;
        let entry = match body {
            Body::Entry(entry) => entry,
            Body::Unreadable(why) => {
                self.leave_alone(run, why);
                return;
            }
        };
        if let Entry::Run(RunEvent::Accepted { definition, parameters, cause, parent, origin, .. }) = entry {
            if !self.runs.is_known(&run) {
                let accepted = Run::accept(run, *definition, &parameters, cause, at);
                let accepted = accepted.under(parent.map(|parent| *parent));
                self.accepted(accepted.begun_by(origin.map(|origin| *origin)), sequence);
            }
            return;
        }
        if self.runs.get(&run).is_none() {
            self.fold_orphan(run);
            return;
        }
        self.fold_known(&run, &entry, sequence, at, call.as_ref());
    }

    /// Perhaps a newer version wrote it. To go on as if it were not there could undo what it says, so the run waits for that version.
    fn leave_alone(&mut self, run: RunId, why: String) {
        match self.runs.get_mut(&run) {
            None => self.runs.set_unreadable(run, why),
            // Nothing changes a run that has ended.
            Some(slot) if slot.is_finished() => {}
            Some(slot) => {
                slot.unreadable.get_or_insert(why);
                self.changed.summaries.insert(slot.run.definition().workflow.clone());
                self.observe_waiting(&run, &[]);
            }
        }
        self.changed.wants = true;
    }

    fn accepted(&mut self, run: Run, sequence: u64) {
        let id = run.id().clone();
        if self.owns(&id) && self.is_caught_up {
            let workflow = &run.definition().workflow;
            tracing::info!(run = %id, %workflow, class = %run.definition().class, cause = run.cause(), "run accepted");
            self.tracer.observe_accepted(&run, self.config.written.get(workflow).copied());
        }
        self.wanted.remove(&id);
        self.changed.completions |= run.origin().is_some();
        self.changed.summaries.insert(run.definition().workflow.clone());
        self.changed.places = true;
        self.changed.wants = true;
        self.changed.control.insert(id.clone());
        let (workflow, weight) = (&run.definition().workflow, run.definition().weight);
        let ticket = self.lines.entry(run.definition().class).or_default().arrive(workflow, weight);
        self.runs.insert(Slot::new(run, sequence, ticket));
        self.changed.runs.insert(id);
    }

    /// An entry of a run that was never accepted, or purged: a result that came late.
    fn fold_orphan(&mut self, run: RunId) {
        if !self.runs.is_known(&run) && self.owns(&run) && self.is_caught_up {
            tracing::info!(%run, "an entry came after its run was purged: purging it too");
            self.jobs.push(Job::Run(run));
        }
    }

    fn fold_known(&mut self, id: &RunId, entry: &Entry, sequence: u64, at: Timestamp, call: Option<&Call>) {
        let is_live = self.is_caught_up && self.owns(id);
        let has_children = self.runs.has_children();
        let Some(slot) = self.runs.get_mut(id) else { return };
        let phase = slot.run.phase();
        if !matches!(entry, Entry::Run(_)) {
            slot.holds_work = true;
            // It came when its run had none any more.
            self.changed.finished |= slot.run.outputs_removed_at().is_some();
        }
        match entry {
            Entry::Run(event) => {
                slot.observe_event(sequence);
                self.changed.control.insert(id.clone());
                if !matches!(event, RunEvent::StepSkipped { .. }) {
                    self.changed.places = true;
                }
                self.changed.finished |= matches!(event, RunEvent::OutputsRemoved { .. });
                if matches!(event, RunEvent::Started { .. }) {
                    self.lines.entry(slot.class()).or_default().start(slot.ticket);
                }
            }
            Entry::Dispatched { path, attempt, pool } => {
                let key = (path.clone(), *attempt);
                let written = slot.writing.remove(&key);
                let owner = slot.owner(&self.config.workflows);
                if let Some(written) = written {
                    self.queues.take(&written, owner);
                }
                self.queues.add(pool, owner);
                slot.outstanding.insert(key, Outstanding { pool: pool.clone(), sequence, at });
                if is_live {
                    self.outputs.metrics.task_dispatched(slot.class());
                }
            }
            Entry::Result { path, attempt, outcome } => {
                if slot.is_finished() {
                    // It may be what a run waits for that is to be opened again.
                    self.changed.control.insert(id.clone());
                }
                if let Some(outstanding) = slot.outstanding.remove(&(path.clone(), *attempt)) {
                    self.queues.take(&outstanding.pool, slot.owner(&self.config.workflows));
                    self.queues.observe_result(&outstanding.pool, at);
                    if is_live {
                        let seconds = at.duration_since(outstanding.at).as_secs_f64();
                        self.outputs.metrics.task_completed(slot.class(), outcome, seconds);
                        observe_result(id, path, *attempt, outcome);
                        let task = TaskId { run: id.clone(), path: path.clone(), attempt: *attempt };
                        let time = (outstanding.at, at);
                        self.tracer.observe_attempt(&task, outstanding.pool.as_str(), time, outcome, call);
                    }
                } else {
                    // It may be the end of a run, which is not needed any more.
                    self.changed.finished |= has_children;
                }
            }
        }
        if slot.unreadable.is_some() {
            return;
        }
        slot.run.apply(entry, at);
        // Somebody may have decided before this replica knew of the question.
        self.changed.wants |= slot.run.questions().next().is_some();
        // A run that waits for people gives its place away.
        self.changed.places |= slot.run.phase() != phase;
        slot.refusal = None;
        if let RunPhase::Ended(ended) = slot.run.phase()
            && !matches!(phase, RunPhase::Ended(_))
        {
            if is_live {
                self.outputs.metrics.run_finished(slot.class(), ended);
                tracing::info!(run = %id, phase = ?ended, reason = slot.run.message(), "run finished");
                self.tracer.observe_end(&slot.run);
            }
            let accepted = slot.accepted;
            self.runs.finish(accepted);
            self.changed.finished = true;
            self.changed.completions = true;
            self.observe_waiting(id, &[]);
        } else if matches!(phase, RunPhase::Ended(_)) && !slot.is_finished() {
            slot.is_starting = false;
            slot.is_cancelling = false;
            if is_live {
                tracing::info!(run = %id, "run opened again");
            }
            self.runs.reopen(id);
            // Its next end may meet conditions that this one did not.
            self.completions.reconsider();
            self.changed.completions = true;
        }
        if let Some(slot) = self.runs.get(id) {
            self.changed.summaries.insert(slot.run.definition().workflow.clone());
        }
        self.changed.load = true;
        self.changed.runs.insert(id.clone());
    }
}

fn observe_result(run: &RunId, path: &TaskPath, attempt: u32, outcome: &Outcome) {
    match outcome {
        Outcome::Succeeded { .. } => tracing::debug!(%run, task = %path, attempt, "task succeeded"),
        Outcome::HandedOver { to, reason, .. } => {
            tracing::info!(%run, task = %path, attempt, %to, reason, "task handed over");
        }
        Outcome::Failed { reason, message } => {
            tracing::info!(%run, task = %path, attempt, kind = ?reason, reason = message, "attempt failed");
        }
        Outcome::Unknown { message } => {
            tracing::warn!(%run, task = %path, attempt, reason = message, "it is not known how the attempt ended");
        }
    }
}
