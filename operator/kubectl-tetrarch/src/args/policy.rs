//! The command line of `policy`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use tetrarch_core::policy::Kind;

use crate::args::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  everything is as it should be
  1  something is not: a test failed, a policy is wrong, something would break
  2  the command line, a manifest or a test file cannot be read
  6  the cluster could not be asked";

const TEST: &str = "\
Examples:
  # Each folder is one hierarchy with its test files
  kubectl tetrarch policy test config/samples/policies/*
  # In CI, with a report that the pipeline shows
  kubectl tetrarch policy test fleet/ -o junit > report.xml

A test file is a YAML document of kind PolicyTests anywhere in the folder; docs/policy-testing.md describes it.";

const EXPLAIN: &str = "\
Examples:
  kubectl tetrarch policy explain pool/classifier -n compliance
  kubectl tetrarch policy explain domain/compliance -f fleet/
  kubectl tetrarch policy explain workflow/licence-audit -n compliance -o json";

const DIFF: &str = "\
Examples:
  # What would break if I tightened this?
  kubectl tetrarch policy diff -f orchestrator.yaml --exit-code
  # A policy template, as server-side apply would add it
  kubectl tetrarch policy diff -f config/samples/policies/baseline/policy.yaml --merge
  # A pull request against the main branch, without a cluster
  kubectl tetrarch policy diff --from main/fleet -f fleet";

const LINT: &str = "\
Examples:
  kubectl tetrarch policy lint -f fleet/
  kubectl tetrarch policy lint -f fleet/ --strict -o json

Errors: what cannot be read, contradictions, policies that the webhook would refuse because they are looser than those above.
Warnings: policies that select nothing, values that never decide, policies that say the same as others.";

const APPROVE: &str = "\
Examples:
  kubectl tetrarch policy pending -A
  kubectl tetrarch policy approve workflow/publish -n compliance --reason 'reviewed with legal'
  kubectl tetrarch policy approve pool/classifier -n compliance --generation 4 --reason 'load test until Friday'

The webhook checks that you may, stamps who approved what and when, and the object runs. A change of the spec needs a new approval.";

/// `policy`.
#[derive(Debug, ClapArgs)]
pub struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run test files against folders of manifests, without a cluster
    #[command(after_help = format!("{TEST}\n\n{EXIT_CODES}"))]
    Test(Test),
    /// Show what holds for an object, who says so, and whether it complies
    #[command(after_help = format!("{EXPLAIN}\n\n{EXIT_CODES}"))]
    Explain(Explain),
    /// Show what would break, be held down or be released if manifests were applied
    #[command(after_help = format!("{DIFF}\n\n{EXIT_CODES}"))]
    Diff(Diff),
    /// Look for mistakes in the policies of manifests
    #[command(after_help = format!("{LINT}\n\n{EXIT_CODES}"))]
    Lint(Lint),
    /// List the objects that wait for an approval, with why and who may approve
    Pending(Pending),
    /// Approve the present generation of an object that is held
    #[command(after_help = APPROVE)]
    Approve(Approve),
    /// Say no to the present generation of an object that is held; it stays held
    Reject(Reject),
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// XML that CI systems show.
    Junit,
}

/// `policy test`.
#[derive(Debug, ClapArgs)]
pub struct Test {
    /// Folders, or files; each is one hierarchy with its test files
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Form of the report
    #[arg(long = "format", short = 'o', value_name = "json|yaml|junit")]
    pub format: Option<Report>,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
}

/// `policy explain`.
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// The object
    #[arg(value_name = "KIND/NAME", value_parser = object)]
    pub object: Object,
    /// Files or folders with the hierarchy, instead of the cluster
    #[arg(long = "file", short = 'f', value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml|wide")]
    pub format: Option<Format>,
}

/// `policy diff`.
#[derive(Debug, ClapArgs)]
pub struct Diff {
    /// Files or folders with what is to be applied
    #[arg(long = "file", short = 'f', required = true, value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Files or folders with what is there now, instead of the cluster
    #[arg(long, value_name = "PATH")]
    pub from: Vec<PathBuf>,
    /// Merge as server-side apply does, policies by name, instead of replacing the spec of each object
    #[arg(long)]
    pub merge: bool,
    /// End with 1 when something would break
    #[arg(long)]
    pub exit_code: bool,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `policy lint`.
#[derive(Debug, ClapArgs)]
pub struct Lint {
    /// Files or folders with the hierarchy
    #[arg(long = "file", short = 'f', required = true, value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// End with 1 when there are warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `policy pending`.
#[derive(Debug, ClapArgs)]
pub struct Pending {
    /// In all namespaces
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

/// `policy approve`.
#[derive(Debug, ClapArgs)]
pub struct Approve {
    /// The object
    #[arg(value_name = "KIND/NAME", value_parser = object)]
    pub object: Object,
    /// Why; it is kept with the approval
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only this generation: nothing is approved when the object has another one by now
    #[arg(long, value_name = "NUMBER")]
    pub generation: Option<i64>,
    /// Do not ask whether it is meant
    #[arg(long, short)]
    pub yes: bool,
}

/// `policy reject`.
#[derive(Debug, ClapArgs)]
pub struct Reject {
    /// The object
    #[arg(value_name = "KIND/NAME", value_parser = object)]
    pub object: Object,
    /// Why; it is kept on the object for whoever wrote it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// An object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

fn object(text: &str) -> Result<Object, String> {
    let wrong = || format!("{text:?} is no object: write kind/name, such as pool/classifier or domain/compliance");
    let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "orchestrator" | "orchestrators" | "orch" => Kind::Orchestrator,
        "domain" | "domains" | "dom" => Kind::Domain,
        "supervisor" | "supervisors" | "sup" => Kind::Supervisor,
        "agentpool" | "agentpools" | "apool" | "pool" | "pools" => Kind::AgentPool,
        "workflow" | "workflows" | "awf" => Kind::Workflow,
        _ => {
            return Err(format!(
                "{kind:?} is no kind that policies govern: write orchestrator, domain, supervisor, pool or workflow"
            ));
        }
    };
    Ok(Object { kind, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_in_kubectl() {
        assert_eq!(object("apool/c").unwrap(), Object { kind: Kind::AgentPool, name: "c".to_owned() });
        assert_eq!(object("Domain/d").unwrap().kind, Kind::Domain);
        assert!(object("classifier").unwrap_err().contains("such as pool/classifier"));
        assert!(object("pod/x").unwrap_err().contains("write orchestrator"));
        assert!(object("pool/").unwrap_err().contains("kind/name"));
    }
}
