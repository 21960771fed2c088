//! Carries out what a run says is due: routes its tasks, appends its events, withdraws what is of no use any more.

use std::time::Duration;

use jiff::Timestamp;
use tetrarch_bus::write::{self, Written};
use tetrarch_core::{
    id::{RunId, TaskId},
    workflow::run::Action,
};
use tetrarch_protocol::{snapshot::WorkflowSnapshot, subject::Subject};

use super::{
    Driver,
    runs::{Attempt, Slot},
    trace::Tracer,
    turns::Waiting,
};
use crate::{
    janitor::{Job, Removed},
    metrics::Refusal,
    writer::{Dispatch, Done, Failure, Key, Request},
};

/// Pause after another replica was faster, until the journal shows what it wrote.
const AFTER_CONFLICT: Duration = Duration::from_millis(100);

/// Pause after the bus refused a write.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

fn pause_after(failure: &Failure) -> Duration {
    match failure {
        // The writer itself waits for the connection.
        Failure::Write(write::Error::Disconnected) => AFTER_CONFLICT,
        _ => AFTER_REFUSAL,
    }
}

impl Driver {
    /// Does for a run what is due now.
    pub(super) fn act(&mut self, id: &RunId, now: Timestamp) {
        if !self.owns(id) {
            return;
        }
        let Some(slot) = self.runs.get_mut(id) else { return };
        if slot.is_purging || slot.unreadable.is_some() {
            return;
        }
        if slot.must_reissue {
            if !slot.can_reissue() {
                // The answer or the journal entry that is missing brings it here again.
                return;
            }
            slot.reissue();
            self.changed.finished |= slot.is_finished();
            self.changed.control.insert(id.clone());
            self.changed.places = true;
            self.changed.wants = true;
        }
        if slot.run.is_to_plan() {
            let known = self.known_for_plans();
            if let Some(slot) = self.runs.get_mut(id) {
                slot.run.learn(known);
            }
        }
        let Some(slot) = self.runs.get_mut(id) else { return };
        // Tasks wait until it is their turn.
        let mut waiting = Vec::new();
        let due = slot.run.next_within(now, &mut |tasks| {
            waiting.push(Waiting::of(tasks));
            0
        });
        self.observe_waiting(id, &waiting);
        self.carry_out(id, due);
    }

    /// Carries out what a run listed; tells how many tasks were handed to the writers.
    pub(super) fn carry_out(&mut self, id: &RunId, due: Vec<Action>) -> usize {
        let Some(slot) = self.runs.get_mut(id) else { return 0 };
        let mut dispatched = 0;
        let mut wake = None;
        for action in due {
            match action {
                Action::Append(event) => slot.appends.push_back(event),
                Action::WakeAt(at) => wake = Some(at),
                Action::Withdraw { path, attempt, pool } => {
                    let task = TaskId { run: id.clone(), path, attempt };
                    let subject =
                        Subject::Task { supervisor: self.supervisor.clone(), pool, class: slot.class(), task };
                    self.jobs.push(Job::Subject(subject.to_string()));
                }
                dispatch @ Action::Dispatch { .. } => {
                    let snapshot = self.config.workflows.get(&slot.run.definition().workflow);
                    dispatched += 1;
                    if let Some(request) = route(slot, &mut self.queues, snapshot, &self.tracer, dispatch) {
                        self.requests.push(request);
                    }
                }
            }
        }
        if slot.is_finished() {
            // The journal says that it ended, and these still wait in queues: whoever decided the end did not withdraw them.
            for ((path, attempt), outstanding) in &slot.outstanding {
                let task = TaskId { run: id.clone(), path: path.clone(), attempt: *attempt };
                let (supervisor, pool) = (self.supervisor.clone(), outstanding.pool.clone());
                let subject = Subject::Task { supervisor, pool, class: slot.class(), task };
                self.jobs.push(Job::Subject(subject.to_string()));
            }
            for outstanding in std::mem::take(&mut slot.outstanding).into_values() {
                self.queues.take(&outstanding.pool, slot.owner(&self.config.workflows));
            }
        }
        let is_lost = slot.must_reissue;
        self.append_next(id);
        if let Some(at) = wake {
            self.wake_at(id, at);
        }
        if is_lost {
            self.reissue_after(id, AFTER_CONFLICT);
        }
        dispatched
    }

    /// Writes the next event of a run, unless one is being written.
    pub(super) fn append_next(&mut self, id: &RunId) {
        let Some(slot) = self.runs.get_mut(id) else { return };
        if slot.appending.is_some() || slot.must_reissue || slot.unreadable.is_some() {
            return;
        }
        if let Some(event) = slot.appends.front() {
            let (run, expected, event) = (id.clone(), slot.last_event, event.clone());
            slot.appending = Some(expected);
            self.requests.push(Request::Append { run, expected, event });
        }
    }

    /// Looks at a run again at a time, or before.
    pub(super) fn wake_at(&mut self, id: &RunId, at: Timestamp) {
        let Some(slot) = self.runs.get_mut(id) else { return };
        if let Some(before) = slot.wake.replace(at) {
            let earlier = before.min(at);
            slot.wake = Some(earlier);
            self.wakes.remove(&(before, id.clone()));
            self.wakes.insert((earlier, id.clone()));
        } else {
            self.wakes.insert((at, id.clone()));
        }
    }

