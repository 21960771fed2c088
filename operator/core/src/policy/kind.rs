//! The small enums of policy: governed kinds, levels that declare, actions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is none of the expected words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: write one of {known}")]
pub struct Unknown {
    /// The refused text.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// The words that can be written.
    pub known: String,
}

macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident),+) => {
        impl $name {
            /// All of them, in their order.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// The word in manifests.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Unknown;

            fn from_str(text: &str) -> Result<Self, Unknown> {
                Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or_else(|| Unknown {
                    text: text.to_owned(),
                    what: $what,
                    known: Self::ALL.map(Self::as_str).join(", "),
                })
            }
        }
    };
}

/// A kind of object that policies govern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The root of a hierarchy.
    Orchestrator,
    /// A tenant.
    Domain,
    /// A runtime that routes and drives runs.
    Supervisor,
    /// A pool of agents.
    AgentPool,
    /// A definition of work.
    Workflow,
    /// A pod in the namespace of a Domain.
    Pod,
}

words!(Kind, "governed kind", Orchestrator, Domain, Supervisor, AgentPool, Workflow, Pod);

/// A level that declares policies, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// The whole hierarchy.
    Orchestrator,
    /// One tenant.
    Domain,
    /// One Supervisor of a tenant.
    Supervisor,
    /// One pool.
    AgentPool,
    /// One definition of work.
    Workflow,
}

words!(Level, "level", Orchestrator, Domain, Supervisor, AgentPool, Workflow);

impl Level {
    /// The kind of the objects of this level.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Orchestrator => Kind::Orchestrator,
            Self::Domain => Kind::Domain,
            Self::Supervisor => Kind::Supervisor,
            Self::AgentPool => Kind::AgentPool,
            Self::Workflow => Kind::Workflow,
        }
    }
}

/// What happens to an object that violates a policy, the mildest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// It is recorded.
    Audit,
    /// The writer is warned, and it is recorded.
    Warn,
    /// The object is stored and held until an authorized person approves it.
    RequireApproval,
    /// The write is refused.
    #[default]
    Deny,
}

words!(Action, "action", Audit, Warn, RequireApproval, Deny);
