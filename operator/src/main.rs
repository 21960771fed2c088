//! The operator's binary.

use anyhow::Context as _;
use clap::Parser as _;
use tetrarch_operator::{
    args::{Args, Command},
    run, telemetry,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { command: Command::Serve(serve) } = Args::parse();
    // Before anything speaks TLS, so that everything uses the same implementation of it.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS implementation was installed first");
    }
    telemetry::log::install(&serve.log)?;
    run::run(serve).await.context("the operator ends")
}
