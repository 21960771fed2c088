//! `make bench`: what Tetrarch adds to the bare bus, measured beside it in the same run.
//!
//! Every figure of ours stands beside the floor of the same durability on the same server, so the ratio holds on any machine. Absolute times do not.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are the output, and a line now and then says how far they are"
)]

mod admission;
mod cores;
mod decompose;
mod engine;
mod floor;
mod long;
mod process;
mod quantile;
mod reconcile;
mod rivals;
mod simulated;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tetrarch_testkit::nats::NatsServer;

use crate::{
    engine::Engine,
    process::Process,
    quantile::{Sample, millis},
    simulated::Pool,
};

/// Measures the engine, the bus, the processes and the admission.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    part: Part,
    #[command(flatten)]
    engine: EngineArguments,
    /// Numbers of AgentPools, growing.
    #[arg(long, value_delimiter = ',', default_values_t = [150, 1_000])]
    pools: Vec<usize>,
    #[command(flatten)]
    admission: admission::Arguments,
    #[command(flatten)]
    rivals: rivals::Arguments,
}

/// Parts that run alone.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    /// Steps, decomposition, throughput and memory of the engine; needs no API server.
    Engine,
    /// Policy decisions, alone and beside other enforcers.
    Admission,
    /// The operator with many AgentPools.
    Reconcile,
    /// The engine beside other engines; needs no API server.
    Rivals,
    /// Workers and client of our side, started by the comparison.
    #[value(hide = true)]
    DriveTetrarch,
    /// Workers and client of the floor, started by the comparison.
    #[value(hide = true)]
    DriveFloor,
}

#[derive(clap::Args)]
struct EngineArguments {
    /// Sequential steps.
    #[arg(long, default_value_t = 500)]
    steps: usize,
    /// Tasks for each throughput figure.
    #[arg(long, default_value_t = 5_000)]
    tasks: usize,
    /// Items of the longest map; the API allows 100,000.
    #[arg(long, default_value_t = 100_000)]
    items: usize,
    /// Runs of the five-stage pipeline.
    #[arg(long, default_value_t = 100)]
    patterns: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Part::Engine => engine_tables(&arguments.engine).await,
        Part::Admission => admission::run(&arguments.admission).await,
        Part::Reconcile => reconcile::run(&arguments.pools).await,
        Part::Rivals => rivals::run(&arguments.rivals).await,
        Part::DriveTetrarch => rivals::ours::drive().await,
        Part::DriveFloor => rivals::bare::drive().await,
    }
}

/// Everything of the engine and its processes.
async fn engine_tables(arguments: &EngineArguments) -> Result<()> {
    println!(
        "durability: file storage, sync_interval always, one replica; nats-server and everything else on this machine\n"
    );
    let memory = sequential(arguments).await?;
    decomposition().await?;
    decompose::table().await?;
    throughput(arguments).await?;
    long::table(arguments.items).await?;
    println!("## Memory (MiB resident)\n\n| process | at rest | peak |\n|---|---|---|");
    for line in memory {
        println!("{line}");
    }
    println!("{}\n", sidecar_memory().await?);
    Ok(())
}

fn row(name: &str, sample: &Sample, floor: &Sample) -> String {
    let ratio = |percent| sample.percentile(percent).as_secs_f64() / floor.percentile(percent).as_secs_f64();
    format!(
        "| {name} | {} | {} | {} | {:.2} | {:.2} |",
        sample.len(),
        millis(sample.percentile(50)),
        millis(sample.percentile(99)),
        ratio(50),
        ratio(99)
    )
}

/// One step after the other, and a pattern of five stages.
async fn sequential(arguments: &EngineArguments) -> Result<Vec<String>> {
    let nats = NatsServer::start().await?;
    let engine = Engine::start(&nats).await?;
    let js = engine.bus.jetstream().clone();
    floor::prepare(&js).await?;
    let pool = Pool { supervisor: engine.supervisor.clone(), name: engine.pool.clone(), sidecars: 1, slots: 16 };
    let _agents = simulated::run(&engine.bus, &pool).await?;
    engine.run(engine::pipeline("warm", 20)?).await?;
    let rest = engine.process.resident()?;
    let floor = floor::sequential(&js, arguments.steps).await?;
    let mut steps = Sample::default();
    // A run has at most 32 stages here, as the API allows.
    for (number, stages) in chunks(arguments.steps, 32).into_iter().enumerate() {
        let seen = engine.run(engine::pipeline(&format!("steps-{number}"), stages)?).await?;
        seen.steps.into_iter().for_each(|step| steps.add(step));
    }
    let mut patterns = Sample::default();
    for number in 0..arguments.patterns {
        patterns.add(engine.run(engine::pipeline(&format!("five-{number}"), 5)?).await?.total);
    }
    println!(
        "## One no-op step after the other\n\n| | n | p50 ms | p99 ms | p50 / floor | p99 / floor |\n|---|---|---|---|---|---|"
    );
    println!("{}", row("bare bus: publish, pull, publish result, ack, deliver", &floor, &floor));
    println!("{}", row("Tetrarch: one step of a run", &steps, &floor));
    println!("{}", row("Tetrarch: a whole run of 5 stages, from the request to its end", &patterns, &floor));
    println!();
    Ok(vec![format!("| supervisor | {rest:.1} | {:.1} |", engine.process.peak()?)])
}

