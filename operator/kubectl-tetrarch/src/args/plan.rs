//! The command line of `plan`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

/// `plan`.
#[derive(Debug, ClapArgs)]
pub struct Plan {
    /// The goal in words
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub goal: Option<String>,
    /// File with the goal; - for the standard input
    #[arg(long, short)]
    pub file: Option<PathBuf>,
    /// Supervisor whose agents do it
    #[arg(long, value_name = "NAME")]
    pub supervisor: Option<String>,
    /// Capability that may be used; may be repeated, or several with commas. Without it the cluster is asked what the pools can do, and how former plans went
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub capability: Vec<String>,
    /// Value that the run gets as a parameter, `name=value` (JSON, or else text), or a JSON object of several; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE|JSON")]
    pub param: Vec<String>,
    /// Name of the Workflow
    #[arg(long, default_value = "planned", value_name = "NAME")]
    pub name: String,
    /// What to print
    #[arg(long = "format", short = 'o', value_name = "yaml|json|text", default_value = "yaml")]
    pub format: Form,
}

/// What is printed of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The Workflow with the explanation as comments.
    Yaml,
    /// The Workflow alone.
    Json,
    /// The explanation alone.
    Text,
}
