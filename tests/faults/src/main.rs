//! Faults on a real bus with the real programs: kills under load, a power cut, an upgrade in the middle of runs. `tests/faults.sh` builds
//! the programs and starts this one.

#![expect(clippy::print_stdout, reason = "a command that prints what it counted")]
#![expect(clippy::needless_pass_by_value, reason = "values are written in place with json!")]

mod account;
#[path = "../../src/journal.rs"]
mod journal;
mod kills;
mod ledger;
mod load;
mod power;
mod process;
mod upgrade;
mod world;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Faults on a real bus with the real programs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Directory of tetrarch-supervisor and tetrarch-agent-sidecar.
    #[arg(long, env = "TETRARCH_PROGRAMS")]
    programs: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills the bus so often with SIGKILL, and a supervisor or a sidecar each time.
    Kills {
        /// How often.
        #[arg(long, default_value_t = 200)]
        kills: u32,
        /// Sidecars that are broken on purpose: it is an error when nothing is found.
        #[arg(long)]
        broken_sidecar: Option<PathBuf>,
    },
    /// Cuts the power of the bus: its store is what had reached the disk. Needs root and loop devices.
    PowerCut {
        /// Let the server write to the disk when it likes, as is its default, instead of before each acknowledgement.
        #[arg(long)]
        lazy: bool,
        /// Where the image of the disk lies.
        #[arg(long)]
        directory: PathBuf,
    },
    /// Starts runs with the programs of another version and finishes them with these.
    Upgrade {
        /// Directory of the programs of the other version.
        #[arg(long)]
        from: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { programs, command } = Arguments::parse();
    match command {
        Command::Kills { kills, broken_sidecar } => kills::run(&programs, kills, broken_sidecar).await,
        Command::PowerCut { lazy, directory } => power::run(&programs, lazy, &directory).await,
        Command::Upgrade { from } => upgrade::run(&programs, &from).await,
    }
}