    pub(super) fn observe_done(&mut self, done: Done) {
        if let Err(failure) = &done.result {
            let is_full = matches!(failure, Failure::Write(write::Error::Full(_)));
            self.outputs.metrics.write_refused(if is_full { Refusal::Full } else { Refusal::Error });
            tracing::warn!(key = ?done.key, error = %failure, "a write to the journal failed");
        }
        match done.key {
            Key::Append { run, expected: 0 } if self.children.is_accepting(&run) => {
                self.observe_child_acceptance(&run, done.result);
            }
            Key::Append { run, expected: 0 } => self.observe_acceptance(&run, done.result),
            Key::Append { run, expected } => self.observe_appended(&run, expected, done.result),
            Key::ChildEnded(task) => self.observe_child_end(&task, done.result),
            Key::Dispatch(task) => self.observe_dispatched(task, done.result),
        }
    }

    fn observe_appended(&mut self, run: &RunId, expected: u64, result: Result<Written, Failure>) {
        let Some(slot) = self.runs.get_mut(run) else { return };
        // The answer to an earlier write, of before the journal was read anew.
        if slot.appending != Some(expected) {
            return;
        }
        slot.appending = None;
        match result {
            Ok(Written::Fresh(sequence)) => {
                slot.appends.pop_front();
                slot.last_event = slot.last_event.max(sequence);
                self.changed.runs.insert(run.clone());
                self.append_next(run);
            }
            Ok(Written::Exists) => {
                self.outputs.metrics.write_refused(Refusal::Conflict);
                tracing::debug!(%run, "another replica appended first");
                // Only what is folded is certain; an event of ours that is not folded yet lets the next try fail the same way.
                slot.last_event = slot.folded_event;
                self.reissue_after(run, AFTER_CONFLICT);
            }
            Err(failure) => {
                slot.refusal = Some(failure.to_string());
                self.changed.summaries.insert(slot.run.definition().workflow.clone());
                self.reissue_after(run, pause_after(&failure));
            }
        }
    }

    fn observe_dispatched(&mut self, task: TaskId, result: Result<Written, Failure>) {
        let Some(slot) = self.runs.get_mut(&task.run) else { return };
        // When it is stored, by us or by another replica, the journal shows it.
        let Err(failure) = result else { return };
        if let Some(pool) = slot.writing.remove(&(task.path, task.attempt)) {
            self.queues.take(&pool, slot.owner(&self.config.workflows));
            slot.refusal = Some(failure.to_string());
            self.changed.summaries.insert(slot.run.definition().workflow.clone());
            self.reissue_after(&task.run, pause_after(&failure));
        }
    }

    fn reissue_after(&mut self, run: &RunId, pause: Duration) {
        if let Some(slot) = self.runs.get_mut(run) {
            slot.must_reissue = true;
        }
        let at = Timestamp::now().checked_add(pause).unwrap_or(Timestamp::MAX);
        self.wake_at(run, at);
    }

    pub(super) fn observe_removed(&mut self, removed: Removed) {
        match removed {
            Job::Run(run) | Job::Follower { run, .. } => self.observe_purged(&run),
            Job::Outputs(run) => self.observe_outputs_removed(&run),
            Job::Subject(subject) => {
                let Ok(Subject::Task { task, .. }) = subject.parse() else { return };
                let Some(slot) = self.runs.get_mut(&task.run) else { return };
                tracing::debug!(run = %task.run, task = %task.path, attempt = task.attempt, "task withdrawn");
                if let Some(outstanding) = slot.outstanding.remove(&(task.path, task.attempt)) {
                    self.queues.take(&outstanding.pool, slot.owner(&self.config.workflows));
                    self.changed.load = true;
                }
            }
        }
    }
}

/// The write that puts a task into the queue of a pool; none when it is being written already, or its pool is gone since it was granted.
///
/// The snapshot bounds the time of the attempt: what policy allows now, however the run was accepted.
fn route(
    slot: &mut Slot,
    queues: &mut super::queues::Queues,
    snapshot: Option<&WorkflowSnapshot>,
    tracer: &Tracer,
    action: Action,
) -> Option<Request> {
    let Action::Dispatch { path, attempt, agent, input, timeout, deadline } = action else { return None };
    let key: Attempt = (path, attempt);
    if slot.writing.contains_key(&key) || slot.outstanding.contains_key(&key) {
        return None;
    }
    let Ok((pool, idempotent)) = queues.choose(&agent) else {
        slot.must_reissue = true;
        return None;
    };
    let longest = snapshot.and_then(|snapshot| snapshot.limits.task_timeout);
    let timeout = longest.map_or(timeout, |longest| timeout.min(longest));
    queues.add(&pool, slot.owner_in(snapshot));
    slot.writing.insert(key.clone(), pool.clone());
    let (path, attempt) = key;
    let task = TaskId { run: slot.run.id().clone(), path, attempt };
    Some(Request::Dispatch(Box::new(Dispatch {
        traceparent: tracer.context(&task),
        task,
        pool,
        class: slot.class(),
        workflow: slot.run.definition().workflow.clone(),
        input,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        deadline,
        idempotent,
    })))
}
