//! The schedule of a Workflow: what its Supervisor is told, and when its status is to be looked at again.

use std::time::Duration;

use jiff::Timestamp;
use kube_core::{Resource, ResourceExt};
use tetrarch_crds::Workflow;
use tetrarch_protocol::snapshot::ScheduleSnapshot;

use crate::{names, parse};

/// What the Supervisor is told; none when there is no schedule, or it is suspended.
pub(super) fn snapshot(object: &Workflow, now: Timestamp) -> Option<ScheduleSnapshot> {
    let schedule = parse::workflow::schedule(object).filter(|schedule| !schedule.is_suspended)?;
    let uid = object.meta().uid.clone().unwrap_or_default();
    Some(ScheduleSnapshot {
        cron: schedule.cron,
        time_zone: schedule.time_zone,
        concurrency: schedule.concurrency,
        starting_deadline: schedule.starting_deadline,
        since: since(object, now)?,
        prefix: names::run_prefix(&object.name_any(), &uid),
    })
}

/// From when on times begin runs: since the schedule was written, changed or resumed, to the minute. None while it is suspended.
pub fn since(object: &Workflow, now: Timestamp) -> Option<Timestamp> {
    let written = object.spec.schedule.as_ref().filter(|schedule| !schedule.suspend)?;
    let known = object.status.as_ref().and_then(|status| status.schedule.as_ref());
    let same = known.filter(|known| known.cron == written.cron && known.time_zone == written.time_zone);
    let minute = Duration::from_secs(now.as_second().rem_euclid(60).unsigned_abs());
    let this_minute = Timestamp::from_second(now.as_second()).ok()?.checked_sub(minute).ok()?;
    Some(same.and_then(|known| known.since.as_ref()).map_or(this_minute, |since| since.0))
}

/// The next time at which a run begins.
pub fn next(object: &Workflow, now: Timestamp) -> Option<Timestamp> {
    parse::workflow::schedule(object).filter(|schedule| !schedule.is_suspended)?.times.next(now)
}
