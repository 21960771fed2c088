//! Several replicas of the operator in this process, behind one address, registered at an API server that runs no pods.
//!
//! The API server is told about the webhooks by URL, as it knows no Services; everything else of the registration is what the
//! chart renders, but that they leave the user `stagehand` alone, who sets scenes that no other could. Connections are spread over the replicas in turn, and one that is gone is left out.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde::Deserialize;
use serde_json::{Value, json};
use tetrarch_operator::{args::Serve, leader::lease::Timing, run};
use tetrarch_testkit::cluster::Cluster;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Namespace that the operators believe to run in.
pub const NAMESPACE: &str = "tetrarch-system";

/// Makes the client of one replica.
pub type MakeClient = fn(kube::Config) -> Result<kube::Client>;

/// One replica, which has threads of its own so that it can end in the middle of anything.
struct Replica {
    stop: CancellationToken,
    kill: CancellationToken,
    ended: oneshot::Receiver<Result<()>>,
}

impl Replica {
    fn start(serve: Serve, make_client: MakeClient) -> Self {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (sender, ended) = oneshot::channel();
        let (until_stop, until_kill) = (stop.clone(), kill.clone());
        std::thread::spawn(move || {
            let run = || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                let result = runtime.block_on(async {
                    // A client belongs to the runtime it was made in.
                    let client = make_client(Cluster::connect().await?.config().await?)?;
                    tokio::select! {
                        result = run::serve_until(serve, client, Timing::DEFAULT, until_stop) => Ok(result?),
                        () = until_kill.cancelled() => Ok(()),
                    }
                });
                runtime.shutdown_background();
                result
            };
            // Nobody may be interested any more.
            let _ = sender.send(run());
        });
        Self { stop, kill, ended }
    }
}

/// The replicas and the address in front of them.
pub struct Replicas {
    cluster: Cluster,
    /// Address that the API server calls.
    pub address: SocketAddr,
    backends: Arc<Mutex<Vec<SocketAddr>>>,
    running: Vec<Replica>,
    forward: JoinHandle<()>,
    arguments: Vec<String>,
    make_client: MakeClient,
    started: usize,
}

impl Replicas {
    /// Installs definitions, roles for a namespace and the registration, starts `count` replicas with further arguments of
    /// `serve`, and waits until the API server gets answers.
    pub async fn start(cluster: &Cluster, count: usize, arguments: &[&str]) -> Result<Self> {
        Self::start_with(cluster, count, arguments, |config| Ok(kube::Client::try_from(config)?)).await
    }

