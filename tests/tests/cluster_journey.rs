//! Rung 4: a department from `kubectl apply` to a finished run and to its deletion, with real pods.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::{department::Department, journal};

const SOON: Duration = Duration::from_mins(2);

/// Applying the manifests gives a namespace, deployments, an autoscaler, running agents and a finished run; deleting the
/// Domain removes everything of it and nothing else.
#[tokio::test]
async fn applying_a_department_runs_its_work_and_deleting_it_leaves_nothing() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let (department, neighbour) = (Department::new("journey"), Department::new("journey-neighbour"));
    let ns = Some(department.name.as_str());
    for d in [&department, &neighbour] {
        cluster.apply(&d.domain())?;
        cluster.until_condition("domain", None, &d.name, ("Ready", "True"), SOON).await?;
        cluster.apply(&d.supervisor(1))?;
    }
    cluster.apply(&department.pool(2, &json!({"replicas": null, "scaling": {"min": 2, "max": 3}})))?;
    let steps = json!([
        {"name": "squares", "map": {"items": [1, 2, 3, 4, 5], "task": {"agent": {"capability": "scripted"}, "input": {"n": "${item * item}"}},
            "reduce": {"builtin": "Sum"}}},
        {"name": "checks", "after": ["squares"], "parallel": {"branches": [
            {"name": "left", "stages": [{"name": "one", "task": {"agent": {"pool": "scripted"}, "input": {"total": "${steps.squares.output.n}"}}}]},
            {"name": "right", "stages": [{"name": "one", "task": {"agent": {"pool": "scripted"}, "input": {"fixed": true}}},
                                         {"name": "two", "task": {"agent": {"pool": "scripted"}, "input": {"before": "${previous}"}}}]}]}},
        {"name": "large", "task": {"agent": {"pool": "scripted"}, "input": {"behave": "large", "bytes": 3_000_000}, "timeout": "30s"}},
        {"name": "size", "after": ["large"], "task": {"agent": {"pool": "scripted"}, "input": {"size": "${size(steps.large.output)}"}}},
        {"name": "never", "when": "params.wanted == 'yes'", "task": {"agent": {"pool": "scripted"}, "input": {}}},
        {"name": "line", "after": ["checks"], "pipeline": {"stages": [
            {"name": "first", "task": {"agent": {"pool": "scripted"}, "input": {"at": 1}}},
            {"name": "second", "task": {"agent": {"pool": "scripted"}, "input": {"behave": "flaky", "until": 2, "before": "${previous}"},
                "retry": {"limit": 2, "backoff": {"initial": "100ms"}}}}]}},
    ]);
    let output = json!({"total": "${steps.squares.output.n}", "checks": "${steps.checks.output}", "size": "${steps.size.output.size}", "line": "${steps.line.output}"});
    cluster.apply(&department.workflow(
        "work",
        &steps,
        &json!({"output": output, "parameters": [{"name": "wanted", "value": "no"}]}),
    ))?;

    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let run = until("finished run", SOON, || async {
        let object = cluster.get("workflow", ns, "work")?.context("the Workflow is gone")?;
        let run = object["status"]["run"].clone();
        Ok(if run["phase"] == "Succeeded" { Ok(run) } else { Err(run.to_string()) })
    })
    .await?;
    ensure!(run["output"]["total"] == json!(55), "sum of the squares: {run}");
    ensure!(run["output"]["size"] == json!(3_000_000), "an output by reference keeps its size: {run}");
    ensure!(run["output"]["checks"]["right"]["before"]["fixed"] == json!(true), "a stage reads the one before: {run}");
    ensure!(run["output"]["line"]["before"]["at"] == json!(1), "pipeline: {run}");
    let step = |name: &str| {
        run["steps"].as_array().into_iter().flatten().find(|s| s["name"] == name).cloned().unwrap_or(Value::Null)
    };
    ensure!(step("never")["phase"] == "Skipped", "a false condition skips: {run}");
    ensure!(step("line")["retries"] == json!(1), "one retry is counted: {run}");
    let account = journal::check(&cluster.plugin(&["journal", "work", "-n", &department.name])?)
        .map_err(|violations| anyhow::anyhow!("{violations:?}"))?;
    ensure!(account.tasks == 5 + 3 + 2 + 2, "every task once: {account:?}");

    for (kind, name) in [
        ("namespace", department.name.as_str()),
        ("deployment", "work-supervisor"),
        ("deployment", "scripted-agents"),
        ("horizontalpodautoscaler", "scripted-agents"),
        ("networkpolicy", ""),
        ("resourcequota", ""),
    ] {
        let listed = cluster.kubectl(&["get", kind, "-n", &department.name, "-o", "name"])?;
        ensure!(listed.contains(name), "{kind} {name} is missing: {listed}");
    }
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    ensure!(cluster.get("namespace", None, &department.name)?.is_none(), "the namespace went with the Domain");
    let rest = cluster.kubectl(&["get", "domains,supervisors,agentpools,workflows", "-A", "-o", "name"])?;
    ensure!(!rest.contains(&format!("domain.tetrarch.dev/{}\n", department.name)), "the Domain is gone: {rest}");
    ensure!(cluster.get("supervisor", Some(&neighbour.name), "work")?.is_some(), "the neighbour was touched");
    cluster.until_condition("supervisor", Some(&neighbour.name), "work", ("Ready", "True"), SOON).await?;
    cluster.kubectl(&["delete", "domain", &neighbour.name, "--timeout=120s"])?;
    Ok(())
}

