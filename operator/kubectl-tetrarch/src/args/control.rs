//! The command line of what is asked of runs that exist.

use clap::Args;

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