    /// The same with clients that are made otherwise.
    pub async fn start_with(
        cluster: &Cluster,
        count: usize,
        arguments: &[&str],
        make_client: MakeClient,
    ) -> Result<Self> {
        // What the replicas say is printed with a test that fails. Another test may have set it up already.
        let filter = std::env::var("TETRARCH_LOG").unwrap_or_else(|_| "warn,tetrarch_operator=info".to_owned());
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        cluster.install_definitions()?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        cluster.apply(&namespace.to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let backends = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let mut replicas = Self {
            cluster: cluster.clone(),
            address,
            backends: backends.clone(),
            running: Vec::new(),
            forward: tokio::spawn(forward(listener, backends)),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            make_client,
            started: 0,
        };
        for _ in 0..count {
            replicas.add().await?;
        }
        for configuration in registration(cluster, address)? {
            cluster.apply(&configuration.to_string())?;
        }
        replicas.until_registered().await?;
        Ok(replicas)
    }

    /// Starts one more replica.
    pub async fn add(&mut self) -> Result<()> {
        let webhook = free_address().await?;
        self.started += 1;
        let identity = format!("replica-{}", self.started);
        let listen = webhook.to_string();
        let fixed = [
            "serve",
            "--namespace",
            NAMESPACE,
            "--identity",
            &identity,
            "--bus-url",
            "nats://127.0.0.1:1",
            "--supervisor-image",
            "tetrarch/supervisor:dev",
            "--sidecar-image",
            "tetrarch/agent-sidecar:dev",
            "--http-addr",
            "127.0.0.1:0",
            "--webhook-addr",
            &listen,
            "--webhook-registered",
            "--webhook-drain",
            "500ms",
        ];
        let serve = Serve::try_parse_from(fixed.into_iter().chain(self.arguments.iter().map(String::as_str)))?;
        self.running.push(Replica::start(serve, self.make_client));
        for _ in 0..300 {
            if TcpStream::connect(webhook).await.is_ok() {
                self.with_backends(|backends| backends.push(webhook));
                return Ok(());
            }
            if let Some(Ok(result)) = self.running.last_mut().map(|replica| replica.ended.try_recv()) {
                return result.with_context(|| format!("{identity} has ended"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{identity} does not serve its webhook at {webhook}")
    }

    /// Stops the oldest replica in order, while the others go on.
    pub async fn stop_oldest(&mut self) -> Result<()> {
        ensure!(!self.running.is_empty(), "no replica runs");
        let replica = self.running.remove(0);
        replica.stop.cancel();
        replica.ended.await??;
        self.with_backends(|backends| backends.remove(0));
        Ok(())
    }

    /// Ends the oldest replica in the middle of whatever it does.
    pub fn kill_oldest(&mut self) {
        if !self.running.is_empty() {
            self.running.remove(0).kill.cancel();
            self.with_backends(|backends| backends.remove(0));
        }
    }

    /// Waits until a write of one of our kinds is admitted, which needs the certificate, its authority in the registration,
    /// and a view of the cluster.
    async fn until_registered(&self) -> Result<()> {
        let probe = json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": "probe"}, "spec": {}});
        let mut last = None;
        for _ in 0..300 {
            let input = probe.to_string();
            match self.cluster.kubectl_with(&["apply", "--server-side", "--dry-run=server", "-f", "-"], &input) {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(last.context("no answer")?).context("the webhook does not answer the API server")
    }

    fn with_backends<T>(&self, change: impl FnOnce(&mut Vec<SocketAddr>) -> T) -> T {
        change(&mut self.backends.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Stops everything and takes the registration away.
    pub async fn end(mut self) -> Result<()> {
        unregister(&self.cluster)?;
        while !self.running.is_empty() {
            self.stop_oldest().await?;
        }
        self.forward.abort();
        Ok(())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for replica in &self.running {
            replica.kill.cancel();
        }
        self.forward.abort();
        let _ = unregister(&self.cluster);
    }
}

/// Takes the registration away, so that other tests can write without a webhook.
fn unregister(cluster: &Cluster) -> Result<()> {
    let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
    cluster.kubectl(&["delete", kinds, "tetrarch", "--ignore-not-found"]).map(drop)
}

/// The webhook configurations of the chart, with the address instead of the Service.
fn registration(cluster: &Cluster, address: SocketAddr) -> Result<Vec<Value>> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/tetrarch");
    let rendered = cluster.tool("helm", &["template", "tetrarch", chart, "--namespace", NAMESPACE])?;
    let mut configurations = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&rendered) {
        let mut document = Value::deserialize(document)?;
        if !document["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration")) {
            continue;
        }
        for webhook in document["webhooks"].as_array_mut().into_iter().flatten() {
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap_or("/").to_owned();
            let left_alone =
                json!({"name": "not-the-stagehand", "expression": "request.userInfo.username != 'stagehand'"});
            match webhook["matchConditions"].as_array_mut() {
                Some(conditions) => conditions.push(left_alone),
                None => webhook["matchConditions"] = json!([left_alone]),
            }
            webhook["clientConfig"] = json!({ "url": format!("https://localhost:{}{path}", address.port()) });
        }
        configurations.push(document);
    }
    ensure!(configurations.len() == 2, "the chart renders {} webhook configurations", configurations.len());
    Ok(configurations)
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?)
}

/// Gives each connection to the next replica.
async fn forward(listener: TcpListener, backends: Arc<Mutex<Vec<SocketAddr>>>) {
    let turn = AtomicUsize::new(0);
    while let Ok((mut from, _)) = listener.accept().await {
        let all = backends.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let first = turn.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            for index in 0..all.len() {
                let Some(backend) = all.get((first + index) % all.len()) else { return };
                if let Ok(mut to) = TcpStream::connect(backend).await {
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                    return;
                }
            }
        });
    }
}
