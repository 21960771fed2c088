//! Rung 4: every Workflow among the samples comes to the end that it promises, on the agents of `hello.yaml`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tetrarch_testkit::cluster::{Cluster, until};

const SOON: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "hello";

fn sample(name: &str) -> Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples/");
    std::fs::read_to_string(format!("{folder}{name}")).with_context(|| name.to_owned())
}

/// Phases of the run and of its steps, once the run has ended.
async fn end_of(cluster: &Cluster, workflow: &str) -> Result<(String, String)> {
    until(&format!("the end of {workflow}"), SOON, || async {
        let object = cluster.get("workflow", Some(NAMESPACE), workflow)?.context("the Workflow is gone")?;
        let run = &object["status"]["run"];
        let phase = run["phase"].as_str().unwrap_or("none").to_owned();
        if matches!(phase.as_str(), "none" | "Pending" | "Running" | "Compensating") {
            return Ok(Err(run.to_string()));
        }
        let steps = run["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let steps: Vec<String> = steps
            .iter()
            .map(|step| format!("{}:{}", step["name"].as_str().unwrap_or("?"), step["phase"].as_str().unwrap_or("?")))
            .collect();
        Ok(Ok((phase, steps.join(" "))))
    })
    .await
}

#[tokio::test]
async fn every_sample_ends_as_it_says() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.apply(&sample("hello.yaml")?)?;
    cluster.until_condition("agentpool", Some(NAMESPACE), "echo", ("Ready", "True"), SOON).await?;
    let expected = [
        ("workflow-map-reduce.yaml", "Succeeded"),
        ("workflow-pipeline.yaml", "Succeeded"),
        ("workflow-fork-join.yaml", "Succeeded"),
        ("workflow-scatter.yaml", "Succeeded"),
        ("workflow-conditions.yaml", "Succeeded"),
        ("workflow-gate.yaml", "Succeeded"),
        ("workflow-research.yaml", "Succeeded"),
        ("workflow-experts.yaml", "Succeeded"),
        ("workflow-release.yaml", "Succeeded"),
        ("workflow-escalation.yaml", "Succeeded"),
        ("workflow-loop.yaml", "Succeeded"),
        ("workflow-saga.yaml", "Compensated"),
    ];
    for (file, phase) in expected {
        let manifest = sample(file)?;
        cluster.apply(&manifest)?;
        let name = manifest.lines().find_map(|line| line.strip_prefix("  name: ")).context("no name")?;
        let (ended, steps) = end_of(&cluster, name).await?;
        ensure!(ended == phase, "{file}: {ended} instead of {phase}: {steps}");
        if file == "workflow-saga.yaml" {
            ensure!(steps == "flight:Compensated hotel:Compensated pay:Failed", "{steps}");
        }
    }
    cluster.kubectl(&["delete", "domain", NAMESPACE, "--timeout=120s"])?;
    cluster.kubectl(&["delete", "orchestrator", NAMESPACE, "--timeout=60s"])?;
    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s"])?;
    Ok(())
}
