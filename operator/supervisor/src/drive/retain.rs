//! Keeps as many finished runs as each Workflow says, and purges the others, the oldest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tetrarch_core::{
    id::{Name, RunId},
    schedule::time_of,
};

use super::{Config, Driver, completions::Completions, runs::Runs};
use crate::{janitor::Job, report::Report};
use tetrarch_protocol::summary::workflow_key;

impl Driver {
    /// Purges the finished runs that need not be kept.
    pub(super) fn retain(&mut self, now: Timestamp) {
        let plan = plan_purges(&self.config, &self.runs, &self.completions, now);
        self.next_retention = plan.next;
        for run in plan.purges {
            if self.owns(&run) {
                if let Some(slot) = self.runs.get_mut(&run)
                    && !slot.is_purging
                {
                    tracing::info!(%run, "run is beyond its retention: purging it");
                    slot.is_purging = true;
                    // The run that it follows goes first: as long as that one is there, it would begin again.
                    let before = slot.run.origin().and_then(|origin| origin.run.clone());
                    self.jobs.push(before.map_or(Job::Run(run.clone()), |before| Job::Follower { run, before }));
                }
            } else {
                self.runs.expire(&run);
            }
        }
        self.remove_outputs(now);
        // A Workflow that is deleted and was never run, or whose runs others purged, has no report any more.
        let gone: Vec<Name> = self
            .config
            .workflows
            .iter()
            .filter(|(name, snapshot)| snapshot.deleted && self.runs.latest(name).is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for workflow in gone {
            self.remove_report(&workflow);
        }
    }

    pub(super) fn observe_purged(&mut self, run: &RunId) {
        self.changed.runs.extend(self.runs.children_of(run));
        let Some(slot) = self.runs.remove(run) else { return };
        let owner = slot.owner(&self.config.workflows);
        for outstanding in slot.outstanding.values() {
            self.queues.take(&outstanding.pool, owner);
        }
        for (pool, tasks) in &slot.wanting {
            self.queues.want(pool, owner, *tasks, 0);
        }
        self.changed.finished = true;
    }

    fn remove_report(&mut self, workflow: &Name) {
        let key = workflow_key(&self.supervisor, workflow);
        if self.leads() && self.reported.get(&key).is_none_or(|value| !value.is_empty()) {
            // An empty value stands for the deleted key.
            if self.outputs.reports.try_send(Report { key: key.clone(), value: None }).is_ok() {
                self.reported.insert(key, bytes::Bytes::new());
            }
        }
    }
}

/// What is to be purged.
struct Plan {
    purges: Vec<RunId>,
    /// When the next run becomes too old.
    next: Option<Timestamp>,
}

/// The finished runs that need not be kept, the oldest first. Those of plans are kept with the runs that they work for. A run that is still wanted by its id is kept whatever its age: purged, it
/// would look as if it had never been, and start again. So is one whose end the run that waits for it does not know yet, one that is
/// followed by a run that has not begun, one that follows a run that is kept, and the latest run of a Workflow: it is what people see.
fn plan_purges(config: &Config, runs: &Runs, completions: &Completions, now: Timestamp) -> Plan {
    let mut kept: BTreeMap<&Name, u32> = BTreeMap::new();
    let mut scheduled: BTreeSet<&Name> = BTreeSet::new();
    let mut purges = Vec::new();
    let mut next: Option<Timestamp> = None;
    for slot in runs.finished() {
        if slot.run.is_of_plan() {
            // It goes with the run that it works for.
            if slot.run.parent().is_none_or(|parent| runs.get(&parent.run).is_none()) {
                purges.push(slot.run.id().clone());
            }
            continue;
        }
        let definition = slot.run.definition();
        let snapshot = config.workflows.get(&definition.workflow);
        let is_deleted = snapshot.is_some_and(|snapshot| snapshot.deleted);
        let is_wanted =
            snapshot.is_some_and(|snapshot| snapshot.runs.iter().any(|wanted| wanted.run == *slot.run.id()));
        // The same holds for the last run of a schedule.
        let prefix = snapshot.and_then(|snapshot| snapshot.schedule.as_ref()).map(|schedule| &schedule.prefix);
        let is_scheduled = prefix.is_some_and(|prefix| time_of(prefix, slot.run.id()).is_some());
        let is_wanted = is_wanted || (is_scheduled && scheduled.insert(&definition.workflow));
        let follows = slot.run.origin().and_then(|origin| origin.run.as_ref());
        let follows = follows.is_some_and(|run| runs.get(run).is_some() || runs.unreadable(run).is_some());
        let is_wanted = is_wanted || follows;
        let is_awaited = runs.is_awaited(slot) || completions.is_awaited(slot.run.id());
        let keep = snapshot.map_or(definition.keep_runs, |snapshot| snapshot.definition.keep_runs);
        let keep_for = snapshot.map_or(definition.keep_runs_for, |snapshot| snapshot.definition.keep_runs_for);
        let is_latest = runs.latest(&definition.workflow).is_some_and(|latest| latest.accepted == slot.accepted);
        let old_at = keep_for
            .filter(|_| !is_latest)
            .zip(slot.run.ended_at())
            .and_then(|(keep_for, ended)| ended.checked_add(keep_for).ok());
        let is_old = old_at.is_some_and(|at| at <= now);
        let count = kept.entry(&definition.workflow).or_default();
        if is_awaited || (!is_deleted && (is_wanted || (*count < keep && !is_old))) {
            *count += 1;
            next = next.into_iter().chain(old_at.filter(|at| *at > now)).min();
        } else {
            purges.push(slot.run.id().clone());
        }
    }
    purges.reverse();
    Plan { purges, next }
}
