//! Our webhook: the real operator as a replica that does not lead, so that it answers reviews and reconciles nothing.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};

use super::{api, direct::Server, gatekeeper::free_port, load::Target, rival, tls::Identity};
use crate::{cores::Core, process::Process};

const NAMESPACE: &str = "tetrarch-system";
/// Name of the lease of the operator that leads.
const LEASE: &str = "tetrarch-operator";
/// The Secret with the certificate of the webhook.
const CERTIFICATE: &str = "tetrarch-webhook-tls";
const LONG: Duration = Duration::from_mins(1);

/// The operator with its webhook.
pub struct Tetrarch {
    /// The process.
    pub process: Process,
    /// Its webhook, by the path of the validating review.
    pub server: Server,
}

impl Tetrarch {
    /// Starts it on this core against this API server, and waits until it answers reviews.
    pub async fn start(cluster: &Cluster, identity: &Identity, core: Core) -> Result<Self> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        api::create(&cluster.client, [namespace]).await?;
        api::create(&cluster.client, [lease(), identity.secret(CERTIFICATE, NAMESPACE)]).await?;
        let (port, health) = (free_port()?, free_port()?);
        let kubeconfig = std::env::var("KUBECONFIG").context("KUBECONFIG is not set")?;
        let settings = [
            ("KUBECONFIG", kubeconfig),
            ("TETRARCH_NAMESPACE", NAMESPACE.to_owned()),
            ("POD_NAME", "bench-webhook".to_owned()),
            ("TETRARCH_BUS_URL", "tls://127.0.0.1:1".to_owned()),
            ("TETRARCH_SUPERVISOR_IMAGE", "tetrarch/supervisor:bench".to_owned()),
            ("TETRARCH_SIDECAR_IMAGE", "tetrarch/agent-sidecar:bench".to_owned()),
            ("TETRARCH_HTTP_ADDR", format!("127.0.0.1:{health}")),
            ("TETRARCH_WEBHOOK_ADDR", format!("127.0.0.1:{port}")),
            ("TETRARCH_WEBHOOK_CERTIFICATES", "secret".to_owned()),
            ("TETRARCH_LOG", "warn".to_owned()),
        ];
        let process = Process::start_on(core, "tetrarch-operator", &["serve"], &settings)?;
        until("webhook of the operator", LONG, || async { Ok(ready(health).await.map_err(|e| format!("{e:#}"))) })
            .await?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { process, server: Server { target: Target { address, tls: identity.client()? }, path: "/validate" } })
    }

    /// The registrations of both reviews, as the chart has them but for the measured objects only.
    pub fn registrations(&self, identity: &Identity) -> Vec<Value> {
        let url = |path: &str| format!("https://{}/{path}", self.server.target.address);
        vec![
            rival::webhook("tetrarch", false, &url("validate"), &identity.bundle()),
            rival::webhook("tetrarch", true, &url("mutate"), &identity.bundle()),
        ]
    }
}

/// A lease that somebody else holds for an hour: the benchmark, in which nobody leads.
fn lease() -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE, "namespace": NAMESPACE},
        "spec": {"holderIdentity": "bench", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now, "leaseTransitions": 0}})
}

/// Asks for `/readyz`.
async fn ready(port: u16) -> Result<()> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/readyz").header(http::header::HOST, "localhost");
    let answer = sender.send_request(request.body(http_body_util::Empty::<bytes::Bytes>::new())?).await?;
    connection.abort();
    anyhow::ensure!(answer.status().is_success(), "it says {}", answer.status());
    Ok(())
}