fn chunks(total: usize, most: usize) -> Vec<usize> {
    let mut rest = total;
    std::iter::from_fn(|| {
        let chunk = rest.min(most);
        rest -= chunk;
        (chunk > 0).then_some(chunk)
    })
    .collect()
}

/// From a request to a thousand tasks in their queue.
async fn decomposition() -> Result<()> {
    println!(
        "## A map, decomposed into durable tasks\n\n| items | n | p50 ms to the last task | p99 ms |\n|---|---|---|---|"
    );
    let nats = NatsServer::start().await?;
    let engine = Engine::start(&nats).await?;
    let pool = Pool { supervisor: engine.supervisor.clone(), name: engine.pool.clone(), sidecars: 1, slots: 64 };
    let _agents = simulated::run(&engine.bus, &pool).await?;
    engine.run(engine::map("warm", 10)?).await?;
    for items in [10, 100, 1_000] {
        let mut sample = Sample::default();
        for number in 0..10 {
            sample.add(engine.run(engine::map(&format!("map-{items}-{number}"), items)?).await?.last_task);
        }
        println!(
            "| {items} | {} | {} | {} |",
            sample.len(),
            millis(sample.percentile(50)),
            millis(sample.percentile(99))
        );
    }
    println!();
    Ok(())
}

/// Tasks per second with 1, 4 and 16 sidecars of 16 slots.
async fn throughput(arguments: &EngineArguments) -> Result<()> {
    println!(
        "## Tasks per second, of a map of {} items\n\n| sidecars | bare bus | Tetrarch | share | CPU of the supervisor per task (µs) |\n|---|---|---|---|---|",
        arguments.tasks
    );
    for sidecars in [1, 4, 16] {
        let nats = NatsServer::start().await?;
        let engine = Engine::start(&nats).await?;
        let js = engine.bus.jetstream().clone();
        floor::prepare(&js).await?;
        let pool = Pool { supervisor: engine.supervisor.clone(), name: engine.pool.clone(), sidecars, slots: 16 };
        let _agents = simulated::run(&engine.bus, &pool).await?;
        engine.run(engine::map("warm", 100)?).await?;
        let bare = floor::throughput(&js, arguments.tasks, sidecars, 16).await?;
        let cpu = engine.process.cpu()?;
        let seen = engine.run(engine::map("rate", arguments.tasks)?).await?;
        let cpu = engine.process.cpu()?.saturating_sub(cpu).as_micros() / arguments.tasks.max(1) as u128;
        #[expect(clippy::cast_precision_loss, reason = "a count of tasks is far below 2^52")]
        let ours = arguments.tasks as f64 / seen.total.as_secs_f64();
        println!("| {sidecars} | {bare:.0} | {ours:.0} | {:.0} % | {cpu} |", 100.0 * ours / bare);
    }
    println!();
    Ok(())
}

/// A sidecar that is connected, beside an agent that answers its health path.
async fn sidecar_memory() -> Result<String> {
    let nats = NatsServer::start().await?;
    let engine = Engine::start(&nats).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let agent = listener.local_addr()?;
    let routes = axum::Router::new().route("/health", axum::routing::get(|| async { "ok" }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let settings = [
        ("TETRARCH_BUS_URL", engine.url.clone()),
        ("TETRARCH_DOMAIN", "bench".to_owned()),
        ("TETRARCH_SUPERVISOR", engine.supervisor.to_string()),
        ("TETRARCH_POOL", engine.pool.to_string()),
        ("TETRARCH_SLOTS", "16".to_owned()),
        ("TETRARCH_AGENT_URL", format!("http://{agent}/tasks")),
        ("TETRARCH_AGENT_HEALTH_URL", format!("http://{agent}/health")),
        ("TETRARCH_DRAIN_TIMEOUT_SECONDS", "1".to_owned()),
        ("TETRARCH_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("POD_NAME", "bench-agent-0".to_owned()),
    ];
    let sidecar = Process::start("tetrarch-agent-sidecar", &[], &settings)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rest = sidecar.resident().context("the sidecar ended")?;
    Ok(format!("| agent-sidecar | {rest:.1} | {:.1} |", sidecar.peak()?))
}
