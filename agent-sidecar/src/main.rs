//! Entry point: arguments, log, then [`run`] until the pod has to stop.

use clap::Parser as _;
use tetrarch_agent_sidecar::{args::Args, run::run};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(EnvFilter::try_new(&args.log)?).init();
    Ok(run(args).await?)
}
