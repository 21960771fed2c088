//! What people ask of runs that exist, as the operator hands it to Supervisors in the snapshot of a Workflow.

use serde::{Deserialize, Serialize};
use tetrarch_core::{
    id::{RunId, TaskId},
    workflow::{journal::Resolution, stamp::Stamp},
};

/// Everything that is asked of the runs of one Workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Runs for which nothing new starts as long as they are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pause: Vec<Asked>,
    /// Runs that are to end at once, without undoing anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terminate: Vec<Asked>,
    /// Who asked to cancel the runs that the snapshot says are to be cancelled, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel: Vec<Asked>,
    /// Who asked that runs go on that are not paused any more, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume: Vec<Asked>,
    /// Runs that have ended and are to be opened again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<Retry>,
    /// What people have found out about attempts of which nobody knows how they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolve: Vec<Resolve>,
}

impl Control {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A run of which something is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The run.
    pub run: RunId,
    /// Who or what asked, for the journal.
    pub cause: String,
    /// The person who asked, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// A run that is to be opened again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// The run.
    pub run: RunId,
    /// Name of the request: each opens the run once.
    pub request: String,
    /// Who or what asked, for the journal.
    pub cause: String,
    /// The person who asked, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// What a person has found out about an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolve {
    /// The attempt.
    pub task: TaskId,
    /// What was found out.
    pub resolution: Resolution,
    /// Who or what said so, for the journal.
    pub cause: String,
    /// The person who asked, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

impl Asked {
    /// The entry for a run.
    pub fn find<'a>(asked: &'a [Self], run: &RunId) -> Option<&'a Self> {
        asked.iter().find(|asked| asked.run == *run)
    }
}
