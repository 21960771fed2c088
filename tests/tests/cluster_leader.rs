//! Rung 4: of two operators one acts; when it dies the other takes over and nothing is written twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::Department;

const SYSTEM: &str = "tetrarch-system";
const OPERATORS: &str = "app.kubernetes.io/component=operator";
/// The certificate of the bus servers, and when it is due.
const BUS_SECRET: &str = "tetrarch-bus-server";
const RENEW_AT: &str = "tetrarch.dev/renew-at";

const SOON: Duration = Duration::from_mins(2);
/// Duration of the operator's lease; another replica must act within it, plus the time of one reconcile.
const LEASE: Duration = Duration::from_secs(15 + 10);

fn holder(cluster: &Cluster) -> Result<String> {
    let leases = cluster.kubectl(&[
        "get",
        "leases",
        "-n",
        SYSTEM,
        "-o",
        "jsonpath={.items[?(@.metadata.name==\"tetrarch-operator\")].spec.holderIdentity}",
    ])?;
    Ok(leases.trim().to_owned())
}

/// Calls kubectl until it succeeds: the API server may choose the webhook of the killed pod until its address is withdrawn.
async fn insist(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    until(&arguments.join(" "), SOON, || async { cluster.kubectl(arguments).map(Ok) }).await
}

#[tokio::test]
async fn the_second_operator_takes_over_within_the_lease() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("succession");
    let ns = Some(department.name.as_str());
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    cluster.kubectl(&["rollout", "status", "deployment/tetrarch-operator", "-n", SYSTEM, "--timeout=120s"])?;
    let first = until("a leader", SOON, || async {
        let holder = holder(&cluster)?;
        Ok(if holder.is_empty() { Err("nobody holds the lease".to_owned()) } else { Ok(holder) })
    })
    .await?;
    let generation = |cluster: &Cluster| -> Result<String> {
        let deployment = cluster.get("deployment", ns, "scripted-agents")?.context("the Deployment is gone")?;
        Ok(deployment["metadata"]["generation"].to_string())
    };
    let before = generation(&cluster)?;
    let pod = cluster
        .pods(SYSTEM, OPERATORS)?
        .into_iter()
        .find(|pod| first.contains(pod.as_str()))
        .context("the leader is no running pod")?;
    // Whoever leads next also finds the bus's certificate due.
    cluster.kubectl(&[
        "annotate",
        "secret",
        BUS_SECRET,
        "-n",
        SYSTEM,
        "--overwrite",
        &format!("{RENEW_AT}=2000-01-01T00:00:00Z"),
    ])?;
    cluster.kill_pod(SYSTEM, &pod)?;
    insist(
        &cluster,
        &["annotate", "agentpool", "scripted", "-n", &department.name, "--overwrite", "tests/touched=yes"],
    )
    .await?;
    let second = until("another leader", LEASE, || async {
        let holder = holder(&cluster)?;
        Ok(if holder.is_empty() || holder == first { Err(holder) } else { Ok(holder) })
    })
    .await?;
    // The new leader acts: it answers a change of a spec.
    let two = r#"{"spec":{"replicas":2}}"#;
    insist(&cluster, &["patch", "agentpool", "scripted", "-n", &department.name, "--type=merge", "-p", two]).await?;
    until("two agents wanted by the new leader", LEASE, || async {
        let deployment = cluster.get("deployment", ns, "scripted-agents")?.context("the Deployment is gone")?;
        let wanted = deployment["spec"]["replicas"].clone();
        Ok(if wanted == json!(2) { Ok(()) } else { Err(wanted.to_string()) })
    })
    .await?;
    let after = generation(&cluster)?;
    ensure!(
        after.parse::<i64>()? == before.parse::<i64>()? + 1,
        "only the one wanted change may reach the Deployment: generation {before} -> {after} under {second}"
    );
    until("a renewed certificate of the bus", SOON, || async {
        let secret = cluster.get("secret", Some(SYSTEM), BUS_SECRET)?.context("the Secret of the bus is gone")?;
        let due = secret["metadata"]["annotations"][RENEW_AT].as_str().unwrap_or_default().to_owned();
        Ok(if due.starts_with("2000") { Err(due) } else { Ok(()) })
    })
    .await?;
    // A pod whose Secret is deleted while its volumes are mounted is held by its kubelet for minutes.
    cluster.kubectl(&["rollout", "status", "deployment/scripted-agents", "-n", &department.name, "--timeout=120s"])?;
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}
