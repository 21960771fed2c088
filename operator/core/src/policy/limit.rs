//! The numbers that a policy can limit, with their units and where they are found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::unit::{Quantity, Unit};

/// A number that a policy can limit; the smallest of all declared values holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Largest size of one pool.
    Agents,
    /// Tasks that one agent works on at once.
    TasksPerAgent,
    /// Tasks that one pool works on at once: its largest size times the tasks of one agent.
    ConcurrentTasks,
    /// Longest time of one attempt at a task.
    TaskTimeout,
    /// Longest time of one run.
    RunTimeout,
    /// How often agents may hand one task on.
    HandOvers,
    /// CPU that one agent requests or is limited to, whichever is larger.
    CpuPerAgent,
    /// Memory that one agent requests or is limited to, whichever is larger.
    MemoryPerAgent,
    /// Tokens that one pool may use in a minute.
    TokensPerMinute,
    /// Requests to models that one pool may make in an hour.
    RequestsPerHour,
    /// Money that one pool may spend in a day.
    SpendPerDay,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 11] = [
        Self::Agents,
        Self::TasksPerAgent,
        Self::ConcurrentTasks,
        Self::TaskTimeout,
        Self::RunTimeout,
        Self::HandOvers,
        Self::CpuPerAgent,
        Self::MemoryPerAgent,
        Self::TokensPerMinute,
        Self::RequestsPerHour,
        Self::SpendPerDay,
    ];

    /// Its field in `limits`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::TasksPerAgent => "tasksPerAgent",
            Self::ConcurrentTasks => "concurrentTasks",
            Self::TaskTimeout => "taskTimeout",
            Self::RunTimeout => "runTimeout",
            Self::HandOvers => "handOvers",
            Self::CpuPerAgent => "cpuPerAgent",
            Self::MemoryPerAgent => "memoryPerAgent",
            Self::TokensPerMinute => "tokensPerMinute",
            Self::RequestsPerHour => "requestsPerHour",
            Self::SpendPerDay => "spendPerDay",
        }
    }

    /// The unit of its values.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Agents
            | Self::TasksPerAgent
            | Self::ConcurrentTasks
            | Self::HandOvers
            | Self::TokensPerMinute
            | Self::RequestsPerHour => Unit::Count,
            Self::TaskTimeout | Self::RunTimeout => Unit::Millis,
            Self::CpuPerAgent => Unit::Millicores,
            Self::MemoryPerAgent => Unit::Bytes,
            Self::SpendPerDay => Unit::Micros,
        }
    }

    /// The kinds of objects that have such a number.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Agents
            | Self::TasksPerAgent
            | Self::ConcurrentTasks
            | Self::TokensPerMinute
            | Self::RequestsPerHour
            | Self::SpendPerDay => &[Kind::AgentPool],
            Self::TaskTimeout | Self::RunTimeout | Self::HandOvers => &[Kind::Workflow],
            Self::CpuPerAgent | Self::MemoryPerAgent => &[Kind::AgentPool, Kind::Pod],
        }
    }

    /// The smallest value with which an object of these kinds can still work; below it the limit forbids everything.
    pub const fn least(self) -> u64 {
        match self {
            Self::HandOvers | Self::TokensPerMinute | Self::RequestsPerHour | Self::SpendPerDay => 0,
            _ => 1,
        }
    }

    /// The value as a manifest holds it, such as `30m`.
    pub const fn quantity(self, value: u64) -> Quantity {
        Quantity { value, unit: self.unit() }
    }

    /// The value in a sentence, such as `50 agents` or `a task timeout of 30m`.
    pub fn phrase(self, value: u64) -> String {
        let quantity = self.quantity(value);
        let s = if value == 1 { "" } else { "s" };
        match self {
            Self::Agents => format!("{quantity} agent{s}"),
            Self::TasksPerAgent => format!("{quantity} task{s} at once per agent"),
            Self::ConcurrentTasks => format!("{quantity} task{s} at once in one pool"),
            Self::TaskTimeout => format!("a task timeout of {quantity}"),
            Self::RunTimeout => format!("a run timeout of {quantity}"),
            Self::HandOvers => format!("{quantity} hand-over{s} of one task"),
            Self::CpuPerAgent => format!("{quantity} CPU per agent"),
            Self::MemoryPerAgent => format!("{quantity} memory per agent"),
            Self::TokensPerMinute => format!("{quantity} token{s} per minute"),
            Self::RequestsPerHour => format!("{quantity} request{s} per hour"),
            Self::SpendPerDay => format!("a spend of {quantity} per day"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
