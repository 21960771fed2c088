//! Limits of policies as numbers in their base units.

use std::{collections::BTreeMap, fmt};

use tetrarch_core::policy::Limit;
use tetrarch_crds::policy::Limits;

use crate::{duration, money, quantity, violation::Violations};

/// The limits that can be read.
pub(super) fn limits(path: &str, written: &Limits, violations: &mut Violations) -> BTreeMap<Limit, u64> {
    let mut limits = BTreeMap::new();
    let mut note = |limit: Limit, read: Option<Result<u64, String>>| {
        let Some(read) = read else { return };
        limits.extend(violations.check(&format!("{path}.{limit}"), read).map(|value| (limit, value)));
    };
    note(Limit::Agents, written.agents.map(count));
    note(Limit::TasksPerAgent, written.tasks_per_agent.map(count));
    note(Limit::ConcurrentTasks, written.concurrent_tasks.map(count));
    note(Limit::TaskTimeout, written.task_timeout.as_ref().map(|text| millis(&text.0)));
    note(Limit::RunTimeout, written.run_timeout.as_ref().map(|text| millis(&text.0)));
    note(Limit::HandOvers, written.hand_overs.map(count_from_none));
    note(Limit::CpuPerAgent, written.cpu_per_agent.as_ref().map(|text| told(quantity::millis(&text.0))));
    note(Limit::MemoryPerAgent, written.memory_per_agent.as_ref().map(|text| told(quantity::units(&text.0))));
    note(Limit::TokensPerMinute, written.tokens_per_minute.map(count));
    note(Limit::RequestsPerHour, written.requests_per_hour.map(count));
    note(Limit::SpendPerDay, written.spend_per_day.as_ref().map(|text| told(money::micros(&text.0))));
    limits
}

fn count(number: impl Into<i64>) -> Result<u64, String> {
    let number = number.into();
    u64::try_from(number).ok().filter(|n| *n > 0).ok_or_else(|| format!("is {number}: write at least 1"))
}

fn count_from_none(number: i32) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("is {number}: write at least 0"))
}

fn millis(text: &str) -> Result<u64, String> {
    let duration = told(duration::parse_positive(text))?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn told<T, E: fmt::Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}
