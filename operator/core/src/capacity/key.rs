//! Names the nodes of the tree.

use std::{fmt, str::FromStr};

use crate::policy::Level;

/// An object of the hierarchy. As text it is `<level>/<namespace>/<name>`, with one letter for the level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its level, which is also its kind.
    pub level: Level,
    /// Its namespace; empty for the cluster-wide kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key of the ledger: it has the form <o|d|s|p|w>/<namespace>/<name>")]
pub struct InvalidKey(pub String);

impl Key {
    /// An Orchestrator.
    pub fn orchestrator(name: impl Into<String>) -> Self {
        Self { level: Level::Orchestrator, namespace: String::new(), name: name.into() }
    }

    /// A Domain.
    pub fn domain(name: impl Into<String>) -> Self {
        Self { level: Level::Domain, namespace: String::new(), name: name.into() }
    }

    /// A Supervisor.
    pub fn supervisor(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { level: Level::Supervisor, namespace: namespace.into(), name: name.into() }
    }

    /// An `AgentPool`.
    pub fn pool(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { level: Level::AgentPool, namespace: namespace.into(), name: name.into() }
    }

    /// The text that stands for it in the stored ledger.
    pub fn to_text(&self) -> String {
        let letter = match self.level {
            Level::Orchestrator => 'o',
            Level::Domain => 'd',
            Level::Supervisor => 's',
            Level::AgentPool => 'p',
            Level::Workflow => 'w',
        };
        format!("{letter}/{}/{}", self.namespace, self.name)
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(letter), Some(namespace), Some(name), None) if !name.is_empty() => {
                let level = match letter {
                    "o" => Level::Orchestrator,
                    "d" => Level::Domain,
                    "s" => Level::Supervisor,
                    "p" => Level::AgentPool,
                    "w" => Level::Workflow,
                    _ => return Err(InvalidKey(text.to_owned())),
                };
                Ok(Self { level, namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(InvalidKey(text.to_owned())),
        }
    }
}

/// For people: `AgentPool "classifier"`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.level, self.name)
    }
}
