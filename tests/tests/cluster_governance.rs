//! Rung 4: what policies hold back has no pods until a person approves it, and a namespace that a Domain only borrowed is
//! given back empty of everything that was made for the Domain.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::department::Department;

const SOON: Duration = Duration::from_mins(2);

/// The Domain of a department with more in its spec.
fn domain(department: &Department, patch: &Value) -> String {
    let mut spec = json!({"orchestratorRef": {"name": department.orchestrator}});
    if let (Some(spec), Some(patch)) = (spec.as_object_mut(), patch.as_object()) {
        spec.extend(patch.clone());
    }
    let domain = json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": department.name}, "spec": spec});
    // The Orchestrator first; server-side apply of one manager takes the later document of the Domain.
    department.domain().split("---\n").take(2).collect::<Vec<_>>().join("---\n") + &format!("---\n{domain}\n")
}

#[tokio::test]
async fn a_pool_that_needs_an_approval_has_no_pods_until_a_person_gives_it() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("approved");
    let ns = Some(department.name.as_str());
    let policies = json!({"policies": [
        {"name": "sign-off", "action": "RequireApproval", "appliesTo": {"kinds": ["AgentPool"]}, "limits": {"agents": 1}},
        {"name": "size", "action": "Deny", "limits": {"agents": 3}},
    ]});
    cluster.apply(&domain(&department, &policies))?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(1))?;
    cluster.until_condition("supervisor", ns, "work", ("Ready", "True"), SOON).await?;

    // The same refusal again and again is one Event that counts.
    for _ in 0..6 {
        let refusal = cluster.refusal(&department.pool(9, &json!({})))?;
        for word in ["spec.replicas: is 9", "policy \"size\"", "allows at most 3 agents", "write 3 or less"] {
            ensure!(refusal.contains(word), "the refusal does not say {word:?}: {refusal}");
        }
    }

    cluster.apply(&department.pool(2, &json!({})))?;
    let held = cluster.until_condition("agentpool", ns, "scripted", ("Accepted", "False"), SOON).await?;
    ensure!(held.reason == "ApprovalRequired", "{held:?}");
    // Long enough for pods to be there if somebody made them.
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(cluster.get("deployment", ns, "scripted-agents")?.is_none(), "a held pool has a Deployment");

    let approve = |generation: i64| {
        cluster.kubectl(&[
            "annotate",
            "agentpool",
            "scripted",
            "-n",
            &department.name,
            "--overwrite",
            &format!("tetrarch.dev/approve={generation}"),
            "tetrarch.dev/approve-reason=reviewed",
        ])
    };
    approve(1)?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    let pool = cluster.get("agentpool", ns, "scripted")?.context("the pool is gone")?;
    let stamp = pool["metadata"]["annotations"]["tetrarch.dev/approval"].as_str().unwrap_or_default();
    ensure!(stamp.contains("\"by\"") && stamp.contains("reviewed"), "the stamp does not say who and why: {stamp:?}");

    // What was approved goes on while its change waits.
    cluster.apply(&department.pool(3, &json!({})))?;
    let held = cluster.until_condition("agentpool", ns, "scripted", ("Accepted", "False"), SOON).await?;
    ensure!(held.message.contains("generation 2"), "{held:?}");
    let deployment = cluster.get("deployment", ns, "scripted-agents")?.context("the approved agents are gone")?;
    ensure!(deployment["spec"]["replicas"] == 2, "{}", deployment["spec"]["replicas"]);
    approve(2)?;
    until("three agents", SOON, || async {
        let pool = cluster.get("agentpool", ns, "scripted")?.context("the pool is gone")?;
        let ready = pool["status"]["ready"].clone();
        Ok(if ready == 3 { Ok(()) } else { Err(pool["status"].to_string()) })
    })
    .await?;
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;
    Ok(())
}

#[tokio::test]
async fn a_borrowed_namespace_is_given_back_empty() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let department = Department::new("borrowed");
    let ns = Some(department.name.as_str());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": department.name, "labels": {"tetrarch.dev/adopt": department.name}}});
    cluster.apply(&namespace.to_string())?;
    let mine =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": department.name}});
    cluster.apply(&mine.to_string())?;
    let spec = json!({
        "quota": {"cpu": "2", "memory": "2Gi"},
        "members": {"admins": [{"kind": "User", "name": "ann"}]},
    });
    cluster.apply(&domain(&department, &spec))?;
    cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
    cluster.apply(&department.supervisor(2))?;
    cluster.apply(&department.pool(1, &json!({"replicas": null, "scaling": {"min": 2, "max": 3}})))?;
    cluster.until_condition("agentpool", ns, "scripted", ("Ready", "True"), SOON).await?;
    // One agent needs neither an autoscaler nor a budget for disruptions.
    cluster.apply(&department.pool(1, &json!({})))?;
    until("neither autoscaler nor budget", SOON, || async {
        let left = cluster.kubectl(&[
            "get",
            "hpa,pdb",
            "-n",
            &department.name,
            "-l",
            "tetrarch.dev/pool=scripted",
            "-o",
            "name",
        ])?;
        Ok(if left.trim().is_empty() { Ok(()) } else { Err(left) })
    })
    .await?;
    // A Supervisor that goes alone takes its runtime along before its work is removed.
    cluster.kubectl(&["delete", "agentpool,supervisor", "--all", "-n", &department.name, "--timeout=90s"])?;
    cluster.kubectl(&["delete", "domain", &department.name, "--timeout=120s"])?;

    let kinds = "deployments,services,rolebindings,networkpolicies,resourcequotas,limitranges,hpa,pdb,secrets";
    until("nothing of the Domain", SOON, || async {
        let left = cluster.kubectl(&["get", kinds, "-n", &department.name, "-o", "name"])?;
        Ok(if left.trim().is_empty() { Ok(()) } else { Err(left) })
    })
    .await?;
    ensure!(cluster.get("configmap", ns, "mine")?.is_some(), "what was there before the Domain is gone");
    cluster.kubectl(&["delete", "namespace", &department.name, "--wait=false"])?;
    Ok(())
}
