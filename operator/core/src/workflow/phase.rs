//! Where a step stands: read in expressions, in the status, and in the journal of a run whose outputs are gone.

use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepPhase {
    /// Waits for other steps.
    Pending,
    /// Started.
    Running,
    /// Waits for a person.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Not run: its condition was false, a step before it failed, or the run ended before it started.
    Skipped,
    /// Still ran when the run ended.
    Cancelled,
    /// It is not known how one of its tasks ended.
    OutcomeUnknown,
    /// Was done and is being undone.
    Compensating,
    /// Was done and is undone.
    Compensated,
}

impl StepPhase {
    /// As expressions read it in `steps.<name>.phase`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Waiting => "Waiting",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Cancelled => "Cancelled",
            Self::OutcomeUnknown => "OutcomeUnknown",
            Self::Compensating => "Compensating",
            Self::Compensated => "Compensated",
        }
    }

    /// Whether nothing follows.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting)
    }
}
