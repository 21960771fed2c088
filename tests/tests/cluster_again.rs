//! Rung 4: a run is cancelled in the middle, opened again, asks a person about the task that nobody knows of, and goes on with the
//! answer; on the way the plugin says what it waits for, lists the runs and prints what the agents wrote.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::{Department, scripted};

const SOON: Duration = Duration::from_mins(2);
const NAME: &str = "again";

fn workflow(department: &Department) -> String {
    let (mut slow, mut last) =
        (scripted("slow", &json!({"behave": "sleep", "millis": 40_000})), scripted("last", &json!({})));
    slow["task"]["timeout"] = json!("60s");
    (slow["after"], last["after"]) = (json!(["first"]), json!(["slow"]));
    let first = scripted("first", &json!({"behave": "echo", "text": "${params.text}"}));
    let parameters = json!([{"name": "text", "value": "default"}]);
    let patch = json!({"start": "OnRequest", "parameters": parameters, "keepRunsFor": "24h"});
    department.workflow(NAME, &json!([first, slow, last]), &patch)
}

#[tokio::test]
async fn a_cancelled_run_is_opened_again_and_goes_on_with_what_a_person_found_out() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("again");
    let namespace = department.name.as_str();
    let ns = Some(namespace);
    let plugin = |words: &[&str]| cluster.plugin(&[words, &["-n", namespace]].concat());
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, namespace, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({"agent": {"protocol": {"idempotent": false}}})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    cluster.apply(&workflow(&department))?;
    let run_is = |what: &'static str, is_it: fn(&Value) -> bool| {
        let cluster = &cluster;
        until(what, SOON, move || async move {
            let object = cluster.get("workflow", ns, NAME)?.context("the Workflow is gone")?;
            let run = object["status"]["run"].clone();
            Ok(if is_it(&run) { Ok(run) } else { Err(run.to_string()) })
        })
    };

    // The operator writes to a Workflow that is new just then, which is no reason for the plugin to give up.
    let first = plugin(&["run", NAME, "--param", "text=changed", "--id", "one"])?.trim().to_owned();
    let says = |run: &Value, text: &str| run["waitsFor"].as_str().is_some_and(|said| said.contains(text));
    run_is("the slow task", |run| run["steps"][1]["phase"] == "Running" && run["waitsFor"].is_string()).await?;
    let why = until("why", SOON, || async {
        let said = plugin(&["why", NAME])?;
        Ok(if said.contains("1 task of AgentPool scripted (step slow)") { Ok(said) } else { Err(said) })
    })
    .await?;
    ensure!(why.starts_with(&format!("run {first} is Running: ")), "{why}");
    plugin(&["cancel", NAME, "--wait"])?;

    plugin(&["retry", NAME, "--id", "again"])?;
    let asks = run_is("the question", |run| run["retried"] == 1 && run["waitsFor"].is_string()).await?;
    ensure!(says(&asks, "waits for a person to say whether task slow, attempt 1, is done"), "{asks}");
    plugin(&["resolve", NAME, "slow/1", "done", "--output", r#"{"found": 1}"#])?;
    let ended = run_is("the end", |run| run["phase"] == "Succeeded").await?;
    ensure!(ended["id"] == first.as_str() && ended["output"]["last"].is_object(), "{ended}");
    let journal = plugin(&["journal", NAME])?;
    ensure!(
        journal.contains(".first.1\"") && !journal.contains(".first.1001"),
        "what is done was done again: {journal}"
    );
    let told = journal.lines().find(|line| line.contains(r#""type":"reopened""#)).context("it was not opened again")?;
    ensure!(told.contains("request by "), "it says who asked: {told}");

    let listed: Value = serde_json::from_str(&plugin(&["runs", NAME, "--phase", "Succeeded", "-o", "json"])?)?;
    ensure!(listed[0]["run"] == first.as_str() && listed[0]["retried"] == 1, "{listed}");
    ensure!(plugin(&["runs", NAME, "--phase", "Failed"])?.contains("no run is kept that fits"));
    let logs = plugin(&["logs", NAME, "first"])?;
    ensure!(logs.starts_with("==> first/1 scripted-"), "{logs}");

    // The other way: a new run with the values of this one.
    let second = plugin(&["run", NAME, "--like", &first, "--id", "two"])?.trim().to_owned();
    let done = run_is("the first step of the second run", |run| {
        run["id"].as_str().is_some_and(|id| id.ends_with("two")) && run["steps"][0]["phase"] == "Succeeded"
    })
    .await?;
    ensure!(done["id"] == second.as_str(), "{done}");
    ensure!(plugin(&["journal", NAME, "--run", &second])?.contains(r#""text":"changed""#), "{second}");
    plugin(&["terminate", NAME, "--wait"])?;
    cluster.kubectl(&["delete", "domain", namespace, "--timeout=120s"])?;
    Ok(())
}
