//! Runs that begin by themselves: at the times of a schedule.
//!
//! Nothing is remembered between two looks but what a look at the clock and at the runs gives again: the id of such a run follows
//! from its time, and its first event is written on the condition that there is none, so each time begins at most one run, whichever
//! replica is up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tetrarch_core::{
    id::Name,
    schedule::{Concurrency, Schedule, run_of, time_of},
};
use tetrarch_protocol::snapshot::{RunRequest, ScheduleSnapshot};

use super::Driver;

/// The schedules of all Workflows.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    schedules: BTreeMap<Name, Clock>,
    /// Whether the configuration was read since it changed.
    is_read: bool,
}

/// A schedule and where it stands.
#[derive(Debug)]
struct Clock {
    snapshot: ScheduleSnapshot,
    times: Schedule,
    /// When it is to be looked at again.
    next: Option<Timestamp>,
    /// A time that has come and whose run has not begun.
    due: Option<Timestamp>,
    /// The last time whose run began.
    last: Option<Timestamp>,
    /// The run that is wanted now.
    wanted: Option<RunRequest>,
}

impl Triggers {
    /// The configuration changed.
    pub(super) fn read_again(&mut self) {
        self.is_read = false;
    }

    /// The runs of a Workflow that are to begin now.
    pub(super) fn wanted(&self, workflow: &Name) -> Option<&RunRequest> {
        self.schedules.get(workflow)?.wanted.as_ref()
    }

    /// The last time of a Workflow's schedule whose run began.
    pub(super) fn last(&self, workflow: &Name) -> Option<Timestamp> {
        self.schedules.get(workflow)?.last
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.schedules.values().filter_map(|clock| clock.next).min()
    }
}

impl Driver {
    /// Looks which scheduled times have come.
    pub(super) fn observe_schedules(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.triggers.is_read, true) {
            self.read_schedules();
        }
        let (has_changed, mut replaced) = (self.changed.wants, Vec::new());
        for (workflow, clock) in &mut self.triggers.schedules {
            let prefix = &clock.snapshot.prefix;
            if clock.next.is_none_or(|next| next <= now) {
                clock.due = clock.times.due(clock.snapshot.since, clock.snapshot.starting_deadline, now).or(clock.due);
                clock.next = clock.times.next(now);
            }
            let is_replacing = clock.snapshot.concurrency == Concurrency::Replace;
            if is_replacing && (has_changed || clock.due.is_some()) {
                // Also what another replica has begun meanwhile replaces those before it.
                let newest = clock.due.max(clock.last);
                let open = self.runs.unfinished().map(|slot| slot.run.id());
                let before = open.filter(|id| time_of(prefix, id).is_some_and(|time| Some(time) < newest));
                replaced.extend(before.cloned());
            }
            let Some(time) = clock.due else { continue };
            let was_wanted = clock.wanted.take();
            let Some(run) = run_of(prefix, time) else { continue };
            let is_late = time.checked_add(clock.snapshot.starting_deadline).is_ok_and(|end| end < now);
            if self.runs.is_known(&run) {
                clock.last = clock.last.max(Some(time));
                clock.due = None;
                self.changed.summaries.insert(workflow.clone());
                self.changed.wants = true;
                continue;
            }
            if is_late {
                tracing::warn!(%workflow, %time, "a scheduled run could not begin in time and is missed");
                clock.due = None;
                self.changed.wants = true;
                continue;
            }
            let mut open = self.runs.unfinished();
            if clock.snapshot.concurrency == Concurrency::Forbid
                && open.any(|slot| time_of(prefix, slot.run.id()).is_some())
            {
                continue;
            }
            self.changed.wants |= was_wanted.is_none();
            let cause = format!("schedule {time}");
            clock.wanted = Some(RunRequest { run, parameters: BTreeMap::new(), cause, stamp: None });
        }
        for run in replaced {
            self.cancel(&run, "the next run of its schedule replaces it".to_owned(), None);
        }
    }

    /// Takes over what the configuration says now.
    fn read_schedules(&mut self) {
        let written = |workflow: &Name| {
            let snapshot = self.config.workflows.get(workflow).filter(|snapshot| !snapshot.deleted)?;
            snapshot.schedule.as_ref()
        };
        self.triggers.schedules.retain(|workflow, clock| written(workflow) == Some(&clock.snapshot));
        for (workflow, snapshot) in &self.config.workflows {
            let Some(schedule) = snapshot.schedule.as_ref().filter(|_| !snapshot.deleted) else { continue };
            if self.triggers.schedules.contains_key(workflow) {
                continue;
            }
            match Schedule::read(&schedule.cron, &schedule.time_zone) {
                Ok(times) => {
                    let begun = self.runs.ids_of(workflow).filter_map(|run| time_of(&schedule.prefix, run)).max();
                    let snapshot = schedule.clone();
                    let clock = Clock { snapshot, times, next: None, due: None, last: begun, wanted: None };
                    self.triggers.schedules.insert(workflow.clone(), clock);
                }
                Err(error) => tracing::error!(%workflow, %error, "schedule is not readable"),
            }
        }
    }
}