/// A change deep in the hierarchy is seen at its top within two seconds of the pod's own change.
#[tokio::test]
async fn a_change_of_a_pool_reaches_the_orchestrator() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department { orchestrator: "rollup".to_owned(), ..Department::new("rollup") };
    let ns = Some(department.name.as_str());
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let ready = |object: Option<Value>, field: &str| object.and_then(|o| o["status"][field]["ready"].as_i64());
    until("one agent at the top", SOON, || async {
        let seen = ready(cluster.get("orchestrator", None, "rollup")?, "agents");
        Ok(if seen == Some(1) { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;
    cluster.kubectl(&["scale", "agentpool/scripted", "-n", &department.name, "--replicas=2"])?;
    until("two agents in the pool", SOON, || async {
        let pool = cluster.get("agentpool", ns, "scripted")?.context("the pool is gone")?;
        Ok(if pool["status"]["ready"] == json!(2) { Ok(()) } else { Err(pool["status"].to_string()) })
    })
    .await?;
    // From the pool's own status, all levels above must agree within two seconds.
    until("two agents at every level", Duration::from_secs(2), || async {
        let seen = [
            ready(cluster.get("supervisor", ns, "work")?, "agents"),
            ready(cluster.get("domain", None, &department.name)?, "agents"),
            ready(cluster.get("orchestrator", None, "rollup")?, "agents"),
        ];
        Ok(if seen == [Some(2); 3] { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    cluster.kubectl(&["delete", "orchestrator", "rollup", "--timeout=60s"])?;
    Ok(())
}

/// Changing the depth while a run is on restarts no agent and loses no work.
#[tokio::test]
async fn switching_the_depth_restarts_no_agent() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department { orchestrator: "depth".to_owned(), ..Department::new("depth") };
    let ns = Some(department.name.as_str());
    cluster.apply(&department.domain().replace("\"depth\":4", "\"depth\":3"))?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.until_condition("supervisor", ns, "default", ("Ready", "True"), SOON).await?;
    cluster.apply(&department.pool(1, &json!({"supervisorRef": null})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let pods = || {
        cluster.kubectl(&[
            "get",
            "pods",
            "-n",
            &department.name,
            "-l",
            "tetrarch.dev/pool=scripted",
            "-o",
            "jsonpath={.items[*].metadata.uid}",
        ])
    };
    let before = pods()?;
    let steps = json!([{"name": "slow", "map": {"items": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        "task": {"agent": {"capability": "scripted"}, "input": {"behave": "sleep", "millis": 1500}}}}]);
    cluster.apply(&department.workflow("slow", &steps, &json!({"supervisorRef": null})))?;
    cluster.kubectl(&[
        "patch",
        "orchestrator",
        "depth",
        "--type=merge",
        "-p",
        r#"{"spec":{"hierarchy":{"depth":4}}}"#,
    ])?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.kubectl(&[
        "patch",
        "orchestrator",
        "depth",
        "--type=merge",
        "-p",
        r#"{"spec":{"hierarchy":{"depth":3}}}"#,
    ])?;
    until("finished run", SOON, || async {
        let object = cluster.get("workflow", ns, "slow")?.context("the Workflow is gone")?;
        let run = object["status"]["run"].clone();
        Ok(if run["phase"] == "Succeeded" { Ok(()) } else { Err(run.to_string()) })
    })
    .await?;
    ensure!(pods()? == before, "the same pods as before: {before}");
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    cluster.kubectl(&["delete", "orchestrator", "depth", "--timeout=60s"])?;
    Ok(())
}

/// The pool was stuck, because what holds the number of agents in between did not say whose the Deployment is.
#[tokio::test]
async fn a_pool_goes_from_a_fixed_size_to_the_autoscaler_and_back() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("resized");
    let ns = Some(department.name.as_str());
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(2, &json!({})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let has_autoscaler = |wanted: bool| {
        let cluster = &cluster;
        until("the autoscaler as wanted", SOON, move || async move {
            let found = cluster.get("hpa", ns, "scripted-agents")?.is_some();
            Ok(if found == wanted { Ok(()) } else { Err(found.to_string()) })
        })
    };
    cluster.apply(&department.pool(2, &json!({"replicas": null, "scaling": {"min": 2, "max": 3}})))?;
    has_autoscaler(true).await?;
    let deployment = cluster.get("deployment", ns, "scripted-agents")?.context("the Deployment is gone")?;
    ensure!(deployment["spec"]["replicas"] == 2, "agents were lost on the way: {}", deployment["spec"]["replicas"]);
    cluster.apply(&department.pool(2, &json!({})))?;
    has_autoscaler(false).await?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}
