//! Runs that work for a step of another run: lets them in, bounds their time, tells their ends, and cancels those that nobody
//! waits for any more.
//!
//! Nothing here is remembered but what is being written: what is to be done follows from the two runs as they are folded, so any
//! replica can go on at any point. The child's id, its first event and the place of its result are fixed, and each is written on a
//! condition, so it begins once and ends once, whoever tries.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tetrarch_bus::write::Written;
use tetrarch_core::{
    id::{Name, RunId, TaskId, TaskPath},
    workflow::{
        journal::{FailureReason, FinalPhase, Outcome, RunEvent},
        run::{Run, RunPhase, resolve_parameters},
    },
};

use super::{Driver, control::wants_to_reopen, runs::Slot};
use crate::writer::{ChildEnd, Failure, Request};

/// Pause before a refused write is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What is under way for runs that work for others.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// First events that are being written, with the run that waits.
    accepting: BTreeMap<RunId, RunId>,
    /// Ends that are being told.
    ending: BTreeSet<TaskId>,
    /// Why a run that waits gets no child.
    refused: BTreeMap<RunId, String>,
}

impl Children {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Why the run gets no child.
    pub(super) fn waits_for(&self, run: &RunId) -> Option<&String> {
        self.refused.get(run)
    }

    /// Runs that get no child.
    pub(super) fn refused(&self) -> Vec<RunId> {
        self.refused.keys().cloned().collect()
    }

    /// Whether this write is the first event of a child.
    pub(super) fn is_accepting(&self, run: &RunId) -> bool {
        self.accepting.contains_key(run)
    }
}

/// What became of a child that the run waits for.
enum Found {
    /// It is in the journal and goes on, or cannot be read.
    GoesOn,
    /// It was never begun.
    Nothing,
    /// It ended, or will never begin.
    Ended { outcome: Outcome, started_at: Timestamp, finished_at: Timestamp },
}

impl Driver {
    /// Does what is due between a run and those that it works for, or that work for it.
    pub(super) fn tend_family(&mut self, id: &RunId, now: Timestamp) {
        self.tend_as_child(id, now);
        let parent = self.runs.get(id).and_then(|slot| slot.run.parent()).map(|parent| parent.run.clone());
        for parent in parent.iter().chain([id]) {
            self.tend_as_parent(parent, now);
        }
        for child in self.runs.children_of(id) {
            self.tend_as_child(&child, now);
        }
    }

    /// Starts those that wait; they need no place of their own, because their parents have one.
    pub(super) fn start_children(&mut self, now: Timestamp) {
        if !self.runs.has_children() {
            return;
        }
        let is_waiting = |slot: &&Slot| slot.run.parent().is_some() && slot.run.phase() == RunPhase::Pending;
        let waiting: Vec<RunId> = self.runs.unfinished().filter(is_waiting).map(|slot| slot.run.id().clone()).collect();
        for child in waiting {
            self.tend_as_child(&child, now);
        }
    }

    /// Starts a child, or cancels it when nobody waits for it.
    fn tend_as_child(&mut self, id: &RunId, now: Timestamp) {
        if !self.owns(id) {
            return;
        }
        let Some(slot) = self.runs.get(id) else { return };
        let Some(parent) = slot.run.parent().filter(|_| slot.is_open()) else { return };
        let waiting = match self.runs.get(&parent.run) {
            None if self.runs.unreadable(&parent.run).is_some() => return,
            None => None,
            Some(parent) if parent.unreadable.is_some() => return,
            Some(parent) => parent.run.children().find(|child| child.run == *id && child.is_wanted),
        };
        let Some(child) = waiting else {
            let cause = format!("run {} does not wait for it any more", parent.run);
            return self.cancel(id, cause, None);
        };
        if slot.run.phase() != RunPhase::Pending || slot.is_starting {
            return;
        }
        let Some(limits) = self.limits(slot.class()) else { return };
        let deadline = self.deadline(slot.run.definition(), &limits, now).min(child.deadline);
        let Some(slot) = self.runs.get_mut(id) else { return };
        slot.is_starting = true;
        slot.appends.push_back(RunEvent::Started { deadline });
        self.append_next(id);
    }

    /// Begins the children that a run waits for, and tells it their ends.
    pub(super) fn tend_as_parent(&mut self, id: &RunId, now: Timestamp) {
        self.children.ending.retain(|task| task.run != *id || self.runs.is_waiting_for(task));
        self.children.refused.remove(id);
        if !self.owns(id) {
            return;
        }
        let Some(slot) = self.runs.get(id).filter(|slot| !slot.is_purging && slot.unreadable.is_none()) else { return };
        let mut requests = Vec::new();
        // Before a run is opened again it hears of those that it was waiting for when it ended.
        let control = self.config.workflows.get(&slot.run.definition().workflow).map(|snapshot| &snapshot.control);
        let is_to_go_on = control.is_some_and(|control| wants_to_reopen(&slot.run, control).is_some());
        let left = slot.run.left_children().filter(|_| is_to_go_on);
        for child in slot.run.children().chain(left) {
            let task = TaskId { run: id.clone(), path: child.path(), attempt: child.attempt };
            if self.children.accepting.contains_key(&child.run) || self.children.ending.contains(&task) {
                continue;
            }
            match self.find(&task, &child.run, child.is_wanted, now) {
                Found::GoesOn => {}
                Found::Ended { outcome, started_at, finished_at } => {
                    self.children.ending.insert(task.clone());
                    let run = child.run.clone();
                    requests.push(Request::ChildEnded(Box::new(ChildEnd {
                        task,
                        run,
                        outcome,
                        started_at,
                        finished_at,
                    })));
                }
                Found::Nothing => {
                    let of_plan = slot.run.definition_of(&child);
                    let of_snapshot = || self.config.workflows.get(child.workflow).filter(|snapshot| !snapshot.deleted);
                    let Some(mut definition) =
                        of_plan.or_else(|| of_snapshot().map(|snapshot| snapshot.definition.clone()))
                    else {
                        self.children.refused.insert(id.clone(), unknown(child.step, child.workflow));
                        continue;
                    };
                    // It works in the place of its parent.
                    definition.class = slot.class();
                    // With parameters that do not fit the run is accepted all the same, and its end says what is wrong.
                    let given = slot.run.parameters_of(&child).unwrap_or_default();
                    let parameters = resolve_parameters(&definition, &given).unwrap_or(given);
                    let event = RunEvent::Accepted {
                        definition: Box::new(definition),
                        parameters,
                        cause: format!("step {} of run {id}, attempt {}", child.step, child.attempt),
                        parent: Some(Box::new(slot.run.as_parent_of(&child))),
                        stamp: None,
                        origin: None,
                    };
                    self.children.accepting.insert(child.run.clone(), id.clone());
                    requests.push(Request::Append { run: child.run, expected: 0, event });
                }
            }
        }
        if self.children.refused.contains_key(id) {
            self.changed.summaries.insert(slot.run.definition().workflow.clone());
        }
        self.requests.extend(requests);
    }

