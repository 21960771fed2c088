//! The real programs as child processes, with their memory and CPU time as the kernel counts them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::cores::Core;

/// Environment variable that names the directory of the compiled programs.
pub const PROGRAMS: &str = "TETRARCH_PROGRAMS";

/// Where one of our programs is.
fn program(name: &str) -> Result<PathBuf> {
    let directory = std::env::var_os(PROGRAMS)
        .with_context(|| format!("{PROGRAMS} is not set: run the benchmarks with `make bench`"))?;
    Ok(PathBuf::from(directory).join(name))
}

/// A running program; ends when dropped.
pub struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    /// Starts one of our programs with exactly these settings.
    pub fn start(name: &'static str, arguments: &[&str], settings: &[(&str, String)]) -> Result<Self> {
        Self::spawn(name, Command::new(program(name)?), arguments, settings)
    }

    /// As [`Process::start`], on this core.
    pub fn start_on(core: Core, name: &'static str, arguments: &[&str], settings: &[(&str, String)]) -> Result<Self> {
        Self::spawn(name, core.command(&program(name)?), arguments, settings)
    }

    /// Starts a program that is not ours, on this core.
    pub fn start_foreign(
        core: Core,
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        settings: &[(&str, String)],
    ) -> Result<Self> {
        Self::spawn(name, core.command(program), arguments, settings)
    }

    fn spawn(
        name: &'static str,
        mut command: Command,
        arguments: &[&str],
        settings: &[(&str, String)],
    ) -> Result<Self> {
        let log = std::fs::File::create(std::env::temp_dir().join(format!("{name}-bench.log")))?;
        let child = command
            .args(arguments)
            .envs(settings.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// Memory that is resident now, in MiB (`VmRSS`, proc(5)).
    pub fn resident(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that ever was resident, in MiB (`VmHWM`, proc(5)).
    pub fn peak(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    /// CPU time so far, user and system (`utime` and `stime` of proc(5)), at the kernel's 100 ticks a second.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the name in parentheses and may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').context("an odd /proc/*/stat")?.1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    fn status(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .with_context(|| format!("{} has ended; its log is in the temporary directory", self.name))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .context("an odd /proc/*/status")?
            .parse()?;
        ensure!(kib > 0.0, "{} holds no memory", self.name);
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
