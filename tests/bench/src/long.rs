//! The longest run that the API allows: what it costs while it goes on, and what it costs a supervisor that starts anew.

use anyhow::Result;
use tetrarch_testkit::nats::NatsServer;

use crate::{
    engine::{self, Engine},
    simulated::{self, Pool},
};

/// Tasks of the map that are under way at once.
const WINDOW: u32 = 256;

/// A map of so many items; then the supervisor is killed, and another one reads the journal.
pub async fn table(items: usize) -> Result<()> {
    println!(
        "## A map of {items} items, {WINDOW} at a time\n\n| | s | per second | supervisor MiB resident | MiB peak |\n|---|---|---|---|---|"
    );
    let nats = NatsServer::start().await?;
    let mut engine = Engine::start(&nats).await?;
    let pool = Pool { supervisor: engine.supervisor.clone(), name: engine.pool.clone(), sidecars: 4, slots: 64 };
    let agents = simulated::run(&engine.bus, &pool).await?;
    engine.run(engine::map("warm", 100)?).await?;
    let took = engine.run(engine::windowed_map("long", items, WINDOW)?).await?.total.as_secs_f64();
    drop(agents);
    #[expect(clippy::cast_precision_loss, reason = "a count of items is far below 2^52")]
    let (tasks, entries) = (items as f64, 2.0 * items as f64);
    let row = |name: &str, took: f64, count: f64, engine: &Engine| -> Result<()> {
        let (now, peak) = (engine.process.resident()?, engine.process.peak()?);
        println!("| {name} | {took:.2} | {:.0} | {now:.0} | {peak:.0} |", count / took);
        Ok(())
    };
    row("the run, tasks", took, tasks, &engine)?;
    let took = engine.restart().await?.as_secs_f64();
    row("a new supervisor, journal entries until it is ready", took, entries, &engine)?;
    println!();
    Ok(())
}
