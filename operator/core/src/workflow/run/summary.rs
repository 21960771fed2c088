//! What a run tells about itself: phases, progress, messages, output.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Run, RunPhase, StepPhase,
    plan::Plan,
    state::{State, StepState},
};
use crate::{
    expression,
    id::{Name, RunId},
    workflow::{
        auto::Planned,
        definition::{Definition, FailurePolicy, StepKind},
        journal::FinalPhase,
    },
};

/// A step as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView<'r> {
    /// Its name.
    pub name: &'r Name,
    /// `task`, `map`, `parallel`, `pipeline`, `scatter`, `loop`, `wait`, `approval`, `workflow` or `auto`.
    pub kind: &'static str,
    /// Where it stands.
    pub phase: StepPhase,
    /// Why, in a sentence: of a failed or skipped step, and the last tolerated failure of a map.
    pub message: Option<&'r str>,
    /// Tasks in all; 0 until the step has started.
    pub tasks: u64,
    /// Tasks ended well.
    pub succeeded: u64,
    /// Tasks ended badly.
    pub failed: u64,
    /// Attempts beyond the first of each task.
    pub retries: u64,
    /// The run of another workflow that it stands for, once it was begun.
    pub run: Option<RunId>,
    /// What it is to do, once that is planned.
    pub plan: Option<&'r Planned>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The definition it was accepted with.
    pub fn definition(&self) -> &Definition {
        &self.plan.definition
    }

    /// Who or what asked for it.
    pub fn cause(&self) -> &str {
        &self.state.cause
    }

    /// Where it stands.
    pub fn phase(&self) -> RunPhase {
        match (&self.state.finished, self.state.started_at) {
            (Some(finish), _) => RunPhase::Ended(finish.phase),
            (None, Some(_)) if self.state.compensation.is_some() => RunPhase::Compensating,
            (None, Some(_)) if self.state.waits_for_people_only() => RunPhase::Waiting,
            (None, Some(_)) => RunPhase::Running,
            (None, None) => RunPhase::Pending,
        }
    }

    /// Why, in a sentence, when there is something to say.
    pub fn message(&self) -> Option<String> {
        if let Some(finish) = &self.state.finished {
            return Some(finish.message.clone());
        }
        let undoing = || self.state.progress_of_compensation(&self.plan);
        let asking = || self.whom_it_waits_for();
        let doubts = || self.state.doubts_message(&self.plan);
        let failing = || failures(&self.plan, &self.state);
        self.state.pause_message().or_else(doubts).or_else(undoing).or_else(asking).or_else(failing)
    }

    /// Whether somebody asked to cancel it.
    pub fn is_cancel_requested(&self) -> bool {
        self.state.cancelled.is_some()
    }

    /// When it was accepted.
    pub fn accepted_at(&self) -> Timestamp {
        self.state.accepted_at
    }

    /// When it started.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.state.started_at
    }

    /// End of its time; none while it waits for a person, because its clock stands still.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.state.end_of_run()
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.state.finished.as_ref().map(|finish| finish.at)
    }

    /// Ended steps and steps in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.state.ended, self.plan.definition.steps.len())
    }

    /// Attempts that are in a queue or with an agent.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.len()
    }

    /// Journal entries that changed nothing: duplicates, late results, entries after the end.
    pub fn ignored(&self) -> u64 {
        self.state.ignored
    }

    /// The steps in the order of the definition.
    pub fn steps(&self) -> impl Iterator<Item = StepView<'_>> {
        let is_ended = self.state.finished.is_some();
        let asked: BTreeSet<usize> = self.state.control.doubts.iter().map(|key| key.step).collect();
        self.plan.definition.steps.iter().enumerate().map(move |(index, step)| {
            let state = self.state.steps.get(index);
            let phase = match state.map_or(StepPhase::Pending, |state| state.phase) {
                StepPhase::Pending if is_ended => StepPhase::Skipped,
                StepPhase::Running if is_ended && asked.contains(&index) => StepPhase::OutcomeUnknown,
                StepPhase::Running | StepPhase::Waiting if is_ended => StepPhase::Cancelled,
                StepPhase::Compensating if is_ended => StepPhase::OutcomeUnknown,
                phase => phase,
            };
            let message = state.and_then(|state| state.message.as_deref());
            let count = |of: fn(&StepState) -> u64| state.map_or(0, of);
            StepView {
                name: &step.name,
                kind: match step.kind {
                    StepKind::Task(_) => "task",
                    StepKind::Map(_) => "map",
                    StepKind::Parallel(_) => "parallel",
                    StepKind::Pipeline(_) => "pipeline",
                    StepKind::Scatter(_) => "scatter",
                    StepKind::Loop(_) => "loop",
                    StepKind::Wait(_) => "wait",
                    StepKind::Approval(_) => "approval",
                    StepKind::Workflow(_) => "workflow",
                    StepKind::Auto(_) => "auto",
                },
                phase,
                message: message.or(match phase {
                    StepPhase::Skipped | StepPhase::Cancelled => Some("the run ended before it"),
                    _ => None,
                }),
                tasks: count(|state| state.tasks),
                succeeded: count(|state| state.succeeded),
                failed: count(|state| state.failed),
                retries: count(|state| state.retries),
                run: self.run_of_step(index),
                plan: state.and_then(|state| state.planned.as_deref()),
                started_at: state.and_then(|state| state.started_at),
                ended_at: state.and_then(|state| state.ended_at),
            }
        })
    }

    /// The output of a run that ended: of a successful one what its `output` says, or the outputs of the steps that no other
    /// step waits for; of one that failed under `Continue` the outputs of those of them that succeeded. None when they are removed.
    pub fn output(&self) -> Option<Value> {
        let finish = self.state.finished.as_ref().filter(|_| self.state.outputs_removed_at.is_none())?;
        match (finish.phase, self.plan.definition.on_failure) {
            (FinalPhase::Succeeded, _) => self.state.output(&self.plan).ok(),
            (FinalPhase::Failed | FinalPhase::OutcomeUnknown, FailurePolicy::Continue) => {
                Some(self.state.outputs_of_last_steps(&self.plan, |step| step.phase == StepPhase::Succeeded))
            }
            _ => None,
        }
    }
}

