//! The kubectl plugin: the hierarchy, runs, and what people ask of them.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{Args, Command},
    command::{
        ask, control, decide, follow, history, import as importing, logs, plan, policy, reference, show, version,
    },
    exit::Exit,
    failure::Error,
};

mod args;
mod cluster;
mod command;
mod compliance;
mod decision;
mod exit;
mod failure;
mod import;
mod inventory;
mod manifest;
mod pod;
mod proposal;
mod request;
mod screen;
mod view;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(&args).await {
        Ok(exit) => exit.into(),
        // The reader has seen enough, as in `kubectl tetrarch journal … | head`.
        Err(Error::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Success.into(),
        Err(error) => {
            // Nobody is left to tell when the standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.exit().into()
        }
    }
}

async fn dispatch(args: &Args) -> Result<Exit, Error> {
    // Several TLS stacks could be linked in; the first one installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Not every command needs a cluster that answers.
    let cluster = || cluster::connect(&args.access);
    match &args.command {
        Command::Tree(asked) => show::tree(&cluster().await?, asked).await,
        Command::Get(asked) => show::get(&cluster().await?, asked).await,
        Command::Journal(asked) => show::journal(&cluster().await?, asked).await,
        Command::Runs(asked) => history::runs(&cluster().await?, asked).await,
        Command::Logs(asked) => logs::logs(&cluster().await?, asked).await,
        Command::Why(asked) => history::why(&cluster().await?, asked).await,
        Command::Run(asked) => ask::run(&cluster().await?, asked).await,
        Command::Watch(asked) => follow::watch(&cluster().await?, asked).await,
        Command::Cancel(asked) => ask::cancel(&cluster().await?, asked).await,
        Command::Pause(asked) => control::pause(&cluster().await?, asked).await,
        Command::Resume(asked) => control::resume(&cluster().await?, asked).await,
        Command::Retry(asked) => control::retry(&cluster().await?, asked).await,
        Command::Resolve(asked) => control::resolve(&cluster().await?, asked).await,
        Command::Terminate(asked) => control::terminate(&cluster().await?, asked).await,
        Command::Approve(asked) => decide::decide(&cluster().await?, asked, true).await,
        Command::Reject(asked) => decide::decide(&cluster().await?, asked, false).await,
        Command::Policy(asked) => policy::policy(&args.access, asked).await,
        Command::Plan(asked) => plan::plan(&args.access, asked).await,
        Command::Import(asked) => importing::import(asked, args.access.namespace.as_deref()),
        Command::Version(asked) => version::version(&args.access, asked).await,
        Command::Reference => reference::print(),
    }
}
