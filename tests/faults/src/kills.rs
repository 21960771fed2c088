//! Kills with SIGKILL under load: the bus each time, and a supervisor or a sidecar with it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use tetrarch_testkit::nats::Options;

use crate::{
    account::Account,
    load,
    world::{World, program},
};

/// Pauses between two kills in milliseconds, so that they hit what is under way at different points.
const PAUSES: [u64; 7] = [40, 310, 120, 530, 70, 220, 400];

/// Kills the bus so often, and prints what became of the runs.
pub async fn run(programs: &Path, kills: u32, broken_sidecar: Option<PathBuf>) -> anyhow::Result<()> {
    let started = Instant::now();
    let is_broken = broken_sidecar.is_some();
    let sidecar = broken_sidecar.map_or_else(|| program(programs, "tetrarch-agent-sidecar"), Ok)?;
    program(programs, "tetrarch-supervisor")?;
    let mut world = World::start(Options::default()).await?;
    world.start_supervisors(programs)?;
    world.start_sidecars(&sidecar)?;
    world.want(load::runs(0, 20)).await?;
    while world.ledger.effects().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut supervisors, mut sidecars) = (0, 0);
    for kill in 0..kills as usize {
        world.want(load::runs(kill + 1, 20)).await?;
        tokio::time::sleep(Duration::from_millis(PAUSES[kill % PAUSES.len()])).await;
        let victim = kill % world.processes.len();
        if kill % 2 == 0 {
            // Together with the bus, so that nobody is left who knows.
            world.processes[victim].kill()?;
        }
        world.restart_bus().await?;
        world.processes[victim].restart()?;
        if victim < 2 {
            supervisors += 1;
        } else {
            sidecars += 1;
        }
        if kill % 20 == 19 {
            println!("{} kills after {:.0} s", kill + 1, started.elapsed().as_secs_f64());
        }
    }
    let account = Account::of(&world).await?;
    println!(
        "kills: bus {kills}, supervisors {supervisors}, sidecars {sidecars}; {account}; {:.0} s",
        started.elapsed().as_secs_f64()
    );
    if is_broken {
        ensure!(!account.doubled.is_empty(), "sidecars without de-duplication were not noticed");
        println!("the broken sidecars were caught");
        return Ok(());
    }
    if !account.is_good() {
        anyhow::bail!("promises were broken; the logs are in {}", world.keep_logs().display());
    }
    Ok(())
}
