//! A power cut of the bus: its store lies in an image that is mounted, and what is copied of the image while the server stands still is
//! what had reached the disk. What the server wrote and did not flush is in the memory of the mounted file system and not in the image.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use tetrarch_testkit::nats::Options;

use crate::{
    account::Account,
    load,
    world::{World, program},
};

/// Size of the disk.
const SIZE: &str = "512M";

/// Subject of the writes that are only there to be counted.
const PROBE: &str = "probe";

/// A disk in a file.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn make(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let disk = Self { image: directory.join("disk.img"), mount: directory.join("disk") };
        std::fs::create_dir_all(&disk.mount)?;
        for leftover in ["disk.img", "copy.img"] {
            std::fs::remove_file(directory.join(leftover)).ok();
        }
        command("truncate", &["-s", SIZE, text(&disk.image)?])?;
        command("mkfs.ext4", &["-q", "-F", text(&disk.image)?])?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> anyhow::Result<()> {
        command("mount", &["-o", "loop", text(&self.image)?, text(&self.mount)?])
    }

    /// Replaces the disk by what a copy of it holds now.
    fn cut(&mut self, server: &mut tetrarch_testkit::nats::NatsServer) -> anyhow::Result<()> {
        let copy = self.image.with_file_name("copy.img");
        command("cp", &["--sparse=always", text(&self.image)?, text(&copy)?])?;
        server.kill()?;
        command("umount", &[text(&self.mount)?])?;
        std::fs::remove_file(&self.image)?;
        self.image = copy;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Ok(mount) = text(&self.mount) {
            // The server may still hold it for a moment.
            command("umount", &["-l", mount]).ok();
        }
        std::fs::remove_file(&self.image).ok();
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path is no text")
}

fn command(name: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(name).args(arguments).output().with_context(|| format!("cannot run {name}"))?;
    ensure!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Cuts the power under load, and prints what became of acknowledged writes and of the runs.
pub async fn run(programs: &Path, lazy: bool, directory: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut disk = Disk::make(directory)?;
    let store = Some(disk.mount.join("store"));
    let mut world = World::start(Options { sync_always: !lazy, store, ..Options::default() }).await?;
    let probe = async_nats::jetstream::stream::Config {
        name: "PROBE".to_owned(),
        subjects: vec![PROBE.to_owned()],
        ..Default::default()
    };
    world.bus.jetstream().create_stream(probe).await?;
    if lazy {
        // Streams that were made a while ago are on the disk; what is asked is what becomes of what was written lately.
        command("sync", &["-f", text(&disk.mount)?])?;
    }
    world.start_supervisors(programs)?;
    world.start_sidecars(&program(programs, "tetrarch-agent-sidecar")?)?;
    for number in 0..6 {
        world.want(load::runs(number, 100)).await?;
    }
    let mut acknowledged: u64 = 0;
    while acknowledged < 2_000 || world.ledger.effects().len() < 60 {
        let written = world.bus.jetstream().publish(PROBE, acknowledged.to_string().into()).await?;
        written.await?;
        acknowledged += 1;
    }
    let pid = world.server.pid().context("the bus does not run")?.to_string();
    command("kill", &["-STOP", &pid])?;
    disk.cut(&mut world.server)?;
    world.restart_bus().await?;
    let kept = match world.bus.jetstream().get_stream("PROBE").await {
        Ok(stream) => stream.cached_info().state.messages,
        Err(_) => 0,
    };
    // As the operator does.
    world.configure().await?;
    let account = Account::of(&world).await?;
    let lost = acknowledged.saturating_sub(kept);
    let setting = if lazy { "the server's default" } else { "always" };
    println!(
        "power cut, sync_interval {setting}: {acknowledged} writes acknowledged, {lost} of them lost; {account}; {:.0} s",
        started.elapsed().as_secs_f64()
    );
    if lazy {
        // What is not on the disk is lost, and with it what it promised. But nobody may go on as if it were there.
        ensure!(world.has_said("reading it from its start")?, "no supervisor noticed that the journal went back");
        println!("the supervisors noticed that the journal went back, and read it anew");
        return Ok(());
    }
    ensure!(lost == 0, "acknowledged writes were lost");
    if !account.is_good() {
        anyhow::bail!("promises were broken; the logs are in {}", world.keep_logs().display());
    }
    Ok(())
}
