//! The names that a policy can restrict to a list of patterns.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Kind;

/// A name that objects use and that a policy can restrict; the intersection of all declared lists holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Allowance {
    /// Images of containers, as full references with registry and repository.
    Images,
    /// Regions in which agents run.
    Regions,
    /// Other Domains that a Domain exports to or imports from.
    Domains,
    /// Priority classes of Workflows.
    Priorities,
}

impl Allowance {
    /// All allowances.
    pub const ALL: [Self; 4] = [Self::Images, Self::Regions, Self::Domains, Self::Priorities];

    /// Its field in `allow`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Regions => "regions",
            Self::Domains => "domains",
            Self::Priorities => "priorities",
        }
    }

    /// The kinds of objects that use such names.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Images => &[Kind::AgentPool, Kind::Pod],
            Self::Regions => &[Kind::AgentPool],
            Self::Domains => &[Kind::Domain],
            Self::Priorities => &[Kind::Workflow],
        }
    }

    /// Whether an object cannot do without such a name, so that a list without names forbids everything. A Domain lives
    /// well without other Domains.
    pub const fn is_indispensable(self) -> bool {
        !matches!(self, Self::Domains)
    }

    /// One such name in a sentence.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Images => "image",
            Self::Regions => "region",
            Self::Domains => "Domain",
            Self::Priorities => "priority",
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
