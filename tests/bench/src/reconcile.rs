//! What a thousand AgentPools cost the operator: the real program on a real API server, with pods on a fake node.
//!
//! The API server, its controllers and the bus are real. Nothing runs in the pods: the fake node takes them and calls them ready, so that what is
//! measured is the operator and not a machine full of containers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tetrarch_crds::AgentPool;
use tetrarch_testkit::{
    cluster::{Cluster, until},
    nats::{self, NatsServer},
};

use crate::process::Process;

const SYSTEM: &str = "tetrarch-system";
const DOMAIN: &str = "bench";
const NODE: &str = "fake-1";
const LONG: Duration = Duration::from_mins(15);
/// Requests that make pools, at once.
const MAKERS: usize = 16;

/// Prints the table of the reconcile costs for these numbers of pools, one after the other in the same cluster.
pub async fn run(counts: &[usize]) -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}).to_string())?;
    let (port, metrics) = (free_port()?, free_port()?);
    let operator = start_operator(port, metrics)?;
    let _nats = start_bus(&cluster.client, port).await?;
    make_node(&cluster.client).await?;
    let _node = tokio::spawn(fake_node(cluster.client.clone()));
    cluster.apply(&department())?;
    cluster.until_condition("domain", None, DOMAIN, ("Accepted", "True"), LONG).await?;
    until("namespace of the Domain", LONG, || async {
        Ok(cluster.get("namespace", None, DOMAIN)?.map(drop).ok_or_else(|| "none".to_owned()))
    })
    .await?;
    cluster.apply(&supervisor())?;
    println!(
        "## Reconciling AgentPools\n\n| pools | s to create them | s until the top counts all ready | operator CPU ms per pool | reconciles per pool: of pools, of all above | MiB resident | MiB peak | CPU ms in 15 idle s |\n|---|---|---|---|---|---|---|---|"
    );
    let mut made = 0;
    for &count in counts {
        let (begin, cpu, before) = (Instant::now(), operator.cpu()?, reconciles(metrics)?);
        make_pools(&cluster.client, made..count).await?;
        let created = begin.elapsed();
        until("every agent counted at the top", LONG, || async {
            let status =
                cluster.get("orchestrator", None, DOMAIN)?.context("the Orchestrator is gone")?["status"].clone();
            let seen = (status["pools"]["ready"].as_u64(), status["agents"]["ready"].as_u64());
            let wanted = u64::try_from(count).ok();
            Ok(if seen == (wanted, wanted) { Ok(()) } else { Err(format!("{seen:?}")) })
        })
        .await?;
        let ready = begin.elapsed();
        let spent = operator.cpu()?.saturating_sub(cpu);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let idle = operator.cpu()?;
        tokio::time::sleep(Duration::from_secs(15)).await;
        let idle = operator.cpu()?.saturating_sub(idle);
        let seen = reconciles(metrics)?;
        ensure!(count > made, "the numbers of pools must grow");
        let new = f64::from(u32::try_from(count - made)?);
        println!(
            "| {count} | {:.1} | {:.1} | {:.1} | {:.1}, {:.1} | {:.1} | {:.1} | {} |",
            created.as_secs_f64(),
            ready.as_secs_f64(),
            spent.as_secs_f64() * 1000.0 / new,
            (seen.0 - before.0) / new,
            (seen.1 - before.1) / new,
            operator.resident()?,
            operator.peak()?,
            idle.as_millis()
        );
        made = count;
    }
    println!();
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// How many reconciles the operator counts: those of pools, and those of everything above them.
fn reconciles(port: u16) -> Result<(f64, f64)> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    let of = |controller: &str| -> f64 {
        let line = format!("tetrarch_reconcile_total{{controller=\"{controller}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
    };
    Ok((of("agentpool"), of("supervisor") + of("domain") + of("orchestrator")))
}

fn start_operator(port: u16, metrics: u16) -> Result<Process> {
    let settings = [
        ("TETRARCH_NAMESPACE", SYSTEM.to_owned()),
        ("POD_NAME", "bench-operator".to_owned()),
        ("TETRARCH_BUS_URL", format!("tls://127.0.0.1:{port}")),
        ("TETRARCH_SUPERVISOR_IMAGE", "tetrarch/supervisor:bench".to_owned()),
        ("TETRARCH_SIDECAR_IMAGE", "tetrarch/agent-sidecar:bench".to_owned()),
        ("TETRARCH_HTTP_ADDR", format!("127.0.0.1:{metrics}")),
        ("TETRARCH_LOG", "warn".to_owned()),
    ];
    Process::start("tetrarch-operator", &["serve"], &settings)
}

