//! Rung 4: the chart is upgraded twice under a running operator without a conflict and without touching the agents. The name sorts
//! after the other files: it ends with taking the release away.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::Department;

const SOON: Duration = Duration::from_mins(2);
const SYSTEM: &str = "tetrarch-system";

#[tokio::test]
async fn two_upgrades_change_no_agent_and_uninstall_leaves_the_definitions() -> Result<()> {
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
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    for round in 1..=2 {
        let output =
            Command::new(&install).args(["--set", &format!("operator.podAnnotations.round=r{round}")]).output()?;
        ensure!(
            output.status.success(),
            "upgrade {round}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    cluster.tool("helm", &["test", "tetrarch", "-n", SYSTEM, "--timeout", "120s"])?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(deployment()? == before, "the upgrades touched the agents: {before:?} -> {:?}", deployment()?);
    cluster.kubectl(&["delete", "domains,orchestrators", "--all", "--timeout=180s"])?;
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
    Ok(())
}
