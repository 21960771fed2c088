//! Workflows of others as Workflows of Tetrarch: what can be carried over is, and everything else is told.

mod argo;
mod draft;
mod report;
mod serverless;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod write;

use serde_json::Value;
use tetrarch_crds::Workflow;

pub use report::{Finding, Severity, comments, summary};
use source::{Node, Source};
pub use write::{manifest, yaml};

/// Why a document cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows this format.
    #[error("{0}")]
    Format(String),
    /// The document contradicts itself, so that it would not run where it comes from either.
    #[error("{path}: {message}")]
    Source {
        /// Where.
        path: String,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// The Workflow would be refused.
    #[error("the Workflow that comes of it would be refused: {0}")]
    Refused(String),
}

impl Error {
    fn at(node: &Node<'_>, message: impl Into<String>) -> Self {
        let path = node.path();
        Self::Source { path: if path.is_empty() { "the document".to_owned() } else { path }, message: message.into() }
    }
}

/// A document that was imported.
#[derive(Debug)]
pub struct Imported {
    /// What it comes from, such as `the Argo CronWorkflow "nightly"`.
    pub origin: String,
    /// What comes of it.
    pub workflow: Workflow,
    /// What there is to tell.
    pub findings: Vec<Finding>,
}

/// Imports a document of any known format.
pub fn import(document: &Value, supervisor: Option<&str>) -> Result<Imported, Error> {
    let source = Source::new(document.clone());
    let (origin, draft) = convert(&source.root())?;
    let workflow = draft.finish(supervisor)?;
    Ok(Imported { origin, workflow, findings: source.finish() })
}

fn convert(root: &Node<'_>) -> Result<(String, draft::Draft), Error> {
    let document = root.peek();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&document["apiVersion"]).starts_with("argoproj.io/") {
        return argo::convert(root);
    }
    if document["document"]["dsl"].is_string() {
        return serverless::convert(root);
    }
    let known = "write an Argo Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow, or a Serverless Workflow of DSL 1.0";
    let found = if document["specVersion"].is_string() && document["states"].is_array() {
        format!("is a Serverless Workflow of specVersion {}: convert it to DSL 1.0 first", document["specVersion"])
    } else {
        let (version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
        let kind =
            if kind.is_empty() { "nothing that says what it is".to_owned() } else { format!("{version} {kind}") };
        format!("is {kind}: {known}")
    };
    Err(Error::Format(found))
}
