//! The agents of the licence audit department, and the tools around them: gather, show, verify.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{agent::Agent, dataset::Dataset, show::Audit};

mod agent;
mod classify;
mod copyleft;
mod corpus;
mod dataset;
mod detect;
mod expression;
mod family;
mod gather;
mod licensecheck;
mod naming;
mod report;
mod serve;
mod show;
mod text;
mod verify;

/// Agents of the licence audit department, and the tools around them.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Agent: serves the packages of the dataset, all or a page of them.
    Inventory {
        #[command(flatten)]
        listen: Listen,
        /// Folder that holds dataset.json.
        #[arg(long, env = "DATASET", default_value = "/data")]
        dataset: PathBuf,
    },
    /// Agent: recognises the licences of a package and compares them with what it declares.
    Classify(Listen),
    /// Agent: reduces classifications to a report by family and obligation.
    Report(Listen),
    /// Agent: looks for copyleft in classifications.
    Copyleft(Listen),
    /// Agent: answers with its input; the small samples use it.
    Echo(Listen),
    /// Tool: collects the licence files of all dependencies of a workspace into a dataset.
    Gather {
        /// Manifest of the workspace.
        #[arg(long, default_value = "Cargo.toml")]
        manifest_path: PathBuf,
        /// Folder to write dataset.json and tree/ into.
        #[arg(long)]
        out: PathBuf,
    },
    /// Tool: does the whole audit in this process, without a cluster, and prints its output as JSON.
    Audit {
        /// Folder that holds dataset.json.
        #[arg(long)]
        dataset: PathBuf,
    },
    /// Tool: prints a report for people.
    Show {
        /// Output of the Workflow, or the report alone, as JSON.
        #[arg(long)]
        report: PathBuf,
    },
    /// Tool: checks that a report has every package exactly once, and compares it with Debian's licensecheck. Exit code 1 when not, or below the bar.
    Verify {
        /// Output of the Workflow, or the report alone, as JSON.
        #[arg(long)]
        report: PathBuf,
        /// Folder that holds dataset.json and tree/.
        #[arg(long)]
        dataset: PathBuf,
        /// Least agreement in percent of the files whose licences the tool knows.
        #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u32).range(0..=100))]
        bar: u32,
    },
}

#[derive(clap::Args)]
struct Listen {
    /// Address to serve on; the sidecar calls from the same pod.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::Inventory { listen, dataset } => serve(Agent::inventory(&dataset)?, &listen),
        Command::Classify(listen) => serve(Agent::classify(), &listen),
        Command::Report(listen) => serve(Arc::new(Agent::Report), &listen),
        Command::Copyleft(listen) => serve(Arc::new(Agent::Copyleft), &listen),
        Command::Echo(listen) => serve(Arc::new(Agent::Echo), &listen),
        Command::Gather { manifest_path, out } => {
            let dataset = gather::gather(&manifest_path, &out)?;
            let files: usize = dataset.packages.iter().map(|package| package.files.len()).sum();
            print(&format!("{} packages, {files} licence files in {}\n", dataset.packages.len(), out.display()))
        }
        Command::Audit { dataset } => print(&audit(&dataset)?),
        Command::Show { report } => print(&show::render(&read(&report)?)),
        Command::Verify { report, dataset, bar } => check(&report, &dataset, bar),
    }
}

fn serve(agent: Arc<Agent>, listen: &Listen) -> anyhow::Result<ExitCode> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime
        .block_on(serve::serve(agent, listen.listen))
        .with_context(|| format!("cannot serve on {}", listen.listen))?;
    Ok(ExitCode::SUCCESS)
}

fn audit(folder: &Path) -> anyhow::Result<String> {
    let detector = detect::Detector::spdx();
    let dataset = Dataset::read(folder)?;
    let found: Vec<_> = dataset.packages.iter().map(|package| classify::classify(&detector, package)).collect();
    let audit = serde_json::json!({"report": report::report(&found), "copyleft": copyleft::find_copyleft(&found)});
    Ok(format!("{audit:#}\n"))
}

fn check(report: &Path, folder: &Path, bar: u32) -> anyhow::Result<ExitCode> {
    let audit = read(report)?;
    let dataset = Dataset::read(folder)?;
    let opinion = licensecheck::ask(&folder.join(dataset::TREE))?;
    let verification = verify::verify(audit.report(), &dataset, &opinion);
    print(&verification.render(&opinion))?;
    let complete = verification.complete();
    print(&format!(
        "{}/{} packages, each exactly once: {}\n",
        audit.report().packages.len(),
        dataset.packages.len(),
        yes(complete)
    ))?;
    let enough = verification.agreement() >= bar;
    print(&format!("agreement of at least {bar} %: {}\n", yes(enough)))?;
    Ok(if complete && enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn yes(holds: bool) -> &'static str {
    if holds { "✔ yes" } else { "✖ no" }
}

fn read(path: &Path) -> anyhow::Result<Audit> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not a report", path.display()))
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
