//! When a cron workflow runs: the schedule of the Workflow.

use tetrarch_core::schedule;
use tetrarch_crds::{
    shared::DurationText,
    workflow::{ConcurrencyPolicy, Schedule},
};

use super::{
    super::{Severity, draft::Draft, source::Node},
    pods, retry,
};

/// Carries the schedule over as far as a Workflow can have it.
pub(super) fn carry_over(holder: &Node<'_>, draft: &mut Draft) {
    holder.leave_fields(&pods::CRON);
    let Some((node, cron)) = first(holder) else {
        return holder.note(Severity::LeftOut, "has no schedule", "write spec.schedule");
    };
    if let Some(name) = draft.lacks_a_value() {
        let instead = format!("give the parameter {name:?} a value, and write spec.schedule");
        return node.leave("begins runs that are given no values", instead);
    }
    let written = holder.get("timezone");
    let zone = written.as_ref().and_then(Node::as_text).unwrap_or("UTC");
    match (schedule::Schedule::read(cron, zone), &written) {
        (Ok(_), _) => {}
        (Err(schedule::Error::Zone(_)), Some(written)) => {
            node.leave("has times of an unknown zone", "write spec.schedule");
            return written.leave("is no time zone that is known", "write spec.schedule.timeZone");
        }
        (Err(error), _) => return node.leave(format!("cannot be read: {error}"), "write spec.schedule.cron"),
    }
    if written.is_none() {
        let instead = "its times are read in UTC: write spec.schedule.timeZone for those of another place";
        node.note(Severity::Changed, "has no time zone", instead);
    }
    draft.schedule(Schedule {
        cron: cron.to_owned(),
        time_zone: zone.to_owned(),
        concurrency: concurrency(holder),
        starting_deadline: starting_deadline(holder),
        suspend: holder.truth("suspend").unwrap_or_default() || draft.is_suspended(),
    });
}

/// The only schedule that a Workflow can have.
fn first<'s>(holder: &Node<'s>) -> Option<(Node<'s>, &'s str)> {
    let mut all = holder.get("schedule").into_iter().chain(holder.list("schedules"));
    let first = all.next()?;
    for further in all {
        let instead = "a Workflow has one: import the manifest once more under another name, with this one";
        further.leave("is a further schedule", instead);
    }
    let cron = first.as_text()?;
    Some((first, cron))
}

fn concurrency(holder: &Node<'_>) -> ConcurrencyPolicy {
    let Some(node) = holder.get("concurrencyPolicy") else { return ConcurrencyPolicy::Allow };
    match node.as_text() {
        Some("Allow") => ConcurrencyPolicy::Allow,
        Some("Forbid") => ConcurrencyPolicy::Forbid,
        Some("Replace") => ConcurrencyPolicy::Replace,
        _ => {
            node.leave("is none of Allow, Forbid and Replace", "runs go on side by side: write schedule.concurrency");
            ConcurrencyPolicy::Allow
        }
    }
}

/// How late a run may begin.
fn starting_deadline(holder: &Node<'_>) -> DurationText {
    const DEFAULT: &str = "10m";
    let Some(node) = holder.get("startingDeadlineSeconds") else { return DEFAULT.into() };
    retry::seconds(&node).map_or_else(
        || {
            node.leave("lets no run begin late", "a run may begin 10m late: write schedule.startingDeadline");
            DEFAULT.into()
        },
        DurationText,
    )
}
