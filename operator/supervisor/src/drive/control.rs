//! Writes down what people ask of runs that exist. What is asked is a state to be reached, so that asking twice, or being asked again
//! after a restart, writes it once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tetrarch_core::{
    id::{Name, RunId, TaskId},
    workflow::{
        journal::{FinalPhase, RunEvent},
        run::{Run, RunPhase},
        stamp::Stamp,
    },
};
use tetrarch_protocol::{
    control::{Asked, Control, Resolve},
    snapshot::WorkflowSnapshot,
    summary::MAX_REFUSED,
};

use super::Driver;

impl Driver {
    /// Looks at the runs of which something may be asked.
    pub(super) fn control_runs(&mut self) {
        for id in std::mem::take(&mut self.changed.control) {
            self.control_run(&id);
        }
    }

    fn control_run(&mut self, id: &RunId) {
        if !self.owns(id) {
            return;
        }
        let Some(slot) = self.runs.get_mut(id) else { return };
        // What is being written comes back as an entry of the journal or as a refusal, and brings the run here again.
        if !slot.is_settled() || !slot.appends.is_empty() || !slot.can_reissue() {
            return;
        }
        let Some(snapshot) = self.config.workflows.get(&slot.run.definition().workflow) else { return };
        if snapshot.deleted {
            return;
        }
        if let Some(why) = refusal_to_reopen(&slot.run, &snapshot.control) {
            tracing::warn!(run = %id, why, "the run is not opened again");
            self.changed.summaries.insert(slot.run.definition().workflow.clone());
            return;
        }
        if wants_to_reopen(&slot.run, &snapshot.control).is_some() && slot.run.left_children().next().is_some() {
            // What became of them is written down first.
            return self.tend_as_parent(id, Timestamp::now());
        }
        if let Some(event) = plan_control(&slot.run, &snapshot.control, |pool| self.queues.is_idempotent(pool)) {
            tracing::info!(run = %id, ?event, "somebody asked");
            slot.appends.push_back(event);
            self.append_next(id);
        }
    }

    /// What is asked of runs of a Workflow and cannot be, with the reasons; about at most [`MAX_REFUSED`] of them. Of runs that nobody
    /// knows nothing is said: they may have been removed since they did what was asked.
    pub(super) fn refused_requests(&self, workflow: &Name) -> Vec<String> {
        let Some(snapshot) = self.config.workflows.get(workflow) else { return Vec::new() };
        let refusal = |id: &RunId| {
            let run = &self.runs.get(id)?.run;
            let of = &run.definition().workflow;
            let why = if of == workflow {
                refusal_to_reopen(run, &snapshot.control)?
            } else {
                format!("it is a run of Workflow {of}: ask there")
            };
            Some(format!("run {id}: {why}"))
        };
        asked_about(snapshot).into_iter().filter_map(refusal).take(MAX_REFUSED).collect()
    }
}

/// What has to be written down about a run for what is asked of it to be true; none when it is.
fn plan_control(run: &Run, control: &Control, is_idempotent: impl Fn(&Name) -> bool) -> Option<RunEvent> {
    if run.ended_at().is_some() {
        let (request, cause, stamp) = wants_to_reopen(run, control)?;
        let unanswered = run.unanswered().into_iter().filter(|(_, pool)| !is_idempotent(pool));
        let unknown = unanswered.map(|(attempt, _)| attempt).collect();
        return Some(RunEvent::Reopened { request, cause, unknown, stamp });
    }
    let resolve = find_doubt(run, control);
    let find = |asked: &[Asked]| Asked::find(asked, run.id()).cloned();
    if let Some(Asked { cause, stamp, .. }) = find(&control.terminate) {
        return (!run.is_terminate_requested()).then_some(RunEvent::TerminateRequested { cause, stamp });
    }
    if let Some(Resolve { task, resolution, cause, stamp }) = resolve.cloned() {
        return Some(RunEvent::Resolved { path: task.path, attempt: task.attempt, resolution, cause, stamp });
    }
    if run.is_cancel_requested() {
        return None;
    }
    match (find(&control.pause), run.paused_since()) {
        (Some(Asked { cause, stamp, .. }), None) => Some(RunEvent::Paused { cause, stamp }),
        (None, Some(_)) => {
            let (cause, stamp) =
                find(&control.resume).map_or_else(|| ("request".to_owned(), None), |asked| (asked.cause, asked.stamp));
            Some(RunEvent::Resumed { cause, stamp })
        }
        _ => None,
    }
}

/// The request that opens a run again that has ended, and who made it: a retry, or what was found out about one of its attempts. A run that
/// works for a step of another is not opened again: that step has heard of its end.
pub(super) fn wants_to_reopen(run: &Run, control: &Control) -> Option<(String, String, Option<Stamp>)> {
    if !run.can_reopen() || run.parent().is_some() {
        return None;
    }
    let asked = control.retry.iter().find(|retry| retry.run == *run.id() && !run.was_reopened_by(&retry.request));
    let retry = asked.map(|retry| (retry.request.clone(), retry.cause.clone(), retry.stamp.clone()));
    let resolve = || {
        let resolve = find_doubt(run, control)?;
        Some((resolved(&resolve.task), resolve.cause.clone(), resolve.stamp.clone()))
    };
    retry.or_else(resolve)
}

/// The runs of which something is asked.
fn asked_about(snapshot: &WorkflowSnapshot) -> BTreeSet<&RunId> {
    let Control { pause, terminate, cancel, resume: _, retry, resolve } = &snapshot.control;
    let asked = [pause, terminate, cancel].into_iter().flatten().map(|asked| &asked.run);
    let found = resolve.iter().map(|resolve| &resolve.task.run);
    asked.chain(&snapshot.cancel).chain(retry.iter().map(|retry| &retry.run)).chain(found).collect()
}

/// The request that is what was found out about an attempt.
fn resolved(task: &TaskId) -> String {
    format!("resolve {task}")
}

/// Why a run is not opened again that somebody wants to be.
pub(super) fn refusal_to_reopen(run: &Run, control: &Control) -> Option<String> {
    run.ended_at()?;
    let is_asked = control.retry.iter().any(|retry| retry.run == *run.id() && !run.was_reopened_by(&retry.request));
    let is_news =
        |task| run.phase() == RunPhase::Ended(FinalPhase::OutcomeUnknown) && !run.was_reopened_by(&resolved(task));
    let is_resolved = || control.resolve.iter().any(|found| found.task.run == *run.id() && is_news(&found.task));
    if !is_asked && !is_resolved() {
        return None;
    }
    let why = if let Some(parent) = run.parent() {
        format!("it works for step {} of run {}, which has heard of its end: ask for that one", parent.step, parent.run)
    } else if let Some(at) = run.outputs_removed_at() {
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("its outputs were removed at {at}, so there is nothing to go on with; ask for a new run like it")
    } else if run.phase() == RunPhase::Ended(FinalPhase::Succeeded) {
        "it has succeeded: ask for a new run".to_owned()
    } else if run.can_reopen() {
        return None;
    } else {
        "its definition cannot be run: apply one that can".to_owned()
    };
    Some(format!("it is not opened again: {why}"))
}

/// What was found out about an attempt that a person is asked about.
fn find_doubt<'a>(run: &Run, control: &'a Control) -> Option<&'a Resolve> {
    let mut of_run = control.resolve.iter().filter(|resolve| resolve.task.run == *run.id()).peekable();
    of_run.peek()?;
    let doubts = run.doubts();
    of_run.find(|resolve| {
        doubts.iter().any(|doubt| doubt.path == resolve.task.path && doubt.attempt == resolve.task.attempt)
    })
}
