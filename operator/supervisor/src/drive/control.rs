//! Writes down what people ask of runs that exist. What is asked is a state to be reached, so that asking twice, or being asked again
//! after a restart, writes it once.

use tetrarch_core::{
    id::RunId,
    workflow::{journal::RunEvent, run::Run},
};
use tetrarch_protocol::control::{Asked, Control};

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
        if let Some(event) = plan_control(&slot.run, &snapshot.control) {
            tracing::info!(run = %id, ?event, "somebody asked");
            slot.appends.push_back(event);
            self.append_next(id);
        }
    }
}

/// What has to be written down about a run for what is asked of it to be true; none when it is.
fn plan_control(run: &Run, control: &Control) -> Option<RunEvent> {
    if run.ended_at().is_some() {
        return None;
    }
    let find = |asked: &[Asked]| Asked::find(asked, run.id()).cloned();
    if let Some(Asked { cause, stamp, .. }) = find(&control.terminate) {
        return (!run.is_terminate_requested()).then_some(RunEvent::TerminateRequested { cause, stamp });
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
