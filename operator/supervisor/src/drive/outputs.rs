//! Removes the outputs of finished runs when their time is over; the runs themselves stay listed.
//!
//! First the final facts of the run go into its journal, and only when that entry is read everything else goes from the bus. So whoever
//! stops in between leaves a run of which the next look knows what is still to be removed.

use jiff::Timestamp;
use tetrarch_core::id::RunId;

use super::{
    Config, Driver,
    completions::Completions,
    control::wants_to_reopen,
    runs::{Runs, Slot},
};
use crate::janitor::Job;

impl Driver {
    /// Removes the outputs that need not be kept.
    pub(super) fn remove_outputs(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        let mut next = self.next_retention;
        for slot in self.runs.finished().filter(|slot| self.owns(slot.run.id()) && slot.is_settled()) {
            match removal(&self.config, &self.runs, &self.completions, slot) {
                Some(at) if at <= now => due.push(slot.run.id().clone()),
                Some(at) => next = next.into_iter().chain([at]).min(),
                None => {}
            }
        }
        self.next_retention = next;
        for run in due {
            self.remove_outputs_of(&run);
        }
    }

    fn remove_outputs_of(&mut self, id: &RunId) {
        let Some(slot) = self.runs.get_mut(id) else { return };
        if slot.run.outputs_removed_at().is_some() {
            tracing::info!(run = %id, "outputs of the run are beyond their retention: removing them");
            (slot.is_removing, slot.holds_work) = (true, false);
            self.jobs.push(Job::Outputs(id.clone()));
        } else if slot.appends.is_empty()
            && slot.can_reissue()
            && let Some(event) = slot.run.without_outputs()
        {
            slot.appends.push_back(event);
            self.append_next(id);
        }
    }

    pub(super) fn observe_outputs_removed(&mut self, run: &RunId) {
        let Some(slot) = self.runs.get_mut(run) else { return };
        slot.is_removing = false;
        // What came in the meantime goes, too.
        self.changed.finished |= slot.holds_work;
    }
}

/// When something is to be done for the outputs of a run to go; none as long as somebody needs them, or when they are gone.
fn removal(config: &Config, runs: &Runs, completions: &Completions, slot: &Slot) -> Option<Timestamp> {
    if slot.run.outputs_removed_at().is_some() {
        return (slot.holds_work && !slot.is_removing).then_some(Timestamp::MIN);
    }
    let snapshot = config.workflows.get(&slot.run.definition().workflow);
    let is_to_go_on = || snapshot.is_some_and(|snapshot| wants_to_reopen(&slot.run, &snapshot.control).is_some());
    if runs.is_needed(slot) || completions.is_awaited(slot.run.id()) || is_to_go_on() {
        return None;
    }
    if slot.run.is_of_plan() {
        // They go with those of the run that it works for.
        let above = runs.get(&slot.run.parent()?.run)?;
        return above.run.outputs_removed_at();
    }
    let definition = snapshot.map_or(slot.run.definition(), |snapshot| &snapshot.definition);
    slot.run.ended_at()?.checked_add(definition.keep_outputs_for?).ok()
}