/// The bus, with the identity and the trust that the operator wrote for it.
async fn start_bus(client: &Client, port: u16) -> Result<NatsServer> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let secret = until("Secret of the bus", LONG, || async {
        Ok(secrets.get_opt("tetrarch-bus-server").await?.ok_or_else(|| "none".to_owned()))
    })
    .await?;
    let files = tempfile::tempdir()?.keep();
    let mut auth = String::new();
    for (name, content) in secret.data.context("the Secret of the bus is empty")? {
        if name == "auth.conf" {
            auth = String::from_utf8(content.0)?.replace("/data/jwt", &files.join("jwt").to_string_lossy());
        } else {
            std::fs::write(files.join(&name), &content.0)?;
        }
    }
    let path = |name: &str| files.join(name).display().to_string();
    let extra = format!(
        "tls {{\n  cert_file: {:?}\n  key_file: {:?}\n  ca_file: {:?}\n}}\n{auth}",
        path("server.crt"),
        path("server.key"),
        path("ca.crt")
    );
    NatsServer::start_with(nats::Options { extra, port: Some(port), ..nats::Options::default() }).await
}

/// A node without a machine, which is alive as far as anyone can see: pods of a node that is missing or silent are removed.
async fn make_node(client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let node = serde_json::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}))?;
    nodes.create(&PostParams::default(), &node).await?;
    let now = jiff::Timestamp::now().to_string();
    let ready = json!({"type": "Ready", "status": "True", "reason": "Fake", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now});
    nodes
        .patch_status(NODE, &PatchParams::default(), &Patch::Merge(json!({"status": {"conditions": [ready]}})))
        .await?;
    Ok(())
}

/// Tells that the node is alive.
async fn renew_node(client: &Client) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let now = format!("{:.6}", jiff::Timestamp::now());
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NODE},
        "spec": {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": now}});
    leases.patch(NODE, &PatchParams::apply("bench-node"), &Patch::Apply(lease)).await?;
    Ok(())
}

/// Binds every pod to the node and calls it ready.
async fn fake_node(client: Client) -> Result<()> {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut renewed: Option<Instant> = None;
    loop {
        if renewed.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
            renew_node(&client).await?;
            renewed = Some(Instant::now());
        }
        let waiting = pods.list(&ListParams::default().fields("status.phase=Pending").limit(500)).await?;
        futures::stream::iter(waiting.items)
            .map(|pod| start_pod(&client, pod))
            .buffer_unordered(MAKERS)
            // A pod may be deleted between the look and the deed.
            .for_each(|_| std::future::ready(()))
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn start_pod(client: &Client, pod: Pod) -> Result<()> {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()) {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}});
        let _: Value = pods.create_subresource("binding", &name, &PostParams::default(), &binding).await?;
    }
    let now = jiff::Timestamp::now().to_string();
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now}))
        .collect();
    let status = json!({"status": {"phase": "Running", "startTime": now, "conditions": conditions}});
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn department() -> String {
    let orchestrator = json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": DOMAIN},
        "spec": {"hierarchy": {"maxAgentsPerSupervisor": 10_000}}});
    let domain = json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": DOMAIN},
        "spec": {"orchestratorRef": {"name": DOMAIN}}});
    format!("{orchestrator}\n---\n{domain}\n")
}

fn supervisor() -> String {
    json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Supervisor", "metadata": {"name": "work", "namespace": DOMAIN}, "spec": {"replicas": 1}})
        .to_string()
}

async fn make_pools(client: &Client, numbers: std::ops::Range<usize>) -> Result<()> {
    let pools: Api<AgentPool> = Api::namespaced(client.clone(), DOMAIN);
    futures::stream::iter(numbers)
        .map(|number| {
            let pools = pools.clone();
            async move {
                let pool: AgentPool = serde_json::from_value(json!({
                    "apiVersion": "tetrarch.dev/v1alpha1", "kind": "AgentPool", "metadata": {"name": format!("pool-{number}")},
                    "spec": {"supervisorRef": {"name": "work"}, "replicas": 1, "capabilities": [{"name": format!("skill-{number}")}],
                        "agent": {"image": "example/agent:1"}},
                }))?;
                pools.create(&PostParams::default(), &pool).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(MAKERS)
        .try_collect()
        .await
}
