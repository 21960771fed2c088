//! Takes what people have decided into the journals of the runs that wait for it.
//!
//! A decision is in the configuration for as long as its stamp is on the Workflow. It is appended once: only while the run asks
//! that very question, on the condition that every event has, and not while it is among the events to append.

use tetrarch_core::{
    id::{Name, RunId},
    workflow::{journal::RunEvent, run::Question},
};
use tetrarch_protocol::{
    snapshot::StepDecision,
    summary::{MAX_WAITING, WaitingStep},
};

use super::{Driver, runs::Slot};
use crate::report::bound;

impl Driver {
    /// Appends the decisions that runs of ours wait for.
    pub(super) fn take_decisions(&mut self) {
        let mut taken: Vec<(RunId, RunEvent)> = Vec::new();
        for decided in self.config.workflows.values().flat_map(|snapshot| &snapshot.decisions) {
            let slot = self.runs.get(&decided.run).filter(|slot| self.owns(slot.run.id()) && slot.is_open());
            if slot.is_some_and(|slot| waits_for(slot, decided)) {
                let StepDecision { run, step, attempt, decision, .. } = decided.clone();
                taken.push((run, RunEvent::Decided { step, attempt, decision }));
            }
        }
        for (run, event) in taken {
            if let Some(slot) = self.runs.get_mut(&run) {
                slot.appends.push_back(event);
            }
            self.append_next(&run);
        }
    }

    /// Everything of a Workflow that waits for people, of its oldest run first.
    pub(super) fn waiting_steps(&self, workflow: &Name) -> Vec<WaitingStep> {
        let runs = self.runs.unfinished().filter(|slot| slot.run.definition().workflow == *workflow);
        let questions = runs.flat_map(|slot| slot.run.questions().map(move |question| waiting_step(slot, &question)));
        questions.take(MAX_WAITING).collect()
    }
}

fn waits_for(slot: &Slot, decided: &StepDecision) -> bool {
    let is_ours = slot.run.definition().generation == decided.generation;
    let is_asked =
        slot.run.questions().any(|question| *question.step == decided.step && question.attempt == decided.attempt);
    let is_under_way = slot.appends.iter().any(|event| {
        matches!(event, RunEvent::Decided { step, attempt, .. } if *step == decided.step && *attempt == decided.attempt)
    });
    is_ours && is_asked && !is_under_way
}

fn waiting_step(slot: &Slot, question: &Question<'_>) -> WaitingStep {
    WaitingStep {
        run: slot.run.id().clone(),
        step: question.step.clone(),
        attempt: question.attempt,
        generation: slot.run.definition().generation,
        message: bound(question.message),
        since: question.since,
        until: question.until,
        approval: question.approval.clone(),
    }
}
