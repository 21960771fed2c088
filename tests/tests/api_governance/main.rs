//! Rung 3: what policies do to objects that are stored already. A parent that is tightened reports and clamps what is
//! below it and deletes nothing; loosened again, the clamps lift; what needs an approval does not run without one.
//!
//! The operator runs in this process, with a bus that it owns; nothing runs pods.

mod requests;
mod stage;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use self::stage::Stage;

/// A pool that scales by itself, one of a fixed size, and a Workflow that takes its time.
fn crowd(stage: &Stage) -> Vec<serde_json::Value> {
    let agent = json!({"image": "a.example/agent:1"});
    let steps = json!([{"name": "read", "task": {"agent": {"pool": "fixed"}, "input": {}, "timeout": "40m"}}]);
    vec![
        stage.inside(
            "AgentPool",
            "elastic",
            json!({"agent": agent, "concurrency": 8, "scaling": {"min": 2, "max": 40}}),
        ),
        stage.inside("AgentPool", "fixed", json!({"agent": agent, "concurrency": 2, "replicas": 30})),
        stage.inside("AgentPool", "small", json!({"agent": agent, "replicas": 2})),
        stage.inside("Workflow", "audit", json!({"start": "OnRequest", "timeout": "2h", "steps": steps})),
    ]
}

