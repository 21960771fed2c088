//! What is booked, and amounts of all of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::unit::{Quantity, Unit};

/// Something of which a level has a limited amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    /// Agents, counted by the largest sizes of pools.
    Agents,
    /// CPU requests, in millicores.
    Cpu,
    /// Memory requests, in bytes.
    Memory,
    /// Requested GPUs.
    Gpus,
    /// Tokens in a minute.
    TokensPerMinute,
    /// Requests to models in an hour.
    RequestsPerHour,
    /// Money in a day, in millionths.
    SpendPerDay,
}

impl Resource {
    /// All resources, in the order in which they are checked.
    pub const ALL: [Self; 7] = [
        Self::Agents,
        Self::Cpu,
        Self::Memory,
        Self::Gpus,
        Self::TokensPerMinute,
        Self::RequestsPerHour,
        Self::SpendPerDay,
    ];

    /// Its field in a quota.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Gpus => "gpus",
            Self::TokensPerMinute => "tokensPerMinute",
            Self::RequestsPerHour => "requestsPerHour",
            Self::SpendPerDay => "spendPerDay",
        }
    }

    /// The value as a manifest holds it.
    pub const fn quantity(self, value: u64) -> Quantity {
        let unit = match self {
            Self::Agents | Self::Gpus | Self::TokensPerMinute | Self::RequestsPerHour => Unit::Count,
            Self::Cpu => Unit::Millicores,
            Self::Memory => Unit::Bytes,
            Self::SpendPerDay => Unit::Micros,
        };
        Quantity { value, unit }
    }

    /// What stands behind an amount in a sentence, such as `tokens per minute`.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Gpus => "GPUs",
            Self::TokensPerMinute => "tokens per minute",
            Self::RequestsPerHour => "requests per hour",
            Self::SpendPerDay => "spend per day",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An amount of each resource, in its base unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amounts([u64; 7]);

impl Amounts {
    /// Nothing of anything.
    pub const NONE: Self = Self([0; 7]);

    /// The amount of one resource.
    pub const fn get(&self, resource: Resource) -> u64 {
        self.0[resource as usize]
    }

    /// With another amount of one resource.
    #[must_use]
    pub const fn with(mut self, resource: Resource, amount: u64) -> Self {
        self.0[resource as usize] = amount;
        self
    }

    /// So much as so many of these need together.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.map(|amount| amount.saturating_mul(count)))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// This without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    /// The larger of each.
    #[must_use]
    pub fn or_larger(self, other: Self) -> Self {
        self.zip(other, u64::max)
    }

    /// Whether there is nothing of anything.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The resources of which there is something.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, u64)> {
        Resource::ALL.into_iter().map(|resource| (resource, self.get(resource))).filter(|(_, amount)| *amount > 0)
    }

    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self(Resource::ALL.map(|resource| join(self.get(resource), other.get(resource))))
    }
}

impl FromIterator<(Resource, u64)> for Amounts {
    fn from_iter<I: IntoIterator<Item = (Resource, u64)>>(amounts: I) -> Self {
        amounts.into_iter().fold(Self::NONE, |sum, (resource, amount)| sum.plus(Self::NONE.with(resource, amount)))
    }
}
