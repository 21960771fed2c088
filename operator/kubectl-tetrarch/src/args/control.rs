//! The command line of what is asked of runs that exist.

use clap::{Args, ValueEnum};

use super::{Format, duration};

/// A run, and the form of the answer.
#[derive(Debug, Args)]
pub struct Of {
    /// Name of the Workflow
    pub workflow: String,
    /// Another run than the latest one
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// Which run.
    #[command(flatten)]
    pub of: Of,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// Which run.
    #[command(flatten)]
    pub of: Of,
}

/// `retry`.
#[derive(Debug, Args)]
pub struct Retry {
    /// Which run.
    #[command(flatten)]
    pub of: Of,
    /// Name of the request: the same one opens the run once only. Default: the time
    #[arg(long, value_name = "REQUEST")]
    pub id: Option<String>,
    /// Wait for the end; the exit code is the result
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait, such as 90s or 1h
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub timeout: Option<std::time::Duration>,
}

/// `resolve`.
#[derive(Debug, Args)]
pub struct Resolve {
    /// Name of the Workflow
    pub workflow: String,
    /// The task and its attempt, as the message of the run names them, such as publish/1
    #[arg(value_name = "TASK/ATTEMPT")]
    pub task: String,
    /// What was found out
    pub found: Found,
    /// Output of the task that is done, as JSON
    #[arg(long, value_name = "JSON")]
    pub output: Option<String>,
    /// Another run than the latest one
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// What was found out about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Found {
    /// The work is done.
    Done,
    /// The work is not done and has to be handed out again.
    NotDone,
}

/// `terminate`.
#[derive(Debug, Args)]
pub struct Terminate {
    /// Which run.
    #[command(flatten)]
    pub of: Of,
    /// Wait until it has ended
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait, such as 90s or 1h
    #[arg(long, value_parser = duration, value_name = "DURATION", default_value = "2m")]
    pub timeout: std::time::Duration,
}
