//! Rung 4: everything is killed while the licence audit runs; every dependency is still classified exactly once.
//!
//! Negative controls for the check of the journal are in `tests/src/journal.rs`: doctored journals are caught.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::journal;

const SOON: Duration = Duration::from_mins(3);
const NAMESPACE: &str = "compliance";
const SYSTEM: &str = "tetrarch-system";

/// Asks for a run of the audit, of a request id that nobody used before, and waits until some of its packages have been classified.
async fn audit_in_the_middle(cluster: &Cluster, name: &str) -> Result<String> {
    let request = format!("{name}-{}", Timestamp::now().as_millisecond());
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
        let mine = run["id"].as_str().is_some_and(|id| id.ends_with(&request));
        Ok(if mine && classified > 10 { Ok(()) } else { Err(run.to_string()) })
    })
    .await?;
    Ok(request)
}

/// Kills some of the processes in the middle of an audit and checks what becomes of it. An audit that ended before the last
/// kill proves nothing and is repeated.
async fn audit_survives(cluster: &Cluster, name: &str, kill: impl Fn() -> Result<()>) -> Result<journal::Account> {
    for _ in 0..8 {
        let request = audit_in_the_middle(cluster, name).await?;
        let before = Timestamp::now();
        kill()?;
        let account = audit_is_complete(cluster, &request).await?;
        let finished: Timestamp =
            current_run(cluster)?["finishedAt"].as_str().context("a finished run has no end")?.parse()?;
        // The status has whole seconds.
        if finished.as_second() > before.as_second() {
            return Ok(account);
        }
    }
    anyhow::bail!("the audit always ended before {name} could be killed: give it more to do")
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
    // Whoever was killed last may still be starting; report and journal are in the stream and wait.
    let report: Value =
        serde_json::from_str(&cluster.asked(&["get", "run", "licence-audit", "-n", NAMESPACE, "--output"]).await?)?;
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
    journal::check(&cluster.asked(&["journal", "licence-audit", "-n", NAMESPACE]).await?)
        .map_err(|violations| anyhow::anyhow!("{violations:?}"))
}

trait Audit {
    fn inventory(&self) -> Result<Vec<String>>;
    async fn asked(&self, arguments: &[&str]) -> Result<String>;
}

impl Audit for Cluster {
    /// What the plugin prints, once it can.
    async fn asked(&self, arguments: &[&str]) -> Result<String> {
        until("answer of a supervisor", SOON, || async {
            Ok(self.plugin(arguments).map_err(|error| format!("{error:#}")))
        })
        .await
    }

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
    for victim in victims() {
        let account = audit_survives(&cluster, victim.0, || kill(&cluster, victim)).await?;
        println!("{} killed: {account:?}", victim.0);
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_survives_the_death_of_all_processes_at_once() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let account = audit_survives(&cluster, "everything", || {
        for victim in victims() {
            kill(&cluster, victim)?;
        }
        // The pod of an agent goes for good too, sidecar and all, with the tasks it was working on.
        match cluster.pods(NAMESPACE, "tetrarch.dev/pool=classifier")?.last() {
            Some(pod) => cluster.kill_pod(NAMESPACE, pod),
            None => Ok(()),
        }
    })
    .await?;
    println!("everything killed: {account:?}");
    Ok(())
}
