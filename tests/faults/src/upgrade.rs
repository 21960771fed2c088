//! An upgrade in the middle of runs: another version begins them, this one finishes them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use tetrarch_testkit::nats::Options;

use crate::{
    account::Account,
    load,
    world::{World, program},
};

/// Runs of each kind.
const RUNS: usize = 6;

/// Milliseconds that a task takes, so that there is a middle.
const SLEEP: u64 = 400;

/// Starts runs with the programs of `from`, replaces the supervisors and then the sidecars by those of `programs`, and waits for the ends.
pub async fn run(programs: &Path, from: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let (old, new) = (program(from, "tetrarch-agent-sidecar")?, program(programs, "tetrarch-agent-sidecar")?);
    let mut world = World::start(Options::default()).await?;
    world.start_supervisors(from)?;
    world.start_sidecars(&old)?;
    for number in 0..RUNS {
        world.want(load::runs(number, SLEEP)).await?;
    }
    let reached = |world: &World, steps: usize| {
        let progress = world.ledger.effects().len();
        progress >= steps
    };
    while !reached(&world, 20 * RUNS) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun = world.ledger.effects().len();
    for process in &mut world.processes[..2] {
        process.binary = program(programs, "tetrarch-supervisor")?;
        process.restart()?;
    }
    while !reached(&world, 28 * RUNS) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The new supervisors work with the old sidecars until these are replaced too.
    for process in &mut world.processes[2..] {
        process.binary.clone_from(&new);
        process.restart()?;
    }
    let account = Account::of(&world).await?;
    let finished = world.ledger.effects().len() - begun;
    println!(
        "upgrade: {begun} tasks begun before, {finished} after; {account}; {:.0} s",
        started.elapsed().as_secs_f64()
    );
    ensure!(finished > 0, "nothing was left to do for the new version");
    if !account.is_good() {
        anyhow::bail!("promises were broken; the logs are in {}", world.keep_logs().display());
    }
    Ok(())
}
