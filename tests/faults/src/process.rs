//! A program as a child process that can be killed and started again.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

/// A program with its environment; ends when dropped.
#[derive(Debug)]
pub struct Process {
    /// What it runs.
    pub binary: PathBuf,
    /// Name of the pod it plays; it keeps it, as a restarted container does.
    pub pod: String,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A program that is not started yet; what it prints goes to a log in the directory.
    pub fn new(
        binary: PathBuf,
        pod: &str,
        arguments: Vec<&'static str>,
        environment: Vec<(&'static str, String)>,
        logs: &Path,
    ) -> Self {
        Self { binary, pod: pod.to_owned(), arguments, environment, log: logs.join(format!("{pod}.log")), child: None }
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("POD_NAME", &self.pod).env("TETRARCH_HTTP_ADDR", "127.0.0.1:0").env("TETRARCH_LOG", "info");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.start()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to report to.
        self.kill().ok();
    }
}
