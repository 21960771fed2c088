//! Rung 4: bad input and bad agents are answered with the field, the reason and what to do, and never stop anything else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, condition_of, until};
use tetrarch_tests::department::{Department, scripted};

const SOON: Duration = Duration::from_mins(2);

async fn department(cluster: &Cluster, name: &str) -> Result<Department> {
    let department = Department::new(name);
    cluster.apply(&department.domain())?;
    cluster.until_condition("domain", None, name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    Ok(department)
}

/// What can never work is refused with the field and the remedy; what may still come is said in the conditions of the object.
#[tokio::test]
async fn what_cannot_work_is_refused_or_explained_in_the_conditions() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = department(&cluster, "explained").await?;
    let ns = Some(department.name.as_str());
    let agent = json!({"agent": {"capability": "scripted"}});
    let step = |name: &str, after: &[&str]| json!({"name": name, "after": after, "task": agent});
    let cases: [(&str, Value, &[&str]); 5] = [
        ("cycle", json!([step("a", &["b"]), step("b", &["a"])]), &[".after[0]", "cycle", "remove one"]),
        ("unknown-step", json!([step("a", &["nobody"])]), &["spec.steps[0].after[0]", "nobody"]),
        (
            "stream-of-no-map",
            json!([step("a", &[]), {"name": "b", "map": {"itemsFrom": {"step": "a"}, "task": agent}}]),
            &["spec.steps[1].map.itemsFrom.step", "is no map", "name a map step"],
        ),
        ("bad-cel", json!([{"name": "a", "when": "params.x ==", "task": agent}]), &["spec.steps[0].when"]),
        (
            "unknown-output",
            json!([{"name": "a", "task": {"agent": {"capability": "scripted"}, "input": "${steps.nobody.output}"}}]),
            &["spec.steps[0].task.input", "nobody"],
        ),
    ];
    for (name, steps, words) in &cases {
        let refusal = cluster.refusal(&department.workflow(name, steps, &json!({})))?;
        for word in [&"policy.tetrarch.dev"].into_iter().chain(*words) {
            ensure!(refusal.contains(word), "{name}: the message does not say {word:?}: {refusal}");
        }
        ensure!(cluster.get("workflow", ns, name)?.is_none(), "{name} was refused and stored");
    }
    // A Supervisor may be applied after what refers to it: kstatus sees the failure, and it is given a moment to come.
    let lost = json!({"supervisorRef": {"name": "elsewhere"}});
    cluster.apply(&department.workflow("lost-supervisor", &json!([step("a", &[])]), &lost))?;
    let accepted = cluster.until_condition("workflow", ns, "lost-supervisor", ("Accepted", "False"), SOON).await?;
    for word in ["spec.supervisorRef", "elsewhere"] {
        ensure!(accepted.message.contains(word), "the message does not say {word:?}: {accepted:?}");
    }
    cluster.until_condition("workflow", ns, "lost-supervisor", ("Stalled", "True"), SOON).await?;
    // A capability that nobody has yet is no error of the definition: the run waits and says for what.
    cluster.apply(&department.workflow("waiting", &json!([step("a", &[])]), &json!({})))?;
    until("a run that says what it waits for", SOON, || async {
        let object = cluster.get("workflow", ns, "waiting")?.context("the Workflow is gone")?;
        let ready = condition_of(&object, "Ready");
        let said = ready.as_ref().is_some_and(|r| r.reason == "UnknownCapability" && r.message.contains("scripted"));
        Ok(if said { Ok(()) } else { Err(format!("{ready:?}")) })
    })
    .await?;
    // A namespace that belongs to someone else is not taken.
    cluster.kubectl(&["create", "namespace", "somebody-elses"])?;
    cluster.apply(&department.domain().replace("\"name\":\"explained\"", "\"name\":\"somebody-elses\""))?;
    let refused = cluster.until_condition("domain", None, "somebody-elses", ("Accepted", "False"), SOON).await?;
    ensure!(refused.message.contains("tetrarch.dev/adopt"), "the way to adopt is named: {refused:?}");
    cluster.kubectl(&["delete", "domain", "somebody-elses", "--timeout=60s"])?;
    ensure!(cluster.get("namespace", None, "somebody-elses")?.is_some(), "a foreign namespace survives the Domain");
    cluster.kubectl(&["delete", "namespace", "somebody-elses", "--wait=false"])?;
    // An image that nobody has.
    cluster.apply(
        &department.pool(1, &json!({"agent": {"image": "tetrarch/no-such-image:1", "imagePullPolicy": "Never"}})),
    )?;
    let stalled = cluster.until_condition("agentpool", ns, "scripted", ("Stalled", "True"), SOON).await?;
    ensure!(stalled.message.contains("no-such-image"), "the image is named: {stalled:?}");
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}

/// Agents that answer garbage, 500, too slow, too large or never fail their own step only, each with a reason of its own.
#[tokio::test]
async fn misbehaving_agents_fail_their_step_with_a_reason() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = department(&cluster, "misbehaving").await?;
    let ns = Some(department.name.as_str());
    cluster.apply(&department.pool(1, &json!({"agent": {"resources": {"limits": {"memory": "512Mi"}}}})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let cases = [
        ("garbage", json!({"behave": "garbage"}), "InvalidResponse"),
        ("error", json!({"behave": "error"}), "AgentError"),
        ("reject", json!({"behave": "reject"}), "Rejected"),
        ("slow", json!({"behave": "sleep", "millis": 20_000}), "Timeout"),
        ("large", json!({"behave": "large", "bytes": 40_000_000}), "ResponseTooLarge"),
        ("never", json!({"behave": "hang"}), "Timeout"),
    ];
    let mut steps: Vec<Value> = cases.iter().map(|(name, input, _)| scripted(name, input)).collect();
    steps.push(scripted("well", &json!({"fine": true})));
    cluster.apply(&department.workflow("misbehaving", &Value::Array(steps), &json!({"onFailure": "Continue"})))?;
    let run = until("failed run", SOON, || async {
        let object = cluster.get("workflow", ns, "misbehaving")?.context("the Workflow is gone")?;
        let run = object["status"]["run"].clone();
        Ok(if run["phase"] == "Failed" { Ok(run) } else { Err(run.to_string()) })
    })
    .await?;
    let step = |name: &str| {
        run["steps"].as_array().into_iter().flatten().find(|s| s["name"] == name).cloned().unwrap_or(Value::Null)
    };
    for (name, _, reason) in &cases {
        ensure!(step(name)["phase"] == "Failed", "{name} should have failed: {run}");
        let message = step(name)["message"].as_str().unwrap_or_default().to_owned();
        ensure!(message.contains(reason), "{name}: the message does not say {reason}: {message}");
    }
    ensure!(step("well")["phase"] == "Succeeded", "a good agent is not affected: {run}");
    let stalled = cluster.condition("workflow", ns, "misbehaving", "Stalled")?.context("no Stalled condition")?;
    ensure!(stalled.status == "True", "kstatus must see the failed run: {stalled:?}");
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}
