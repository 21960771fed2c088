//! Where a value of policy comes from: an object of the hierarchy at one generation, and one of its policies.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use super::Level;

/// An object that declares policies, as it was at one generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its level, which is also its kind.
    pub level: Level,
    /// Its namespace; none for the cluster-wide kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} (generation {})", self.level, self.name, self.generation)
    }
}

/// One policy of one object. Ordered from the highest level down; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
struct Parts {
    #[serde(flatten)]
    owner: Owner,
    policy: String,
}

impl Origin {
    /// The policy of this name of that object.
    pub fn new(owner: Owner, policy: impl Into<String>) -> Self {
        Self(Arc::new(Parts { owner, policy: policy.into() }))
    }

    /// The object.
    pub fn owner(&self) -> &Owner {
        &self.0.owner
    }

    /// The name of the policy.
    pub fn policy(&self) -> &str {
        &self.0.policy
    }

    /// The level of the object.
    pub fn level(&self) -> Level {
        self.0.owner.level
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {:?} of {}", self.0.policy, self.0.owner)
    }
}
