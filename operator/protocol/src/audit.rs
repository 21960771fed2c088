//! Records of decisions about writes to the Kubernetes API, in a stream of the operator's own account.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{permission::Permissions, request::Stamped, snapshot::StepDecision};

/// The stream.
pub const STREAM: &str = "AUDIT";

/// Subjects of [`STREAM`].
pub const SUBJECTS: &str = "audit.>";

/// How long a record is kept.
pub const KEPT: Duration = Duration::from_hours(24 * 90);

/// Largest size of the stream in bytes; the oldest records make room.
pub const MOST_BYTES: i64 = 256 * 1024 * 1024;

/// Version of [`Entry`].
pub const VERSION: u16 = 1;

/// Where a record is published: `audit.<decision>.<kind>.<namespace>`, with `_` for kinds of the whole cluster.
pub fn subject(decision: &str, kind: &str, namespace: &str) -> String {
    let namespace = if namespace.is_empty() { "_" } else { namespace };
    format!("audit.{decision}.{kind}.{namespace}")
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Version of the envelope.
    pub version: u16,
    /// Id of the request, as in the API server's own audit log.
    pub id: String,
    /// When it was decided.
    pub at: Timestamp,
    /// `denied`, `held`, `approved`, `step-approved`, `step-rejected`, `requested`, `warned`, `audited` or `admitted`.
    pub decision: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: String,
    /// Kind of the object.
    pub kind: String,
    /// Its namespace; empty for kinds of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who wrote.
    pub user: String,
    /// Groups of the writer.
    pub groups: Vec<String>,
    /// What was found, with policy, level, object, generation, field, value, bound and remedy.
    pub findings: Vec<Value>,
    /// What a person decided about a step of a run: run, step, attempt, generation, approved, by, at and reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepDecision>,
    /// What a person asked of runs: what, of which, by whom and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Stamped>,
}

/// The operator in its own account: it makes the stream and publishes.
pub fn permissions() -> Permissions {
    let api = ["INFO", "CREATE", "UPDATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{STREAM}"));
    let publish = [SUBJECTS.to_owned()].into_iter().chain(api).collect();
    Permissions { publish, subscribe: vec!["_INBOX.>".to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_four_parts_also_without_a_namespace() {
        assert_eq!(subject("denied", "AgentPool", "compliance"), "audit.denied.AgentPool.compliance");
        assert_eq!(subject("denied", "Domain", ""), "audit.denied.Domain._");
    }
}
