//! What stays known of a run that has ended when its outputs are removed.
//!
//! The fold computes phases and counts from results, so a journal without them would tell nonsense. Before anything is removed the final
//! facts of every step are written down, and from that entry on they are the state, whatever of the entries before is still there.

use jiff::Timestamp;

use super::{Run, state::StepState, step::Fold};
use crate::workflow::journal::{KeptStep, RunEvent};

/// Longest message of a step that is kept, in characters: those of all steps fit into one entry.
const MAX_MESSAGE: usize = 1024;

impl Run {
    /// Since when its outputs are removed.
    pub fn outputs_removed_at(&self) -> Option<Timestamp> {
        self.state.outputs_removed_at
    }

    /// The entry that has to be in the journal before outputs are removed; none when the run has not ended, or has it already.
    pub fn without_outputs(&self) -> Option<RunEvent> {
        if self.state.finished.is_none() || self.state.outputs_removed_at.is_some() {
            return None;
        }
        let steps = self.steps().zip(&self.state.steps).map(|(seen, state)| KeptStep {
            step: seen.name.clone(),
            phase: seen.phase,
            message: seen.message.map(bound),
            tasks: seen.tasks,
            succeeded: seen.succeeded,
            failed: seen.failed,
            retries: seen.retries,
            last_attempt: state.last_attempt,
            is_planned: state.planned.is_some(),
            started_at: seen.started_at,
            ended_at: seen.ended_at,
        });
        let ended = u32::try_from(self.state.ended).unwrap_or(u32::MAX);
        Some(RunEvent::OutputsRemoved { ended, steps: steps.collect() })
    }
}

fn bound(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

impl Fold<'_> {
    /// From here on the run is what the entry says of it. False when it has not ended, or was told so before.
    pub(super) fn outputs_removed(&mut self, ended: u32, steps: &[KeptStep]) -> bool {
        if self.state.finished.is_none() || self.state.outputs_removed_at.is_some() {
            return false;
        }
        for (index, step) in self.state.steps.iter_mut().enumerate() {
            let name = self.plan.name(index);
            let Some(kept) = steps.iter().find(|kept| kept.step == *name) else { continue };
            let planned = self.state.control.plans.get(&index).filter(|_| kept.is_planned).cloned();
            *step = StepState {
                phase: kept.phase,
                message: kept.message.clone(),
                last_attempt: kept.last_attempt,
                started_at: kept.started_at,
                ended_at: kept.ended_at,
                tasks: kept.tasks,
                succeeded: kept.succeeded,
                failed: kept.failed,
                retries: kept.retries,
                planned,
                ..StepState::pending(0)
            };
        }
        let state = &mut *self.state;
        state.outputs_removed_at = Some(self.at);
        state.ended = ended as usize;
        state.control.left.clear();
        state.control.order.clear();
        state.control.doubts.clear();
        (state.compensation, state.asking_since, state.questions) = (None, None, 0);
        state.done.clear();
        state.failed.clear();
        state.in_flight.clear();
        self.memo.forget();
        true
    }
}
