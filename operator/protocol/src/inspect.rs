//! What a Supervisor prints for the plugin.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tetrarch_core::id::{Name, RunId};

/// A run that a Supervisor keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Its id.
    pub run: RunId,
    /// Its Workflow.
    pub workflow: Name,
    /// Where it stands.
    pub phase: String,
    /// Ended steps and steps in all.
    pub progress: (usize, usize),
    /// Who or what asked for it.
    pub cause: String,
    /// How often it was opened again.
    pub retried: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Since when its outputs are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_removed_at: Option<Timestamp>,
    /// Why, in a sentence.
    pub message: Option<String>,
}