const LOOSE: &str = r#"{"agents": 50}"#;
const TIGHT: &str = r#"{"agents": 10, "tasksPerAgent": 4, "taskTimeout": "10m", "runTimeout": "1h"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_parent_reports_and_clamps_and_deletes_nothing_until_it_is_loosened() -> Result<()> {
    let stage = Stage::set("tightened", LOOSE).await?;
    for object in crowd(&stage) {
        stage.apply_soon(&object).await?;
    }
    stage.until_numbers(("40", "30")).await?;
    stage.until_compliance([0, 0, 0]).await?;
    let before = stage.uids()?;

    let since = stage.limit(TIGHT)?;
    let by = stage.size_policy(2);
    for (kind, name, expected) in [
        (
            "agentpool",
            "elastic",
            format!(
                "spec.scaling.max: is 40, but {by} allows at most 10 agents: write 10 or less, or ask the Orchestrator's \
                 admins to raise the limit; spec.concurrency: is 8, but {by} allows at most 4 tasks at once per agent: \
                 write 4 or less, or ask the Orchestrator's admins to raise the limit; spec.concurrency is held at 4 \
                 instead of 8 by {by}; spec.scaling.max is held at 10 instead of 40 by {by}"
            ),
        ),
        (
            "agentpool",
            "fixed",
            format!(
                "spec.replicas: is 30, but {by} allows at most 10 agents: write 10 or less, or ask the Orchestrator's \
                 admins to raise the limit; spec.replicas is held at 10 instead of 30 by {by}"
            ),
        ),
        (
            "workflow",
            "audit",
            format!(
                "spec.timeout: is 2h, but {by} allows at most a run timeout of 1h: write 1h or less, or ask the Orchestrator's \
                 admins to raise the limit; spec.steps[0].task.timeout: is 40m, but {by} allows at most a task timeout of 10m: \
                 write 10m or less, or ask the Orchestrator's admins to raise the limit; spec.timeout is held at 1h \
                 instead of 2h by {by}; spec.steps[0].task.timeout is held at 10m instead of 40m by {by}"
            ),
        ),
    ] {
        let said = stage.until(kind, name, ("PolicyCompliant", "False")).await?;
        ensure!((said.reason.as_str(), said.message.as_str()) == ("PolicyViolated", expected.as_str()), "{said:#?}");
    }
    println!("all that is violated was reported {:?} after it was written", since.elapsed());
    stage.until_numbers(("10", "10")).await?;
    println!("and clamped after {:?}", since.elapsed());
    stage.until("agentpool", "small", ("PolicyCompliant", "True")).await?;
    stage.until_compliance([3, 0, 3]).await?;
    stage.keeps(&before)?;

    // What it takes from above is told with its place.
    let values = stage.get("agentpool", "small")?["status"]["effectivePolicy"].clone();
    let agents = json!({"value": "limits.agents", "bound": "10", "action": "Deny", "from": by});
    ensure!(values.as_array().is_some_and(|values| values.contains(&agents)), "{values}");

    stage.limit(LOOSE)?;
    for (kind, name) in [("agentpool", "elastic"), ("agentpool", "fixed"), ("workflow", "audit")] {
        stage.until(kind, name, ("PolicyCompliant", "True")).await?;
    }
    stage.until_numbers(("40", "30")).await?;
    stage.until_compliance([0, 0, 0]).await?;
    stage.keeps(&before)?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_an_approval_runs_only_as_somebody_with_the_right_has_approved_it() -> Result<()> {
    let stage = Stage::set("approvals", LOOSE).await?;
    let ask = json!([{"name": "sign-off", "appliesTo": {"kinds": ["AgentPool"]},
        "require": {"approvalFor": ["object.spec.replicas > 5"]}, "approvers": [{"kind": "User", "name": "ann"}]}]);
    stage.merge("domain", None, &stage.name, &json!({"spec": {"policies": ask}}))?;
    let pool = |image: &str| {
        stage.inside(
            "AgentPool",
            "crowd",
            json!({"agent": {"image": format!("a.example/agent:{image}")}, "replicas": 8}),
        )
    };
    // The replicas learn of the policy by their watches; until then a pool would be free.
    stage.until_held(&pool("1")).await?;
    stage.apply_soon(&pool("1")).await?;
    let said = stage.until("agentpool", "crowd", ("Accepted", "False")).await?;
    ensure!(said.reason == "ApprovalRequired", "{said:?}");
    for part in [r#"policy "sign-off""#, r#"user "ann" may give it"#, "tetrarch.dev/approve=1"] {
        ensure!(said.message.contains(part), "{part} is not in {said:?}");
    }
    stage.until_compliance([0, 1, 0]).await?;
    ensure!(stage.image("crowd")?.is_none(), "agents run that nobody approved");

    let refusal = stage.approve("bob", "crowd", 1).err().context("bob has approved")?.to_string();
    ensure!(refusal.contains("bob") && refusal.contains("ann"), "{refusal}");
    let forged =
        json!({"metadata": {"annotations": {"tetrarch.dev/approval": r#"{"generation":1,"by":"ann","at":"now"}"#}}});
    ensure!(stage.patch_as("bob", "crowd", &forged).is_err(), "an approval was forged");
    ensure!(stage.image("crowd")?.is_none(), "agents run that nobody approved");

    stage.approve("ann", "crowd", 1)?;
    stage.until_image("crowd", "a.example/agent:1").await?;
    stage.until("agentpool", "crowd", ("Accepted", "True")).await?;
    let approved = stage.get("agentpool", "crowd")?["status"]["approved"].clone();
    ensure!((&approved["generation"], &approved["by"]) == (&json!(1), &json!("ann")), "{approved}");
    stage.until_compliance([0, 0, 0]).await?;

    // A change needs an approval of its own; what was approved goes on meanwhile.
    stage.apply_soon(&pool("2")).await?;
    let said = stage.until("agentpool", "crowd", ("Accepted", "False")).await?;
    ensure!(said.message.contains("generation 2 needs an approval"), "{said:?}");
    ensure!(stage.image("crowd")?.as_deref() == Some("a.example/agent:1"), "{:?}", stage.image("crowd")?);
    // The request that was answered asks for nothing more, and nobody approves what is not there yet.
    stage.approve("ann", "crowd", 1)?;
    ensure!(stage.approve("ann", "crowd", 3).is_err(), "a generation was approved that nobody has seen");
    ensure!(stage.image("crowd")?.as_deref() == Some("a.example/agent:1"), "{:?}", stage.image("crowd")?);
    stage.approve("ann", "crowd", 2)?;
    stage.until_image("crowd", "a.example/agent:2").await?;
    stage.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_made_right_after_its_parent_was_tightened_is_refused_or_clamped() -> Result<()> {
    let stage = Stage::set("race", LOOSE).await?;
    let mut refused = 0;
    for round in 0..20 {
        stage.limit(LOOSE)?;
        let name = format!("child-{round}");
        let child = stage.inside("AgentPool", &name, json!({"agent": {"image": "a.example/agent:1"}, "replicas": 30}));
        stage.until_admitted(&child).await?;
        // Half of them at the same time, half of them one after the other without a pause.
        let (tightened, written) = if round % 2 == 0 {
            tokio::join!(stage.limit_at_once(TIGHT), stage.create(&child))
        } else {
            (stage.limit_at_once(TIGHT).await, stage.create(&child).await)
        };
        let since = tightened?;
        if let Err(refusal) = written {
            refused += 1;
            ensure!(refusal.to_string().contains("allows at most 10 agents"), "{refusal:#}");
            continue;
        }
        stage.until_clamped(&name, "spec.replicas is held at 10 instead of 30", 10).await?;
        println!("{name} was stored; reported and clamped {:?} after its parent was tightened", since.elapsed());
    }
    println!("{refused} of 20 were refused");
    stage.end().await
}
