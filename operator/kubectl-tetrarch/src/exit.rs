//! What scripts learn from the exit code.

use std::process::ExitCode;

use tetrarch_crds::workflow::RunPhase;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Well.
    Success,
    /// The run, or the command, failed.
    Failure,
    /// What was given cannot be read.
    Unreadable,
    /// The run was cancelled.
    Cancelled,
    /// It is not known how the run ended.
    OutcomeUnknown,
    /// The time was up.
    Timeout,
    /// The cluster could not be asked.
    Unreachable,
}

impl Exit {
    /// The result of a run that has ended.
    pub const fn of(phase: RunPhase) -> Self {
        match phase {
            RunPhase::Succeeded | RunPhase::Skipped => Self::Success,
            RunPhase::Failed
            | RunPhase::Compensated
            | RunPhase::Compensating
            | RunPhase::Pending
            | RunPhase::Running
            | RunPhase::Waiting => Self::Failure,
            RunPhase::Cancelled => Self::Cancelled,
            RunPhase::OutcomeUnknown => Self::OutcomeUnknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Unreadable => 2,
            Exit::Cancelled => 3,
            Exit::OutcomeUnknown => 4,
            Exit::Timeout => 5,
            Exit::Unreachable => 6,
        })
    }
}

/// Whether nothing follows a phase.
pub const fn is_final(phase: RunPhase) -> bool {
    !matches!(phase, RunPhase::Pending | RunPhase::Running | RunPhase::Waiting | RunPhase::Compensating)
}
