//! The command line.

pub mod control;
pub mod history;
pub mod import;
pub mod plan;
pub mod policy;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes of run --wait, run --watch, watch, retry --wait,
cancel --wait, and terminate --wait:
  0  the run succeeded (cancel, terminate: it was cancelled)
  1  the run failed, or the command itself did
  2  the command line is wrong
  3  the run was cancelled
  4  it is not known whether an agent finished its work (OutcomeUnknown)
  5  the time was up before the run ended; the run goes on
  6  the cluster could not be asked";

/// The hierarchy of Tetrarch and the runs of its Workflows.
#[derive(Debug, Parser)]
#[command(name = "kubectl-tetrarch", bin_name = "kubectl tetrarch", disable_version_flag = true, after_help = EXIT_CODES)]
pub struct Args {
    /// Which cluster, and as whom.
    #[command(flatten)]
    pub access: Access,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster, and as whom; as in kubectl.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Access {
    /// Context of the kubeconfig; its current one when left out
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Path of the kubeconfig; $KUBECONFIG or ~/.kube/config when left out
    #[arg(long, global = true)]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// Namespace; the one of the context when left out
    #[arg(long, short, global = true)]
    pub namespace: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Group to impersonate; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "as_user")]
    pub as_group: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the hierarchy with readiness, replicas and work
    Tree(Tree),
    /// Show objects, or a run as a tree of its steps
    Get(Get),
    /// Print the journal of a run as JSON lines
    Journal(Journal),
    /// List all runs that are still kept, the latest first
    Runs(history::Runs),
    /// Print what agents wrote while they worked on the tasks of a run
    Logs(history::Logs),
    /// Say in a sentence what a Workflow waits for now
    Why(history::Why),
    /// Ask for a run of a Workflow and print its id
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Follow the latest run of a Workflow until it ends
    #[command(after_help = EXIT_CODES)]
    Watch(Watch),
    /// Cancel a run
    #[command(after_help = EXIT_CODES)]
    Cancel(Cancel),
    /// Pause a run: nothing new starts, what agents work on goes on, and its time stands still
    Pause(control::Pause),
    /// Let a paused run go on
    Resume(control::Resume),
    /// Open a run again that did not end well: what is done stays done, the rest is done again
    #[command(after_help = EXIT_CODES)]
    Retry(control::Retry),
    /// Say how an attempt ended of which nobody knows it
    Resolve(control::Resolve),
    /// End a run at once, without undoing what it has done
    #[command(after_help = EXIT_CODES)]
    Terminate(control::Terminate),
    /// Say yes to a step that waits for a person
    Approve(Decide),
    /// Say no to a step that waits for a person: the step fails
    Reject(Decide),
    /// Take a goal in words apart and print a Workflow for it
    Plan(plan::Plan),
    /// Test, explain, compare and check policies; approve what they hold back
    Policy(policy::Policy),
    /// Convert workflows of Argo and of Serverless Workflow into Workflows, and tell what cannot be carried over
    #[command(after_help = import::HELP)]
    Import(import::Import),
    /// Print this reference in Markdown
    #[command(hide = true)]
    Reference,
    /// Print the versions of this program and of the operator
    Version(Version),
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A table with more columns.
    Wide,
}

/// `tree`.
#[derive(Debug, ClapArgs)]
pub struct Tree {
    /// Orchestrator; all when left out
    pub orchestrator: Option<String>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml|wide")]
    pub format: Option<Format>,
    /// Show it again whenever it changes
    #[arg(long, short, conflicts_with = "format")]
    pub watch: bool,
}

/// `get`.
#[derive(Debug, ClapArgs)]
pub struct Get {
    /// What to show
    pub kind: Kind,
    /// Name of the object; for a run the name of its Workflow
    pub name: Option<String>,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml|wide")]
    pub format: Option<Format>,
    /// In all namespaces
    #[arg(long, short = 'A')]
    pub all_namespaces: bool,
    /// Print only the run's output, as JSON of any size
    #[arg(long, requires = "name", conflicts_with_all = ["format", "all_namespaces"])]
    pub output: bool,
    /// Another run than the latest one, with --output
    #[arg(long, value_name = "ID", requires = "output")]
    pub run: Option<String>,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The roots of the hierarchies.
    #[value(alias = "orchestrator", alias = "orch")]
    Orchestrators,
    /// The tenants.
    #[value(alias = "domain", alias = "dom")]
    Domains,
    /// The runtimes.
    #[value(alias = "supervisor", alias = "sup")]
    Supervisors,
    /// The agents.
    #[value(alias = "pool", alias = "agentpools", alias = "agentpool", alias = "apool")]
    Pools,
    /// The definitions, each with its latest run.
    #[value(alias = "workflow", alias = "awf")]
    Workflows,
    /// The latest run of each Workflow.
    #[value(alias = "run")]
    Runs,
}

