//! Which core runs what, so that a server under load and its load do not take each other's time.

use std::process::Command;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A core of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Core(Option<usize>);

/// The core of the servers under load and that of everything that loads them. On a machine with a single core nothing is bound.
pub fn split() -> (Core, Core) {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    match (cores.next(), cores.next()) {
        (Some(server), Some(load)) => (Core(Some(server)), Core(Some(load))),
        _ => (Core(None), Core(None)),
    }
}

impl std::fmt::Display for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(core) => write!(f, "core {core}"),
            None => write!(f, "any core"),
        }
    }
}

/// What the processors of this machine call themselves, and how many there are for this program.
pub fn machine() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} × {}", model.map_or("unknown processor", |(_, model)| model.trim()))
}

impl Core {
    /// Binds the calling thread, and those it starts later, to this core.
    pub fn bind(self) -> std::io::Result<()> {
        let Some(core) = self.0 else { return Ok(()) };
        let mut set = CpuSet::new();
        set.set(core);
        Ok(sched_setaffinity(None, &set)?)
    }

    /// A command that runs a program on this core.
    pub fn command(self, program: &std::path::Path) -> Command {
        let Some(core) = self.0 else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.arg("--cpu-list").arg(core.to_string()).arg(program);
        command
    }
}
