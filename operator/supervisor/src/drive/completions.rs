//! Runs that begin because a run of another Workflow has ended.
//!
//! Nothing is remembered of what has begun: the id of a run follows from the trigger and the run that ended, and its first event is
//! written on the condition that there is none. So that an end begins nothing twice, and none is lost, the run that ended is kept
//! until those that follow it are in the journal, and those are kept as long as it is.

use std::collections::{BTreeMap, BTreeSet};

use tetrarch_core::{
    id::{Name, RunId},
    workflow::trigger::Follower,
};
use tetrarch_protocol::snapshot::TriggerSnapshot;

use super::{Driver, runs::Slot};

/// What ended runs begin.
#[derive(Debug, Default)]
pub(super) struct Completions {
    /// Runs that are to begin, by their Workflows.
    due: BTreeMap<Name, Vec<Follower>>,
    /// Runs that ended and are followed by one that is not in the journal yet.
    awaited: BTreeSet<RunId>,
    /// Runs that do not begin because a condition is false, so that it is not evaluated at every end.
    declined: BTreeSet<RunId>,
}

impl Completions {
    /// The runs of a Workflow that are to begin.
    pub(super) fn due(&self, workflow: &Name) -> &[Follower] {
        self.due.get(workflow).map(Vec::as_slice).unwrap_or_default()
    }

    /// The conditions may have changed.
    pub(super) fn reconsider(&mut self) {
        self.declined.clear();
    }

    /// Whether a run that ended has to be kept for those that follow it.
    pub(super) fn is_awaited(&self, run: &RunId) -> bool {
        self.awaited.contains(run)
    }
}

impl Driver {
    /// Looks which runs follow those that have ended.
    pub(super) fn observe_completions(&mut self) {
        let mut found = Completions::default();
        for (workflow, snapshot) in self.config.workflows.iter().filter(|(_, snapshot)| !snapshot.deleted) {
            for trigger in &snapshot.triggers {
                self.observe_ends(workflow, trigger, &mut found);
            }
        }
        // The first end begins its run first.
        found.due.values_mut().for_each(|due| due.reverse());
        self.changed.wants |= !found.due.is_empty() || !self.completions.due.is_empty();
        // What was kept for a run that has begun may go.
        self.changed.finished |= found.awaited != self.completions.awaited;
        self.completions = found;
    }

    /// The runs of a Workflow that follow ended ones by one of its triggers and are not in the journal.
    fn observe_ends(&self, workflow: &Name, snapshot: &TriggerSnapshot, found: &mut Completions) {
        let TriggerSnapshot { trigger, since, prefix } = snapshot;
        let of_workflow = |slot: &&Slot| slot.run.definition().workflow == trigger.workflow;
        for slot in self.runs.finished().filter(of_workflow).filter(|slot| slot.unreadable.is_none()) {
            let Some(run) = trigger.run_after(prefix, *since, &slot.run).filter(|run| !self.runs.is_known(run)) else {
                continue;
            };
            let follower = (!self.completions.declined.contains(&run))
                .then(|| trigger.follow(workflow, prefix, *since, &slot.run))
                .flatten();
            match follower {
                Some(follower) => {
                    found.awaited.insert(slot.run.id().clone());
                    found.due.entry(workflow.clone()).or_default().push(follower);
                }
                None => {
                    found.declined.insert(run);
                }
            }
        }
    }
}
