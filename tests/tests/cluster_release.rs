//! Rung 4: the chart is upgraded twice under a running operator without a conflict and without touching the agents, repaired
//! and taken away with the webhook down. The name sorts after the other files: it ends with the release gone.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::Department;

const SOON: Duration = Duration::from_mins(2);
const SYSTEM: &str = "tetrarch-system";

/// Installs or upgrades the release the way the demo does.
fn install(arguments: &[&str]) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    let output = Command::new(&script).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Leaves nobody who answers the API server's questions, though it goes on asking.
async fn stop_the_webhook(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["scale", "deployment/tetrarch-operator", "-n", SYSTEM, "--replicas=0"])?;
    until("no operator", SOON, || async {
        let pods = cluster.pods(SYSTEM, "app.kubernetes.io/component=operator")?;
        Ok(if pods.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) })
    })
    .await
}

/// What is ours is refused with the webhook's name; what is not ours is written as ever.
fn only_ours_is_refused(cluster: &Cluster, department: &Department) -> Result<()> {
    let refusal = cluster.refusal(&Department::new("unasked").domain())?;
    ensure!(refusal.contains("approvals.tetrarch.dev") && refusal.contains("failed calling webhook"), "{refusal}");
    let pod = |namespace: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger", "namespace": namespace}, "spec": {
            "nodeName": "nowhere",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "c", "image": "nowhere/c:1",
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}})
        .to_string()
    };
    let refusal = cluster.refusal(&pod(&department.name))?;
    ensure!(refusal.contains("pods.tetrarch.dev"), "{refusal}");
    for namespace in ["default", "kube-system", SYSTEM] {
        cluster.apply(&pod(namespace)).with_context(|| format!("a pod in {namespace} is none of ours"))?;
        cluster.kubectl(&["delete", "pod", "stranger", "-n", namespace, "--force", "--grace-period=0"])?;
    }
    let settings =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any", "namespace": department.name}});
    cluster.apply(&settings.to_string()).context("a ConfigMap in the Domain's own namespace is none of ours")?;
    Ok(())
}

#[tokio::test]
async fn two_upgrades_change_no_agent_and_a_dead_webhook_stops_neither_repair_nor_uninstall() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("release");
    let ns = Some(department.name.as_str());
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({"replicas": null, "scaling": {"min": 2, "max": 3}})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let deployment = || -> Result<(String, String)> {
        let object = cluster.get("deployment", ns, "scripted-agents")?.context("the Deployment is gone")?;
        Ok((object["spec"]["replicas"].to_string(), object["metadata"]["generation"].to_string()))
    };
    // What the autoscaler decided must survive the upgrades and the operator's own reconciles.
    let before = until("two agents by the autoscaler", SOON, || async {
        let seen = deployment()?;
        Ok(if seen.0 == "2" { Ok(seen) } else { Err(format!("{seen:?}")) })
    })
    .await?;
    for round in 1..=2 {
        install(&["--set", &format!("operator.podAnnotations.round=r{round}")])
            .with_context(|| format!("upgrade {round}"))?;
    }
    cluster.tool("helm", &["test", "tetrarch", "-n", SYSTEM, "--timeout", "120s"])?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(deployment()? == before, "the upgrades touched the agents: {before:?} -> {:?}", deployment()?);

    stop_the_webhook(&cluster).await?;
    only_ours_is_refused(&cluster, &department)?;
    // Helm must be told that what was scaled by hand shall be as the chart says.
    install(&["--force-conflicts"]).context("repair with the webhook down")?;
    cluster.apply(&department.supervisor(1)).context("after the repair")?;

    cluster.kubectl(&["delete", "domains,orchestrators", "--all", "--timeout=180s"])?;
    stop_the_webhook(&cluster).await?;
    cluster.refusal(&Department::new("unasked").domain())?;
    cluster.tool("helm", &["uninstall", "tetrarch", "-n", SYSTEM, "--wait", "--timeout", "120s"])?;
    until("no pods of the release", SOON, || async {
        let pods = cluster.kubectl(&["get", "pods", "-n", SYSTEM, "-o", "name"])?;
        Ok(if pods.trim().is_empty() { Ok(()) } else { Err(pods) })
    })
    .await?;
    let definitions = cluster.kubectl(&["get", "crds", "-o", "name"])?;
    ensure!(
        definitions.contains("agentpools.tetrarch.dev"),
        "the definitions belong to a chart of their own: {definitions}"
    );
    // Nobody is asked any more: the definitions alone decide.
    let orphan = Department::new("unasked");
    cluster.apply(&orphan.domain())?;
    cluster.kubectl(&["delete", "domain", &orphan.name, "--timeout=60s"])?;
    Ok(())
}
