//! The command line of `import`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

/// What stands below the options.
pub const HELP: &str = "\
Examples:
  kubectl tetrarch import argo.yaml --supervisor front-desk > workflow.yaml
  kubectl get workflowtemplates.argoproj.io build -o yaml | kubectl tetrarch import - -n ci | kubectl apply -f -

Reads Argo Workflow, WorkflowTemplate, ClusterWorkflowTemplate and CronWorkflow, and Serverless Workflow documents of DSL 1.0.
What is left out or takes another form is told on the standard error and in comments above each manifest.

Exit codes:
  0  everything is carried over; some of it may take another form
  1  something is left out; with --strict: something takes another form
  2  the command line is wrong, a document cannot be read, or the Workflow would be refused";

/// `import`.
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// File or folder to read; - reads the standard input
    #[arg(value_name = "FILE|-")]
    pub path: PathBuf,
    /// Supervisor that drives the runs; needed unless the Orchestrator's depth is 3
    #[arg(long, value_name = "NAME")]
    pub supervisor: Option<String>,
    /// Form of the Workflows
    #[arg(long = "format", short = 'o', value_name = "yaml|json", default_value = "yaml")]
    pub format: Form,
    /// End with 1 also when something only takes another form
    #[arg(long)]
    pub strict: bool,
}

/// Form of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// YAML, with comments.
    Yaml,
    /// JSON, without.
    Json,
}
