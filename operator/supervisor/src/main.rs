//! Entry point of the supervisor runtime.

use std::{io::Write as _, net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tetrarch_core::id::{Name, RunId};
use tetrarch_serving::stop::stop_signal;
use tetrarch_supervisor::{Options, hooks, inspect};
use tracing_subscriber::EnvFilter;

/// Runtime of a Supervisor: accepts runs of Workflows, drives them, and reports on them.
#[derive(Debug, Parser)]
#[command(name = "tetrarch-supervisor", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    bus: BusArguments,
    /// Name of the Supervisor.
    #[arg(long, env = "TETRARCH_SUPERVISOR", global = true, default_value = "default")]
    supervisor: Name,
    /// Which log lines are written, such as `info` or `tetrarch_supervisor=debug`.
    #[arg(long, env = "TETRARCH_LOG", global = true, default_value = "info")]
    log: String,
}

#[derive(Debug, clap::Args)]
struct BusArguments {
    /// Address of the bus: `tls://host:4222`, or `nats://host:4222` without encryption.
    #[arg(
        id = "bus-url",
        long = "bus-url",
        env = "TETRARCH_BUS_URL",
        global = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    url: String,
    /// File with the credentials for the bus.
    #[arg(id = "bus-credentials", long = "bus-credentials", env = "TETRARCH_BUS_CREDENTIALS", global = true)]
    credentials: Option<PathBuf>,
    /// File with the authority of the bus's certificate.
    #[arg(id = "bus-ca", long = "bus-ca", env = "TETRARCH_BUS_CA", global = true)]
    ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accepts and drives runs until it is told to stop.
    Serve {
        /// Name of this replica: the pod's name.
        #[arg(long, env = "POD_NAME")]
        replica: String,
        /// The Domain, for the log.
        #[arg(long, env = "TETRARCH_DOMAIN", default_value = "")]
        domain: String,
        /// Where /healthz, /readyz and /metrics are answered.
        #[arg(long, env = "TETRARCH_HTTP_ADDR", default_value = "0.0.0.0:9090")]
        http: SocketAddr,
        /// Where webhooks are taken over TLS; nowhere if left out.
        #[arg(long, env = "TETRARCH_HOOKS_ADDR")]
        hooks: Option<SocketAddr>,
        /// Directory with the secrets of webhooks, a file `<workflow>/<trigger>` for each.
        #[arg(long, env = "TETRARCH_HOOKS_SECRETS", default_value = "/etc/tetrarch/hooks")]
        hooks_secrets: PathBuf,
        /// Directory that may have the certificate for webhooks, `tls.crt` and `tls.key`.
        #[arg(long, env = "TETRARCH_HOOKS_TLS", default_value = "/etc/tetrarch/hooks-tls")]
        hooks_tls: PathBuf,
    },
    /// Prints the journal of a run, one JSON object for each message.
    Journal {
        /// The run.
        run: RunId,
    },
    /// Prints the output of a run as JSON.
    Output {
        /// The run.
        run: RunId,
    },
    /// Lists the runs.
    Runs {
        /// One JSON object for each run
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_new(&arguments.log).context("TETRARCH_LOG is no log filter, such as `info`")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let bus = tetrarch_bus::Options {
        url: arguments.bus.url,
        credentials: arguments.bus.credentials,
        ca: arguments.bus.ca,
        name: format!("supervisor {}", arguments.supervisor),
        inbox_prefix: None,
    };
    let supervisor = arguments.supervisor;
    match arguments.command {
        Command::Serve { replica, domain, http, hooks, hooks_secrets, hooks_tls } => {
            log.json().flatten_event(true).init();
            tracing::info!(%supervisor, replica, domain, version = env!("CARGO_PKG_VERSION"), "supervisor starts");
            let hooks = hooks.map(|address| hooks::Options { address, secrets: hooks_secrets, certificate: hooks_tls });
            serve(Options { http: Some(http), hooks, ..Options::new(bus, supervisor, replica) }).await
        }
        Command::Journal { run } => {
            log.with_writer(std::io::stderr).init();
            let bus = tetrarch_bus::connect(&bus).await?;
            let lines = inspect::read_journal(&bus, &supervisor, &run).await?;
            print(lines.iter().map(ToString::to_string))
        }
        Command::Output { run } => {
            log.with_writer(std::io::stderr).init();
            let bus = tetrarch_bus::connect(&bus).await?;
            print([inspect::read_output(&bus, &supervisor, &run).await?.to_string()])
        }
        Command::Runs { json } => {
            log.with_writer(std::io::stderr).init();
            let bus = tetrarch_bus::connect(&bus).await?;
            let runs = inspect::list_runs(&bus, &supervisor).await?;
            if json {
                let lines = runs.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
                return print(lines);
            }
            let width = runs.iter().map(|run| run.run.as_str().len()).max().unwrap_or(3);
            let head = format!("{:width$}  {:14}  {:>8}  {:20}  MESSAGE", "RUN", "PHASE", "STEPS", "ACCEPTED");
            print(std::iter::once(head).chain(runs.iter().map(|run| {
                let steps = format!("{}/{}", run.progress.0, run.progress.1);
                let accepted = run.accepted_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let message = run.message.as_deref().unwrap_or_default();
                format!("{:width$}  {:14}  {steps:>8}  {accepted:20}  {message}", run.run.as_str(), run.phase)
            })))
        }
    }
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let started = tokio::select! {
        biased;
        // A bus that never answers, such as that of a Domain being deleted, must not hold the pod until it is killed.
        () = stop.cancelled() => None,
        started = tetrarch_supervisor::start(options) => Some(started?),
    };
    let Some(mut replica) = started else {
        tracing::info!("stopped before the bus answered");
        return Ok(());
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = replica.failed() => anyhow::bail!("a part of the supervisor ended; starting anew"),
    }
    replica.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn print(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