    fn find(&self, task: &TaskId, run: &RunId, is_wanted: bool, now: Timestamp) -> Found {
        let lost = |reason, message| Found::Ended {
            outcome: Outcome::Failed { reason, message },
            started_at: now,
            finished_at: now,
        };
        let Some(slot) = self.runs.get(run) else {
            return match self.runs.is_known(run) {
                true => Found::GoesOn,
                false if is_wanted => Found::Nothing,
                false => lost(FailureReason::RunCancelled, format!("run {run} was not begun any more")),
            };
        };
        let is_its = |parent: &tetrarch_core::workflow::child::Parent| {
            parent.run == task.run && parent.attempt == task.attempt && TaskPath::of_step(&parent.step) == task.path
        };
        if !slot.run.parent().is_some_and(is_its) {
            return lost(FailureReason::RunCancelled, format!("run {run} was begun by somebody else"));
        }
        let is_left = self.runs.get(&task.run).is_some_and(Slot::is_finished);
        let unknown = || self.find_unanswered(&slot.run).filter(|_| is_left);
        match outcome_of(&slot.run).map(|outcome| unknown().unwrap_or(outcome)) {
            Some(outcome) => Found::Ended {
                outcome,
                started_at: slot.run.started_at().unwrap_or(slot.run.accepted_at()),
                finished_at: slot.run.ended_at().unwrap_or(now),
            },
            None => Found::GoesOn,
        }
    }

    /// A run that was cancelled at once may have left work behind that must not be repeated: then nobody knows how it ended.
    fn find_unanswered(&self, run: &Run) -> Option<Outcome> {
        let unanswered = run.unanswered();
        let (attempt, _) = unanswered.iter().find(|(_, pool)| !self.queues.is_idempotent(pool))?;
        let message = format!("run {} ended while an agent may have worked on its task {}", run.id(), attempt.path);
        Some(Outcome::Unknown { message })
    }

    /// What became of the first event of a child.
    pub(super) fn observe_child_acceptance(&mut self, child: &RunId, result: Result<Written, Failure>) {
        let Some(parent) = self.children.accepting.remove(child) else { return };
        if let Err(failure) = result {
            self.child_refused(&parent, format!("run {child} is not accepted yet: {failure}"));
        }
    }

    /// What became of the end of a child.
    pub(super) fn observe_child_end(&mut self, task: &TaskId, result: Result<Written, Failure>) {
        // When it is stored, by us or by another replica, the journal shows it.
        if let Err(failure) = result {
            self.children.ending.remove(task);
            self.child_refused(&task.run, format!("the end of task {task} is not told yet: {failure}"));
        }
    }

    fn child_refused(&mut self, parent: &RunId, refusal: String) {
        let Some(slot) = self.runs.get_mut(parent) else { return };
        slot.refusal = Some(refusal);
        self.changed.summaries.insert(slot.run.definition().workflow.clone());
        let at = Timestamp::now().checked_add(AFTER_REFUSAL).unwrap_or(Timestamp::MAX);
        self.wake_at(parent, at);
    }
}

fn unknown(step: &Name, workflow: &Name) -> String {
    format!(
        "step {step} waits for Workflow {workflow}, which this Supervisor does not have: create it with the same supervisorRef, or cancel the run"
    )
}

/// How the run ended for the step that stands for it; none while it goes on.
fn outcome_of(run: &Run) -> Option<Outcome> {
    let RunPhase::Ended(phase) = run.phase() else { return None };
    let workflow = &run.definition().workflow;
    let told =
        |how: &str| format!("run {} of Workflow {workflow} {how}: {}", run.id(), run.message().unwrap_or_default());
    let failed = |reason, how| Outcome::Failed { reason, message: told(how) };
    Some(match phase {
        FinalPhase::Succeeded if run.outputs_removed_at().is_some() => {
            failed(FailureReason::RunFailed, "succeeded, but its outputs are removed")
        }
        FinalPhase::Succeeded => Outcome::Succeeded { output: run.output().unwrap_or_default() },
        FinalPhase::Failed => failed(FailureReason::RunFailed, "failed"),
        FinalPhase::Compensated => failed(FailureReason::RunFailed, "failed and undid what it had done"),
        FinalPhase::Cancelled => failed(FailureReason::RunCancelled, "was cancelled"),
        FinalPhase::OutcomeUnknown => Outcome::Unknown { message: told("ended without knowing what was done") },
    })
}