impl State {
    pub(super) fn output(&self, plan: &Plan) -> Result<Value, expression::Error> {
        match &plan.output {
            Some(template) => template.evaluate(&self.scope(plan, template.references())),
            None => Ok(self.outputs_of_last_steps(plan, |_| true)),
        }
    }

    fn outputs_of_last_steps(&self, plan: &Plan, wanted: fn(&StepState) -> bool) -> Value {
        let last = plan.steps.iter().zip(&self.steps).enumerate();
        let outputs = last.filter(|(_, (step, state))| step.is_last() && wanted(state)).map(|(index, (_, state))| {
            (plan.name(index).as_str().to_owned(), state.view.get("output").cloned().unwrap_or_default())
        });
        Value::Object(outputs.collect::<Map<_, _>>())
    }
}

/// The failed steps in a sentence; none when there is none.
pub(super) fn failures(plan: &Plan, state: &State) -> Option<String> {
    let unknown = state.failed.iter().find(|step| state.steps[**step].phase == StepPhase::OutcomeUnknown);
    let told = *unknown.or(state.failed.first())?;
    let message = state.steps[told].message.as_deref().unwrap_or("no reason was given");
    let others = match state.failed.len() - 1 {
        0 => String::new(),
        1 => " (and 1 other step failed)".to_owned(),
        more => format!(" (and {more} other steps failed)"),
    };
    Some(format!("step {}: {message}{others}", plan.name(told)))
}

/// The ended steps in a sentence.
pub(super) fn successes(state: &State) -> String {
    let skipped = state.steps.iter().filter(|step| step.phase == StepPhase::Skipped).count();
    let succeeded = state.steps.len() - skipped;
    match skipped {
        0 => format!("{succeeded} steps succeeded"),
        _ => format!("{succeeded} steps succeeded, {skipped} skipped"),
    }
}
