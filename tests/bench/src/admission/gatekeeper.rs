//! Gatekeeper as a process of its own, as far as its admission webhook needs it.

use std::{net::SocketAddr, path::Path, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use kube::{Client, api::ListParams};
use serde_json::json;
use tetrarch_testkit::cluster::{Cluster, until};

use super::{
    api,
    direct::Server,
    load::Target,
    rival::{self, Rival},
    tls::Identity,
};
use crate::{cores::Core, process::Process};

/// Environment variable that names the directory of Gatekeeper's program and definitions.
const DIRECTORY: &str = "TETRARCH_GATEKEEPER";
const NAMESPACE: &str = "gatekeeper-system";
const PATH: &str = "/v1/admit";
const LONG: Duration = Duration::from_mins(2);

/// A running Gatekeeper that knows its template.
pub struct Gatekeeper {
    /// The process.
    pub process: Process,
    /// Its webhook.
    pub server: Server,
    /// Where its files are, until it ends.
    _files: tempfile::TempDir,
}

impl Gatekeeper {
    /// Starts it on this core against this API server; `None` when it is not there.
    pub async fn start(cluster: &Cluster, identity: &Identity, core: Core) -> Result<Option<Self>> {
        let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return Ok(None) };
        let definitions = directory.join("crds").display().to_string();
        cluster.kubectl(&["apply", "--server-side", "-f", &definitions])?;
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &definitions])?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        api::create(&cluster.client, [namespace]).await?;
        let files = tempfile::tempdir()?;
        identity.write_into(files.path())?;
        let (port, health) = (free_port()?, free_port()?);
        let process = spawn(&directory, files.path(), port, health, core)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Server { target: Target { address, tls: identity.client()? }, path: PATH };
        until("Gatekeeper listening", LONG, || async {
            Ok(tokio::net::TcpStream::connect(address).await.map(drop).map_err(|e| e.to_string()))
        })
        .await?;
        api::create(&cluster.client, [rival::template()]).await?;
        until("definition of the constraints", LONG, || async {
            let made = cluster.kubectl(&[
                "wait",
                "--for=condition=Established",
                "--timeout=5s",
                "crd/domainpolicy.constraints.gatekeeper.sh",
            ]);
            Ok(made.map(drop).map_err(|e| e.to_string()))
        })
        .await?;
        Ok(Some(Self { process, server, _files: files }))
    }
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn spawn(directory: &Path, files: &Path, port: u16, health: u16, core: Core) -> Result<Process> {
    let kubeconfig = std::env::var("KUBECONFIG").context("KUBECONFIG is not set")?;
    let arguments = [
        // Its generator makes the definitions of constraints; nothing audits and nothing becomes a policy of the API server.
        "--operation=webhook",
        "--operation=generate",
        "--default-create-vap-for-templates=false",
        "--default-create-vap-binding-for-constraints=false",
        "--enable-external-data=false",
        "--enable-generator-resource-expansion=false",
        "--disable-cert-rotation",
        "--debug-use-fake-pod",
        "--log-level=ERROR",
        "--host=127.0.0.1",
        &format!("--port={port}"),
        &format!("--health-addr=127.0.0.1:{health}"),
        &format!("--prometheus-port={}", free_port()?),
        &format!("--cert-dir={}", files.display()),
    ];
    let settings =
        [("POD_NAME", "bench".to_owned()), ("POD_NAMESPACE", NAMESPACE.to_owned()), ("KUBECONFIG", kubeconfig)];
    Process::start_foreign(core, "gatekeeper", &directory.join("gatekeeper"), &arguments, &settings)
}

/// The registration of its webhook.
pub fn registration(gatekeeper: &Gatekeeper, identity: &Identity) -> serde_json::Value {
    let url = format!("https://{}{PATH}", gatekeeper.server.target.address);
    rival::webhook("gatekeeper", false, &url, &identity.bundle())
}

/// Creates the constraints of these Domains, and waits until Gatekeeper has taken in all so far.
pub async fn teach(client: &Client, numbers: std::ops::Range<usize>) -> Result<()> {
    let known = json!({"apiVersion": "status.gatekeeper.sh/v1beta1", "kind": "ConstraintPodStatus", "metadata": {"namespace": NAMESPACE}});
    let (known, all) = (api::of_plural(client, &known, "constraintpodstatuses")?, numbers.end);
    api::create(client, numbers.flat_map(|number| Rival::Gatekeeper.of_domain(number))).await?;
    until("constraint known to Gatekeeper", LONG, || async {
        let count = known.list_metadata(&ListParams::default()).await?.items.len();
        Ok(if count == all { Ok(()) } else { Err(format!("{count} of {all}")) })
    })
    .await
}
