//! The operator's binary.

use anyhow::Context as _;
use clap::Parser as _;
use tetrarch_operator::{
    args::{Args, Command},
    check, run, telemetry,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Args::parse();
    // Before anything speaks TLS, so that everything uses the same implementation of it.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS implementation was installed first");
    }
    match arguments.command {
        Command::Serve(serve) => {
            telemetry::log::install(&serve.log)?;
            run::run(*serve).await.context("the operator ends")
        }
        Command::Check(check) => check::check(&check).await.context("the installation is not complete"),
    }
}
