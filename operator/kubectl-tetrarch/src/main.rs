//! The kubectl plugin: the hierarchy, runs, and what people ask of them.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{Args, Command},
    command::{ask, control, decide, follow, import as importing, plan, policy, reference, show, version},
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
    if let Command::Version(asked) = &args.command {
        return version::version(&args.access, asked).await;
    }
    if let Command::Reference = &args.command {
        return reference::print();
    }
    if let Command::Policy(asked) = &args.command {
        return policy::policy(&args.access, asked).await;
    }
    if let Command::Import(asked) = &args.command {
        return importing::import(asked, args.access.namespace.as_deref());
    }
    if let Command::Plan(asked) = &args.command {
        return plan::plan(&args.access, asked).await;
    }
    let cluster = cluster::connect(&args.access).await?;
    match &args.command {
        Command::Tree(asked) => show::tree(&cluster, asked).await,
        Command::Get(asked) => show::get(&cluster, asked).await,
        Command::Journal(asked) => show::journal(&cluster, asked).await,
        Command::Run(asked) => ask::run(&cluster, asked).await,
        Command::Watch(asked) => follow::watch(&cluster, asked).await,
        Command::Cancel(asked) => ask::cancel(&cluster, asked).await,
        Command::Import(asked) => importing::import(asked, args.access.namespace.as_deref()),
        Command::Pause(asked) => control::pause(&cluster, asked).await,
        Command::Resume(asked) => control::resume(&cluster, asked).await,
        Command::Terminate(asked) => control::terminate(&cluster, asked).await,
        Command::Approve(asked) => decide::decide(&cluster, asked, true).await,
        Command::Reject(asked) => decide::decide(&cluster, asked, false).await,
        Command::Reference => reference::print(),
        Command::Policy(asked) => policy::policy(&args.access, asked).await,
        Command::Plan(asked) => plan::plan(&args.access, asked).await,
        Command::Version(asked) => version::version(&args.access, asked).await,
    }
}
