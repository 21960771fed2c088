//! What people ask of the runs of a Workflow, with the stamp of who did.

use serde::{Deserialize, Serialize};
use tetrarch_core::workflow::stamp::Stamp;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// That a run begins.
    Run,
    /// That a run ends, and undoes what it has done when its Workflow says so.
    Cancel,
    /// That a run ends at once.
    Terminate,
    /// That nothing new starts in a run for now.
    Pause,
    /// That a paused run goes on.
    Resume,
    /// That a run that has ended is opened again.
    Retry,
    /// That an attempt of which nobody knows how it ended counts as done, or as not done.
    Resolve,
}

impl Ask {
    /// What is asked, as a word in sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Resolve => "resolve",
        }
    }
}

/// Something that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamped {
    /// What.
    pub ask: Ask,
    /// Of what, as it stands in the annotation: a run, or the id of a request for one.
    pub of: String,
    /// By whom, and when.
    #[serde(flatten)]
    pub stamp: Stamp,
}
