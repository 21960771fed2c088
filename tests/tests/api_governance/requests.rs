//! Who may ask what of runs, as the API server and the webhook decide it together, and what is written about it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::stage::Stage;

fn annotations(pairs: &Value) -> Value {
    json!({"metadata": {"annotations": pairs}})
}

fn stamps(stage: &Stage) -> Result<Value> {
    let audit = stage.get("workflow", "audit")?;
    let text = audit["metadata"]["annotations"]["tetrarch.dev/requests"].as_str().context("no stamps")?.to_owned();
    let mut stamps: Value = serde_json::from_str(&text)?;
    for stamp in stamps.as_array_mut().into_iter().flatten() {
        ensure!(stamp.as_object_mut().and_then(|stamp| stamp.remove("at")).is_some(), "a stamp without a time: {text}");
    }
    Ok(stamps)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_asked_for_paused_and_ended_by_those_who_have_the_verb_and_are_stamped_with_their_names() -> Result<()>
{
    let stage = Stage::set("requests", r#"{"agents": 50}"#).await?;
    let steps = json!([{"name": "read", "task": {"agent": {"pool": "fixed"}, "input": {}}}]);
    let audit = stage.inside("Workflow", "audit", json!({"start": "OnRequest", "steps": steps}));
    stage.apply_soon(&audit).await?;
    // Both may patch Workflows; ann may run and pause, bob may cancel.
    stage.let_in("ann", &["get", "patch", "run", "pause"])?;
    stage.let_in("bob", &["get", "patch", "cancel"])?;
    stage.until_may("ann", "pause").await?;
    stage.until_may("bob", "cancel").await?;

    let run = annotations(&json!({"tetrarch.dev/run": "nightly"}));
    let refusal = stage.patch_workflow_as("bob", "audit", &run).err().context("bob has run it")?.to_string();
    ensure!(refusal.contains("bob") && refusal.contains("has not the right to run"), "{refusal}");
    stage.patch_workflow_as("ann", "audit", &run)?;
    ensure!(stamps(&stage)? == json!([{"ask": "run", "of": "nightly", "by": "ann"}]), "{}", stamps(&stage)?);
    // The same request again is none.
    stage.patch_workflow_as("bob", "audit", &run)?;

    let forged = annotations(
        &json!({"tetrarch.dev/requests": r#"[{"ask":"cancel","of":"x","by":"ann","at":"2026-11-21T10:00:00Z"}]"#}),
    );
    ensure!(stage.patch_workflow_as("bob", "audit", &forged).is_err(), "a stamp was forged");

    let id = {
        let uid = stage.get("workflow", "audit")?["metadata"]["uid"].as_str().context("no uid")?.to_owned();
        format!("audit-{}-nightly", &uid[..5])
    };
    stage.patch_workflow_as("ann", "audit", &annotations(&json!({"tetrarch.dev/pause": id})))?;
    let go_on = annotations(&json!({"tetrarch.dev/pause": null}));
    ensure!(stage.patch_workflow_as("bob", "audit", &go_on).is_err(), "bob let it go on");
    for what in ["cancel", "terminate"] {
        let end = annotations(&json!({format!("tetrarch.dev/{what}"): id}));
        ensure!(stage.patch_workflow_as("ann", "audit", &end).is_err(), "ann made it {what}");
        stage.patch_workflow_as("bob", "audit", &end)?;
    }
    let expected = json!([
        {"ask": "run", "of": "nightly", "by": "ann"}, {"ask": "pause", "of": id, "by": "ann"},
        {"ask": "cancel", "of": id, "by": "bob"}, {"ask": "terminate", "of": id, "by": "bob"},
    ]);
    ensure!(stamps(&stage)? == expected, "{}", stamps(&stage)?);

    // A manifest without any of it is applied as ever, and takes nothing away.
    stage.apply_soon(&audit).await?;
    ensure!(stamps(&stage)? == expected, "{}", stamps(&stage)?);
    stage.end().await
}
