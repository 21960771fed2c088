//! Starts a real nats-server on loopback for one test: free port, JetStream in a directory of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Environment variable that names the nats-server binary.
pub const BINARY_VARIABLE: &str = "TETRARCH_NATS_SERVER";

/// Longest time until a started server answers.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// What differs from the default server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether every write is on the disk before it is acknowledged, as in a cluster. Off is faster and is the server's default.
    pub sync_always: bool,
    /// Largest message in bytes.
    pub max_payload: u32,
    /// Lines appended to the server's configuration, such as an operator and a resolver.
    pub extra: String,
    /// Port to listen on; none lets the server choose a free one.
    pub port: Option<u16>,
    /// Directory of the store; none means one beside the configuration.
    pub store: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync_always: true, max_payload: 2 * 1024 * 1024, extra: String::new(), port: None, store: None }
    }
}

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    options: Options,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server with the default options.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts a server.
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let binary = find_binary()?;
        let directory = tempfile::Builder::new().prefix("tetrarch-nats-").tempdir()?;
        let port = options.port.unwrap_or(0);
        let mut server = Self { binary, options, directory, port, process: None };
        server.launch().await?;
        Ok(server)
    }

    /// Address for clients: `nats://127.0.0.1:<port>`. It stays the same over restarts.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Directory with the configuration, the log (`server.log`) and the store.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Ends the server at once (SIGKILL) and keeps its store.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().context("cannot kill nats-server")?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts the server again on the same port with the same store, killing it first if it runs.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.launch().await
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let directory = self.directory.path();
        let config = directory.join("server.conf");
        let log = directory.join("server.log");
        let started = Instant::now();
        // The server itself picks a free port the first time and says so in its ports file; afterwards the port is kept.
        let listen = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        std::fs::write(&config, self.build_config(&listen))?;
        loop {
            let stdout = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
            let mut process = Command::new(&self.binary)
                .arg("--config")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(stdout.try_clone()?)
                .stderr(stdout)
                .spawn()
                .with_context(|| format!("cannot start {}", self.binary.display()))?;
            let ports = directory.join(format!("nats-server_{}.ports", process.id()));
            let port = loop {
                if let Some(port) = read_port(&ports)
                    && answers(port).await
                {
                    break Some(port);
                }
                if process.try_wait()?.is_some() {
                    break None;
                }
                if started.elapsed() > START_TIMEOUT {
                    process.kill()?;
                    process.wait()?;
                    bail!("nats-server did not answer within {START_TIMEOUT:?}:\n{}", last_lines(&log));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            if let Some(port) = port {
                self.port = port;
                self.process = Some(process);
                return Ok(());
            }
            // After a restart the old port can be in use by a dying connection for a moment.
            ensure!(
                self.port != 0 && started.elapsed() < START_TIMEOUT,
                "nats-server ended at once:\n{}",
                last_lines(&log)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn build_config(&self, port: &str) -> String {
        let directory = self.directory.path().display();
        let sync = if self.options.sync_always { "always" } else { "2m" };
        format!(
            "host: 127.0.0.1\nport: {port}\nports_file_dir: {directory:?}\nmax_payload: {}\n\
             jetstream {{\n  store_dir: {:?}\n  sync_interval: {sync}\n  max_memory_store: 256MB\n  max_file_store: 8GB\n}}\n{}\n",
            self.options.max_payload,
            self.options.store.clone().unwrap_or_else(|| self.directory.path().join("store")).display(),
            self.options.extra,
            directory = directory.to_string(),
        )
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Nothing is left to report to; the directory goes with the value.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// The nats-server binary: from the variable, the search path, or the directory of the embedded cluster's tools.
pub fn find_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from) {
        ensure!(path.is_file(), "{BINARY_VARIABLE}={} is no file", path.display());
        return Ok(path);
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    if let Some(path) = std::env::split_paths(&search).map(|dir| dir.join("nats-server")).find(|path| path.is_file()) {
        return Ok(path);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/cluster.sh");
    if let Ok(output) = Command::new(&script).arg("path").stderr(Stdio::null()).output()
        && output.status.success()
    {
        let path = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("nats-server");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!(
        "this test needs nats-server 2.15.1 and there is none: run `make test`, which builds it, or `tests/cluster/cluster.sh build`, \
         or set {BINARY_VARIABLE} to the path of the binary"
    )
}

fn read_port(ports: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(ports).ok()?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    ports["nats"].get(0)?.as_str()?.rsplit(':').next()?.parse().ok()
}

/// Whether the server greets a client, which it does once its streams are recovered.
async fn answers(port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await?;
        Ok::<_, std::io::Error>(start == *b"INFO")
    };
    matches!(tokio::time::timeout(Duration::from_secs(1), greeting).await, Ok(Ok(true)))
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_restarted_server_keeps_its_address_and_its_messages() {
        let mut server = NatsServer::start().await.unwrap();
        let url = server.url();
        {
            let jetstream = async_nats::jetstream::new(async_nats::connect(&url).await.unwrap());
            jetstream
                .create_stream(async_nats::jetstream::stream::Config {
                    name: "KEPT".into(),
                    subjects: vec!["kept".into()],
                    ..Default::default()
                })
                .await
                .unwrap();
            jetstream.publish("kept", "1".into()).await.unwrap().await.unwrap();
        }
        server.kill().unwrap();
        assert!(server.pid().is_none());
        server.restart().await.unwrap();
        assert_eq!(server.url(), url);
        let jetstream = async_nats::jetstream::new(async_nats::connect(&url).await.unwrap());
        let stream = jetstream.get_stream("KEPT").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, 1);
    }
}
