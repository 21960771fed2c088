//! Rung 4: an unchanged world is not written to.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::department::Department;

const SOON: Duration = Duration::from_mins(2);

/// Resource versions of all objects stay as they are for 60 s.
#[tokio::test]
async fn a_reconcile_of_an_unchanged_world_writes_nothing() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("quiet");
    let ns = Some(department.name.as_str());
    // The audit's autoscaler may still take back agents that an earlier test's load called for.
    cluster.kubectl(&["delete", "domain", "compliance", "--ignore-not-found", "--timeout=120s"])?;
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({"replicas": null, "scaling": {"min": 1, "max": 1}})))?;
    cluster.apply(&department.workflow(
        "once",
        &json!([{"name": "a", "task": {"agent": {"pool": "scripted"}, "input": {}}}]),
        &json!({}),
    ))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    cluster.until_condition("workflow", ns, "once", ("Ready", "True"), SOON).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = cluster.resource_versions().await?;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let after = cluster.resource_versions().await?;
    let changed: Vec<String> = after
        .iter()
        .filter(|(key, version)| before.get(*key) != Some(version))
        .map(|(key, version)| format!("{key} {:?} -> {version}", before.get(key)))
        .collect();
    ensure!(changed.is_empty(), "written although nothing changed: {changed:#?}");
    ensure!(before.len() == after.len(), "objects vanished: {} -> {}", before.len(), after.len());
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}
