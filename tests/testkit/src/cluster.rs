//! The cluster that the rung-4 tests run against: access, kubectl, helm and the plugin as a user would call them, and waiting for a state.
//!
//! `tests/run.sh` starts the cluster, loads the images and installs the charts; `KUBECONFIG` and `TETRARCH_TOOLS` (the
//! directory of kubectl, helm and the plugin) say where. Without them a test fails and says what to run.

use std::{
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
    discovery,
};
use serde_json::Value;

/// A cluster with Tetrarch installed.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the rights of the kubeconfig's user.
    pub client: Client,
    kubeconfig: PathBuf,
    tools: PathBuf,
}

impl Cluster {
    /// Connects to the cluster that `KUBECONFIG` names.
    pub async fn connect() -> Result<Self> {
        let missing =
            "is not set: run this rung with `make test-cluster`, which starts a cluster and installs the charts";
        let kubeconfig =
            PathBuf::from(std::env::var_os("KUBECONFIG").with_context(|| format!("KUBECONFIG {missing}"))?);
        let tools =
            PathBuf::from(std::env::var_os("TETRARCH_TOOLS").with_context(|| format!("TETRARCH_TOOLS {missing}"))?);
        // Several test binaries may share a process-wide provider; whoever came first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = read_config(&kubeconfig).await?;
        Ok(Self { client: Client::try_from(config)?, kubeconfig, tools })
    }

    /// What a client of this cluster is made of.
    pub async fn config(&self) -> Result<kube::Config> {
        read_config(&self.kubeconfig).await
    }

    /// Runs one of the tools and returns what it printed; a failure carries its standard error.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
        self.tool_with_input(name, arguments, None)
    }

    /// Runs `kubectl`.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.tool("kubectl", arguments)
    }

    /// Runs `kubectl` with this on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        self.tool_with_input("kubectl", arguments, Some(input))
    }

    /// Runs `kubectl tetrarch`, by its binary.
    pub fn plugin(&self, arguments: &[&str]) -> Result<String> {
        self.tool("kubectl-tetrarch", arguments)
    }

    /// Applies manifests the way a user does.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.tool_with_input("kubectl", &["apply", "--server-side", "-f", "-"], Some(manifests))
    }

    /// Applies manifests that must be refused, and returns the refusal.
    pub fn refusal(&self, manifests: &str) -> Result<String> {
        match self.apply(manifests) {
            Ok(printed) => bail!("should have been refused, but: {printed}"),
            Err(refusal) => Ok(format!("{refusal:#}")),
        }
    }

    /// Where a tool is: beside the others, or on the PATH.
    pub fn tool_path(&self, name: &str) -> PathBuf {
        let bundled = self.tools.join(name);
        if bundled.exists() { bundled } else { PathBuf::from(name) }
    }

    /// Installs the definitions as `make generate` wrote them and waits until they are served; for API servers without the charts.
    pub fn install_definitions(&self) -> Result<()> {
        let generated = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/generated");
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", generated])?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", generated])?;
        Ok(())
    }

    fn tool_with_input(&self, name: &str, arguments: &[&str], input: Option<&str>) -> Result<String> {
        let program = self.tool_path(name);
        let mut child = Command::new(&program)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("NO_COLOR", "1")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "`{name} {}` ended with {}: {}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Reads one object as JSON by kubectl; `None` when it does not exist.
    pub fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Result<Option<Value>> {
        let mut arguments = vec!["get", kind, name, "-o", "json", "--ignore-not-found"];
        if let Some(namespace) = namespace {
            arguments.extend(["-n", namespace]);
        }
        let printed = self.kubectl(&arguments)?;
        if printed.trim().is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&printed)?)) }
    }

    /// Status of a condition of an object, such as `True`, with its reason and message.
    pub fn condition(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        condition: &str,
    ) -> Result<Option<Condition>> {
        let Some(object) = self.get(kind, namespace, name)? else { return Ok(None) };
        Ok(condition_of(&object, condition))
    }

    /// Waits until a condition of an object has a status, and fails with what it says instead.
    pub async fn until_condition(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        (condition, status): (&str, &str),
        within: Duration,
    ) -> Result<Condition> {
        until(&format!("{kind}/{name} {condition}={status}"), within, || async {
            let found = self.condition(kind, namespace, name, condition)?;
            match found {
                Some(found) if found.status == status => Ok(Ok(found)),
                other => Ok(Err(format!("{other:?}"))),
            }
        })
        .await
    }

    /// Resource versions of every object of every kind that can be listed, except those that change by themselves
    /// (leases, events, metrics, endpoint slices' own bookkeeping is kept).
    pub async fn resource_versions(&self) -> Result<std::collections::BTreeMap<String, String>> {
        let mut versions = std::collections::BTreeMap::new();
        let found = discovery::Discovery::new(self.client.clone()).run().await?;
        for group in found.groups() {
            if matches!(group.name(), "metrics.k8s.io" | "coordination.k8s.io" | "events.k8s.io") {
                continue;
            }
            for (resource, capabilities) in group.recommended_resources() {
                let changes_by_itself = matches!(resource.kind.as_str(), "Event" | "Node" | "ComponentStatus");
                if changes_by_itself || !capabilities.supports_operation(discovery::verbs::LIST) {
                    continue;
                }
                let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
                for object in api.list(&ListParams::default()).await?.items {
                    let key = format!(
                        "{}/{}/{}/{}",
                        resource.group,
                        resource.kind,
                        object.namespace().unwrap_or_default(),
                        object.name_any()
                    );
                    let version = if resource.kind == "HorizontalPodAutoscaler" {
                        // Its own controller writes down what it measures; what is ours are the spec, the labels and the annotations.
                        let metadata = &object.metadata;
                        format!("{}{:?}{:?}", object.data["spec"], metadata.labels, metadata.annotations)
                    } else {
                        object.resource_version().unwrap_or_default()
                    };
                    versions.insert(key, version);
                }
            }
        }
        Ok(versions)
    }
}

async fn read_config(kubeconfig: &Path) -> Result<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// A condition as found in a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The stable reason.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
}

/// Finds a condition in an object.
pub fn condition_of(object: &Value, name: &str) -> Option<Condition> {
    let found = object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == name)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
}

/// Repeats a look until it yields a value; after the time it fails with what was seen last.
pub async fn until<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Result<T, String>>>,
{
    let start = Instant::now();
    loop {
        let seen = match look().await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => seen,
            // A cluster under fault injection may refuse a look; what counts is the end.
            Err(error) => format!("{error:#}"),
        };
        ensure!(start.elapsed() < within, "no {what} within {within:?}; last seen: {seen}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
