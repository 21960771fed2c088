//! The schedule of a Workflow.

use std::time::Duration;

use tetrarch_core::schedule::{Concurrency, Schedule};
use tetrarch_crds::{
    WorkflowSpec,
    workflow::{ConcurrencyPolicy, Schedule as Written},
};

use crate::{duration, violation::Violations};

/// A schedule that was read.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Its times.
    pub times: Schedule,
    /// Its expression.
    pub cron: String,
    /// Its time zone.
    pub time_zone: String,
    /// What happens when the run before has not ended.
    pub concurrency: Concurrency,
    /// How much later than at its time a run may begin.
    pub starting_deadline: Duration,
    /// Whether no further runs begin.
    pub is_suspended: bool,
}

/// Reads the schedule; none when there is none, or it is wrong.
pub fn schedule(spec: &WorkflowSpec, violations: &mut Violations) -> Option<Scheduled> {
    let Written { cron, time_zone, concurrency, starting_deadline, suspend } = spec.schedule.as_ref()?;
    let deadline = violations.check("spec.schedule.startingDeadline", duration::parse_positive(&starting_deadline.0));
    let times = Schedule::read(cron, time_zone);
    let field = match &times {
        Err(tetrarch_core::schedule::Error::Zone(_)) => "spec.schedule.timeZone",
        _ => "spec.schedule.cron",
    };
    let times = violations.check(field, times);
    for (index, parameter) in spec.parameters.iter().enumerate().filter(|(_, parameter)| parameter.value.is_none()) {
        let path = format!("spec.parameters[{index}].value");
        let problem = format!(
            "is missing, and a run that the schedule begins is given no values: write a value for {:?}, or remove spec.schedule",
            parameter.name
        );
        violations.add(path, problem);
    }
    Some(Scheduled {
        times: times?,
        cron: cron.clone(),
        time_zone: time_zone.clone(),
        concurrency: match concurrency {
            ConcurrencyPolicy::Allow => Concurrency::Allow,
            ConcurrencyPolicy::Forbid => Concurrency::Forbid,
            ConcurrencyPolicy::Replace => Concurrency::Replace,
        },
        starting_deadline: deadline?,
        is_suspended: *suspend,
    })
}
