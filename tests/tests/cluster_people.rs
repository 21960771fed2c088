//! Rung 4: a run waits for people, who decide through the plugin, by a plain annotation, and by a manifest; what they said is in
//! the status and in the journal.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::{Department, scripted};

const SOON: Duration = Duration::from_mins(2);
const NAME: &str = "review";

/// The Orchestrator and a Domain in which Ann approves.
fn domain(department: &Department) -> String {
    let spec = json!({
        "orchestratorRef": {"name": department.orchestrator},
        "members": {"approvers": [{"kind": "User", "name": "ann"}]},
    });
    let domain = json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": department.name}, "spec": spec});
    department.domain().split("---\n").take(2).collect::<Vec<_>>().join("---\n") + &format!("---\n{domain}\n")
}

/// A draft that does not pass its gate, a sign-off, a release.
fn workflow(department: &Department) -> String {
    let ann = json!([{"kind": "User", "name": "ann"}]);
    let mut draft = scripted("draft", &json!({}));
    draft["gate"] = json!({"expression": "false", "message": "it is not good enough", "onFailure": "Escalate",
        "escalation": {"approvers": ann, "requireReason": true, "timeout": "1h"}});
    let steps = json!([
        draft,
        {"name": "sign-off", "after": ["draft"], "approval": {"approvers": ann, "message": "Publish it?", "timeout": "1h", "reminders": ["2s"]}},
        {"name": "release", "after": ["sign-off"], "approval": {"timeout": "1h"}},
    ]);
    department.workflow(NAME, &steps, &json!({"start": "OnApply"}))
}

/// The id of the only question of a step, once it is asked.
async fn asked(cluster: &Cluster, ns: Option<&str>, step: &str) -> Result<String> {
    until(&format!("the question of step {step}"), SOON, || async {
        let object = cluster.get("workflow", ns, NAME)?.context("the Workflow is gone")?;
        let waiting = object["status"]["waiting"].as_array().cloned().unwrap_or_default();
        let ids = waiting.iter().filter_map(|question| question["id"].as_str());
        let id = ids.into_iter().find(|id| id.split('/').nth(1) == Some(step)).map(str::to_owned);
        Ok(id.ok_or_else(|| object["status"].to_string()))
    })
    .await
}

#[tokio::test]
async fn people_decide_by_the_plugin_an_annotation_and_a_manifest() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("people");
    let ns = Some(department.name.as_str());
    cluster.apply(&domain(&department))?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.apply(&department.pool(1, &json!({})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    cluster.apply(&workflow(&department))?;

    // Whoever may write but is no approver is refused, and so is an approver without a reason.
    let id = asked(&cluster, ns, "draft").await?;
    let waits = cluster.until_condition("workflow", ns, NAME, ("Ready", "False"), SOON).await?;
    ensure!(waits.reason == "RunWaiting" && waits.message.contains("User ann"), "{waits:?}");
    let annotate = |value: &str, user: &[&str]| {
        let words = ["annotate", "workflow", NAME, "-n", &department.name, "--overwrite", value];
        cluster.kubectl(&[&words[..], user].concat())
    };
    let refused = annotate(&format!("tetrarch.dev/approve-step={id} because"), &[]);
    let refused = refused.err().context("an admin who is no approver has decided")?.to_string();
    ensure!(refused.contains("may not decide") && refused.contains("User \"ann\""), "{refused}");
    let refused = annotate(&format!("tetrarch.dev/approve-step={id}"), &["--as", "ann"]);
    let refused = refused.err().context("a decision without its reason was taken")?.to_string();
    ensure!(refused.contains("has no reason"), "{refused}");

    annotate(&format!("tetrarch.dev/approve-step={id} good enough for a test"), &["--as", "ann"])?;
    let second = asked(&cluster, ns, "sign-off").await?;
    let stale = annotate(&format!("tetrarch.dev/reject-step={id} too late"), &["--as", "ann"]);
    let stale = stale.err().context("a decision was taken back")?.to_string();
    ensure!(stale.contains("a decision stands"), "{stale}");
    until("the Events", SOON, || async {
        let events = cluster.kubectl(&["get", "events", "-n", &department.name, "-o", "json"])?;
        let has = ["DecisionRequired", "DecisionReminder", "StepApproved"].iter().all(|reason| events.contains(reason));
        Ok(if has { Ok(()) } else { Err("not all of them".to_owned()) })
    })
    .await?;

    // From a repository: the manifest as it is, with the decision of the approver who applies it.
    let mut manifest: Value = serde_json::from_str(&workflow(&department))?;
    manifest["metadata"]["annotations"] =
        json!({"tetrarch.dev/approve-step": format!("{second} reviewed in the repository")});
    let apply = ["apply", "--server-side", "--force-conflicts", "--as", "ann", "-f", "-"];
    cluster.kubectl_with(&apply, &manifest.to_string())?;

    asked(&cluster, ns, "release").await?;
    cluster.plugin(&["approve", NAME, "-n", &department.name, "--reason", "go", "--as", "ann"])?;
    let run = until("the end of the run", SOON, || async {
        let object = cluster.get("workflow", ns, NAME)?.context("the Workflow is gone")?;
        let run = object["status"]["run"].clone();
        Ok(if run["phase"] == "Succeeded" { Ok(run) } else { Err(object["status"].to_string()) })
    })
    .await?;
    let messages: Vec<&str> =
        run["steps"].as_array().into_iter().flatten().filter_map(|step| step["message"].as_str()).collect();
    let expected = [
        "gate: it is not good enough; approved by ann: good enough for a test",
        "approved by ann: reviewed in the repository",
        "approved by ann: go",
    ];
    ensure!(messages == expected, "{messages:?}");
    let journal = cluster.plugin(&["journal", NAME, "-n", &department.name])?;
    let decided = journal.lines().filter(|line| line.contains(r#""type":"decided""#) && line.contains(r#""by":"ann""#));
    ensure!(decided.count() == 3, "{journal}");
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}
