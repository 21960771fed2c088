//! Tests of policies as data: who does what to which object of a hierarchy, and what the verdict must be.
//!
//! A test file is read by `kubectl tetrarch policy test`, which asks the webhook's own decision, and by whoever wants to ask
//! a real API server the same.

mod capacity;
mod expand;
mod judge;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use expand::{Change, Operation, expand, merge_patch};
pub use judge::judge;

/// `apiVersion` of a test file. It is no object of the cluster.
pub const API_VERSION: &str = "cli.tetrarch.dev/v1alpha1";
/// `kind` of a test file.
pub const KIND: &str = "PolicyTests";

/// A test file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Further files or folders with manifests of the hierarchy, relative to this file.
    #[serde(default)]
    pub include: Vec<String>,
    /// The time at which everything happens, for rules that read `now`. A test may say another.
    #[serde(default)]
    pub now: Option<Timestamp>,
    /// Who does everything. A test may say another.
    #[serde(default)]
    pub user: Option<Who>,
    /// Manifests by a name of their own, for tests to create, change and delete.
    #[serde(default)]
    pub manifests: BTreeMap<String, Value>,
    /// The tests, each independent of the others.
    pub tests: Vec<Case>,
}

/// One test: exactly one of `create`, `update`, `delete` and `scale`, and what must come of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it is about, in a sentence.
    pub name: String,
    /// Creates an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Target>,
    /// Changes an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Target>,
    /// Deletes an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Target>,
    /// Writes the number of agents of an AgentPool, as `kubectl scale` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Target>,
    /// The number of agents that `scale` writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// What is different in the new object: a JSON merge patch (null removes a field, lists are replaced).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Who>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
    /// Verbs that the user has by RBAC, for decisions that depend on it, such as `approve`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub can: Vec<String>,
    /// What must come of it.
    pub expect: Expect,
    /// Parts of what must be told.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub message: Texts,
    /// All that must be told, word by word: one text for each finding.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub exact_message: Texts,
}

/// An object: a name of `manifests`, an object of the hierarchy as `Kind/name` or `Kind/namespace/name`, or a manifest.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// By name.
    Name(String),
    /// Written out.
    Manifest(Value),
}

/// Somebody, as the API server knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    /// Name of the user, or `system:serviceaccount:<namespace>:<name>`.
    pub name: String,
    /// Groups of the user.
    pub groups: Vec<String>,
}

impl Default for Who {
    fn default() -> Self {
        Self { name: "somebody".to_owned(), groups: vec!["system:authenticated".to_owned()] }
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            name: String,
            #[serde(default)]
            groups: Vec<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            Full(Full),
        }
        let wrong = |_| serde::de::Error::custom("is no user: write a name, or {name: …, groups: […]}");
        Ok(match Form::deserialize(deserializer).map_err(wrong)? {
            Form::Name(name) => Self { name, groups: Vec::new() },
            Form::Full(Full { name, groups }) => Self { name, groups },
        })
    }
}

/// What comes of a request, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Expect {
    /// It is admitted, and nothing is found.
    Accept,
    /// It is admitted; what was found is only recorded.
    Audit,
    /// It is admitted with a warning.
    Warn,
    /// It is stored but nothing of it runs until somebody has approved it.
    Hold,
    /// It is refused.
    Deny,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accept => "Accept",
            Self::Audit => "Audit",
            Self::Warn => "Warn",
            Self::Hold => "Hold",
            Self::Deny => "Deny",
        })
    }
}

/// One text or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Several(Vec<String>),
        }
        let wrong = |_| serde::de::Error::custom("is no text: write one text, or a list of texts");
        Ok(Self(match Form::deserialize(deserializer).map_err(wrong)? {
            Form::One(text) => vec![text],
            Form::Several(texts) => texts,
        }))
    }
}

/// What came of a request: the outcome, and every text that somebody is told or that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What happens.
    pub verdict: Expect,
    /// What is told, one text for each finding.
    pub messages: Vec<String>,
}

/// One respect in which an outcome is not what a test wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// What the test wants.
    pub expected: String,
    /// What there is.
    pub found: String,
}

impl Case {
    /// Every respect in which the outcome is not what the test wants; none means that it passes.
    pub fn compare(&self, outcome: &Outcome) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        if outcome.verdict != self.expect {
            let (expected, found) = (self.expect.to_string(), outcome.verdict.to_string());
            mismatches.push(Mismatch { expected, found });
        }
        let told =
            || if outcome.messages.is_empty() { "nothing is told".to_owned() } else { outcome.messages.join("\n") };
        for part in self.message.0.iter().filter(|part| !outcome.messages.iter().any(|text| text.contains(*part))) {
            mismatches.push(Mismatch { expected: format!("… {part} …"), found: told() });
        }
        if !self.exact_message.is_empty() {
            let sorted = |texts: &[String]| {
                let mut texts: Vec<String> = texts.iter().map(|text| text.trim().to_owned()).collect();
                texts.sort();
                texts
            };
            if sorted(&self.exact_message.0) != sorted(&outcome.messages) {
                mismatches.push(Mismatch { expected: self.exact_message.0.join("\n"), found: told() });
            }
        }
        mismatches
    }
}