/// `journal`.
#[derive(Debug, ClapArgs)]
pub struct Journal {
    /// Name of the Workflow
    pub workflow: String,
    /// Another run than the latest one
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

/// `run`.
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// Name of the Workflow
    pub workflow: String,
    /// Value of a parameter, `name=value` (JSON, or else text), or a JSON object of several; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE|JSON")]
    pub param: Vec<String>,
    /// Take the values of this earlier run, except for those given with --param
    #[arg(long, value_name = "RUN")]
    pub like: Option<String>,
    /// Name of the request, which ends the run's id: the same one starts one run only. Default: the time
    #[arg(long, value_name = "REQUEST")]
    pub id: Option<String>,
    /// Wait for the end; the exit code is the result
    #[arg(long)]
    pub wait: bool,
    /// Follow it like `watch`; the exit code is the result
    #[arg(long, short)]
    pub watch: bool,
    /// Longest time to wait, such as 90s or 1h
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub timeout: Option<std::time::Duration>,
}

/// `watch`.
#[derive(Debug, ClapArgs)]
pub struct Watch {
    /// Name of the Workflow
    pub workflow: String,
    /// This run, which may not have started yet; the latest wanted one when left out
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Longest time to wait, such as 90s or 1h
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub timeout: Option<std::time::Duration>,
}

/// `cancel`.
#[derive(Debug, ClapArgs)]
pub struct Cancel {
    /// Name of the Workflow
    pub workflow: String,
    /// Another run than the latest one
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Wait until it has ended
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait, such as 90s or 1h
    #[arg(long, value_parser = duration, value_name = "DURATION", default_value = "2m")]
    pub timeout: std::time::Duration,
}

/// `approve` and `reject`.
#[derive(Debug, ClapArgs)]
pub struct Decide {
    /// Name of the Workflow
    pub workflow: String,
    /// The step; needed when several wait
    #[arg(long)]
    pub step: Option<String>,
    /// The run; needed when that step waits in several
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// This very question, as status.waiting shows its id; refused when the step asks another one by now
    #[arg(long, value_name = "QUESTION", conflicts_with_all = ["step", "run"])]
    pub id: Option<String>,
    /// Why; it is kept with the decision
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// `version`.
#[derive(Debug, ClapArgs)]
pub struct Version {
    /// Only this program; the cluster is not asked
    #[arg(long)]
    pub client: bool,
    /// Form of the answer
    #[arg(long = "format", short = 'o', value_name = "json|yaml")]
    pub format: Option<Format>,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let remedy =
        || format!("{text:?} is not a duration: write a number with a unit ms, s, m or h, such as 90s or 1h30m");
    let span: jiff::SignedDuration = text.parse().map_err(|_| remedy())?;
    span.try_into().map_err(|_| remedy())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[rstest::rstest]
    #[case("kubectl-tetrarch get run licence-audit -n compliance --output")]
    #[case("kubectl-tetrarch -n compliance get workflows -o wide")]
    #[case("kubectl-tetrarch get apool x -o json --context c --as me --as-group g")]
    #[case("kubectl-tetrarch approve w --step sign-off --run w-1 --reason fine")]
    #[case("kubectl-tetrarch reject w --id w-1/sign-off/1/2 -r no")]
    #[case("kubectl-tetrarch run w --param n=3 --param {\"a\":[1]} --wait --timeout 1h30m")]
    fn is_read(#[case] line: &str) {
        Args::try_parse_from(line.split(' ')).unwrap();
    }

    #[test]
    fn a_wrong_duration_says_what_to_write() {
        assert!(duration("soon").unwrap_err().contains("such as 90s"));
    }
}
