//! When runs start by themselves: the schedule of the Workflow.

use tetrarch_core::schedule;
use tetrarch_crds::workflow::{ConcurrencyPolicy, Schedule};

use super::super::{draft::Draft, source::Node};

/// Fields that are not carried over.
const FIELDS: [(&str, &str, &str); 3] = [
    ("every", "starts runs at an interval", "write the times into spec.schedule.cron"),
    ("after", "starts a run when the one before has ended", "write a loop, or times into spec.schedule.cron"),
    ("on", "starts runs when events come", "have runs asked for where the event comes from, or write spec.triggers"),
];

/// Carries the times over; they are read in UTC, as there.
pub(super) fn carry_over(written: &Node<'_>, draft: &mut Draft) {
    written.leave_fields(&FIELDS);
    let Some(node) = written.get("cron") else { return };
    let Some(cron) = node.as_text() else { return node.leave("is no text", "write spec.schedule.cron") };
    if let Some(name) = draft.lacks_a_value() {
        let instead = format!("give the parameter {name:?} a value, and write spec.schedule");
        return node.leave("starts runs that are given no values", instead);
    }
    if let Err(error) = schedule::Schedule::read(cron, "UTC") {
        return node.leave(format!("cannot be read: {error}"), "write spec.schedule.cron");
    }
    draft.schedule(Schedule {
        cron: cron.to_owned(),
        time_zone: "UTC".to_owned(),
        concurrency: ConcurrencyPolicy::Allow,
        starting_deadline: "10m".into(),
        suspend: false,
    });
}
