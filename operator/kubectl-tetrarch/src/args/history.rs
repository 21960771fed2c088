//! The command line of `runs`, `logs` and `why`.

use clap::Args;

use super::{Format, duration};

/// `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only those of this Workflow
    pub workflow: Option<String>,
    /// Only those of Workflows with these labels, as in kubectl
    #[arg(long, short = 'l', value_name = "SELECTOR", conflicts_with = "workflow")]
    pub selector: Option<String>,
    /// Only those in this phase, such as Failed; may be repeated
    #[arg(long, value_name = "PHASE")]
    pub phase: Vec<String>,
    /// Only those that were accepted within this time, such as 24h
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub since: Option<std::time::Duration>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Name of the Workflow
    pub workflow: String,
    /// Only the tasks of this step
    pub step: Option<String>,
    /// Another run than the latest one
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Name of the Workflow
    pub workflow: String,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}
