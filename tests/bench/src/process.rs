//! The real programs as child processes, with their memory and CPU time as the kernel counts them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};

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

    /// Starts a program as this command says.
    pub fn start_command(name: &'static str, command: Command) -> Result<Self> {
        Self::spawn(name, command, &[], &[])
    }

    /// Kills it and waits until it is gone.
    pub fn end(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn spawn(
        name: &'static str,
        mut command: Command,
        arguments: &[&str],
        settings: &[(&str, String)],
    ) -> Result<Self> {
        let log = log(name)?;
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

    /// CPU time so far, user and system.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.child.id())
    }

    fn status(&self, field: &str) -> Result<f64> {
        status(self.child.id(), field)
            .with_context(|| format!("{} has ended; its log is in the temporary directory", self.name))
    }
}

/// Memory of a process that is resident now, in MiB (`VmRSS`, proc(5)).
pub fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

/// CPU time of a process so far, user and system (`utime` and `stime` of proc(5)), at the kernel's 100 ticks a second.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').context("an odd /proc/*/stat")?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn status(pid: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("process {pid} has ended"))?
        .parse()?;
    ensure!(kib > 0.0, "process {pid} holds no memory");
    Ok(kib / 1024.0)
}

/// A program that is asked line by line; ends when dropped.
pub struct Dialogue {
    child: tokio::process::Child,
    input: tokio::process::ChildStdin,
    output: Lines<BufReader<tokio::process::ChildStdout>>,
    id: u32,
    name: &'static str,
}

impl Dialogue {
    /// Starts a program as this command says.
    pub fn start(name: &'static str, command: Command) -> Result<Self> {
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log(name)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let input = child.stdin.take().context("a pipe was asked for")?;
        let output = BufReader::new(child.stdout.take().context("a pipe was asked for")?).lines();
        let id = child.id().with_context(|| format!("{name} ended at once"))?;
        Ok(Self { child, input, output, id, name })
    }

    /// Its process id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Writes a line and reads the next one.
    pub async fn ask(&mut self, line: String) -> Result<String> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        if let Some(answer) = self.output.next_line().await? {
            return Ok(answer);
        }
        let said = std::fs::read_to_string(log_path(self.name)).unwrap_or_default();
        bail!("{} ended with {}: {}", self.name, self.child.wait().await?, said.trim())
    }
}

/// Where what a program says is written.
fn log_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-bench.log"))
}

fn log(name: &str) -> Result<std::fs::File> {
    Ok(std::fs::File::create(log_path(name))?)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
