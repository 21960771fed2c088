//! Rung 4: everything is killed while the licence audit runs; every dependency is still classified exactly once.
//!
//! Negative controls for the check of the journal are in `tests/src/journal.rs`: doctored journals are caught.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::journal;

const SOON: Duration = Duration::from_mins(3);
const NAMESPACE: &str = "compliance";
const SYSTEM: &str = "tetrarch-system";

/// Asks for a run of the audit and waits until some of its packages have been classified.
async fn audit_in_the_middle(cluster: &Cluster, request: &str) -> Result<()> {
    cluster.kubectl(&[
        "annotate",
        "workflow",
        "licence-audit",
        "-n",
        NAMESPACE,
        "--overwrite",
        &format!("tetrarch.dev/run={request}"),
    ])?;
    until("audit in the middle", SOON, || async {
        let run = current_run(cluster)?;
        let classified = run["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|s| s["kind"] == "map")
            .filter_map(|s| s["succeeded"].as_i64())
            .sum::<i64>();
        let mine = run["id"].as_str().is_some_and(|id| id.ends_with(request));
        Ok(if mine && classified > 10 { Ok(()) } else { Err(run.to_string()) })
    })
    .await
}

fn current_run(cluster: &Cluster) -> Result<Value> {
    let object = cluster.get("workflow", Some(NAMESPACE), "licence-audit")?.context("the audit is not installed")?;
    Ok(object["status"]["run"].clone())
}

/// Waits for the end of the run and checks report and journal.
async fn audit_is_complete(cluster: &Cluster, request: &str) -> Result<journal::Account> {
    until("finished audit", SOON, || async {
        let run = current_run(cluster)?;
        let mine = run["id"].as_str().is_some_and(|id| id.ends_with(request));
        Ok(if mine && run["phase"] == "Succeeded" { Ok(()) } else { Err(run.to_string()) })
    })
    .await?;
    let report: Value =
        serde_json::from_str(&cluster.plugin(&["get", "run", "licence-audit", "-n", NAMESPACE, "--output"])?)?;
    let mut classified: BTreeMap<String, usize> = BTreeMap::new();
    for package in report["report"]["packages"].as_array().context("the report lists no packages")? {
        let key = format!(
            "{} {}",
            package["name"].as_str().unwrap_or_default(),
            package["version"].as_str().unwrap_or_default()
        );
        *classified.entry(key).or_default() += 1;
    }
    let repeated: Vec<_> = classified.iter().filter(|(_, count)| **count != 1).collect();
    ensure!(repeated.is_empty(), "classified more than once: {repeated:?}");
    let expected = cluster.inventory()?;
    let missing: Vec<_> = expected.iter().filter(|package| !classified.contains_key(*package)).collect();
    ensure!(
        missing.is_empty() && classified.len() == expected.len(),
        "{} of {} classified, missing: {missing:?}",
        classified.len(),
        expected.len()
    );
    journal::check(&cluster.plugin(&["journal", "licence-audit", "-n", NAMESPACE])?)
        .map_err(|violations| anyhow::anyhow!("{violations:?}"))
}

trait Inventory {
    fn inventory(&self) -> Result<Vec<String>>;
}

impl Inventory for Cluster {
    /// Names and versions of all dependencies as the gatherer wrote them into the image's dataset.
    fn inventory(&self) -> Result<Vec<String>> {
        let path = std::env::var("TETRARCH_AUDIT_DATASET")
            .context("TETRARCH_AUDIT_DATASET is not set: run this rung with `make test-cluster`")?;
        let dataset: Value = serde_json::from_str(&std::fs::read_to_string(&path).with_context(|| path.clone())?)?;
        let packages =
            dataset["packages"].as_array().or_else(|| dataset.as_array()).context("the dataset lists no packages")?;
        Ok(packages
            .iter()
            .map(|p| {
                format!("{} {}", p["name"].as_str().unwrap_or_default(), p["version"].as_str().unwrap_or_default())
            })
            .collect())
    }
}

/// The processes that are killed: namespace, selector and container.
fn victims() -> [(&'static str, &'static str, &'static str, &'static str); 4] {
    [
        ("supervisor", NAMESPACE, "app.kubernetes.io/component=supervisor", "supervisor"),
        ("agent", NAMESPACE, "tetrarch.dev/pool=classifier", "agent"),
        ("nats", SYSTEM, "app.kubernetes.io/component=nats", "nats"),
        ("operator", SYSTEM, "app.kubernetes.io/component=operator", "operator"),
    ]
}

fn kill(cluster: &Cluster, (what, namespace, selector, container): (&str, &str, &str, &str)) -> Result<()> {
    let pods = cluster.pods(namespace, selector)?;
    let pod = pods.first().with_context(|| format!("no {what} to kill: {selector} in {namespace}"))?;
    cluster.kill_container(namespace, pod, container)
}

#[tokio::test]
async fn the_audit_survives_the_death_of_each_process_in_turn() -> Result<()> {
    let cluster = Cluster::connect().await?;
    audit_in_the_middle(&cluster, "each").await?;
    for victim in victims() {
        kill(&cluster, victim)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let account = audit_is_complete(&cluster, "each").await?;
    println!("killed one after the other: {account:?}");
    Ok(())
}

#[tokio::test]
async fn the_audit_survives_the_death_of_all_processes_at_once() -> Result<()> {
    let cluster = Cluster::connect().await?;
    audit_in_the_middle(&cluster, "together").await?;
    for victim in victims() {
        kill(&cluster, victim)?;
    }
    // The pod of an agent goes for good too, sidecar and all, with the tasks it was working on.
    let pods = cluster.pods(NAMESPACE, "tetrarch.dev/pool=classifier")?;
    if let Some(pod) = pods.last() {
        cluster.kill_pod(NAMESPACE, pod)?;
    }
    let account = audit_is_complete(&cluster, "together").await?;
    println!("killed together: {account:?}");
    Ok(())
}
