//! Rung 4: every Workflow among the samples comes to the end that it promises, on the agents of `hello.yaml`, and its journal
//! tells step by step what the sample's story says (`tests/data/stories`).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::story;

const SOON: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "hello";

/// What people have to do so that a run of a sample comes to its end, in words of the plugin.
const ASKED: [(&str, &[&str]); 7] = [
    ("on-request", &["run on-request --param who=you"]),
    ("auto", &["approve errand --step do"]),
    ("schedule", &["run morning-report"]),
    ("trigger", &["run collect"]),
    ("webhook", &["run deploy-it --param revision=1a2b3c"]),
    ("event", &["run shipment --param order=8"]),
    (
        "brand-review",
        &[
            "run brand-review",
            "approve brand-review --step draft --reason seen",
            "approve brand-review --step sign-off",
        ],
    ),
];

fn read(file: &str) -> Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    std::fs::read_to_string(format!("{folder}{file}")).with_context(|| file.to_owned())
}

fn sample(name: &str) -> Result<String> {
    let name = if name == "hello" { name.to_owned() } else { format!("workflow-{name}") };
    read(&format!("config/samples/{name}.yaml"))
}

/// Phases of the run and of its steps, once the run has ended.
async fn end_of(cluster: &Cluster, workflow: &str) -> Result<(String, String)> {
    until(&format!("the end of {workflow}"), SOON, || async {
        let object = cluster.get("workflow", Some(NAMESPACE), workflow)?.context("the Workflow is gone")?;
        let run = &object["status"]["run"];
        let phase = run["phase"].as_str().unwrap_or("none").to_owned();
        if matches!(phase.as_str(), "none" | "Pending" | "Running" | "Waiting" | "Compensating") {
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

/// Runs a sample as its first lines say; the journal of its run, as printed.
async fn run(cluster: &Cluster, file: &str) -> Result<()> {
    let manifest = sample(file)?;
    cluster.apply(&manifest)?;
    let names: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("  name: ")).collect();
    // Of several Workflows the last one uses the others.
    let name = names.last().context("no name")?;
    let words = ASKED.iter().find(|(of, _)| *of == file).map_or(&[][..], |(_, words)| words);
    for words in words {
        let arguments: Vec<&str> = words.split(' ').chain(["-n", NAMESPACE]).collect();
        until(words, SOON, || async { Ok(cluster.plugin(&arguments).map_err(|error| error.to_string())) }).await?;
    }
    let (ended, steps) = end_of(cluster, name).await?;
    let journal = cluster.plugin(&["journal", name, "-n", NAMESPACE])?;
    let told = story::tell(&journal)?;
    let expected = read(&format!("tests/data/stories/{file}.txt"))?;
    story::check(&journal, &expected).with_context(|| format!("{file} ended {ended} ({steps}) and tells\n{told}"))?;
    ensure!(told.ends_with(&format!("finished {ended}\n")), "the status says {ended}, the journal\n{told}");
    Ok(())
}

#[tokio::test]
async fn every_sample_ends_as_it_says_and_its_journal_tells_its_story() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.apply(&sample("hello")?)?;
    cluster.until_condition("agentpool", Some(NAMESPACE), "echo", ("Ready", "True"), SOON).await?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        files.extend(name.strip_prefix("workflow-").and_then(|name| name.strip_suffix(".yaml")).map(str::to_owned));
    }
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        if let Err(error) = run(&cluster, file).await {
            wrong.push(format!("{file}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "of {} samples {} tell another story:\n{}", files.len(), wrong.len(), wrong.join("\n"));
    cluster.kubectl(&["delete", "domain", NAMESPACE, "--timeout=120s"])?;
    cluster.kubectl(&["delete", "orchestrator", NAMESPACE, "--timeout=60s"])?;
    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s"])?;
    Ok(())
}
