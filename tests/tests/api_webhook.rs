//! Rung 3: a dead webhook keeps our kinds out and nothing else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::{
    Api,
    api::{PostParams, PropagationPolicy},
};
use serde_json::json;
use tetrarch_crds::Orchestrator;
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::replicas::Replicas;

fn orchestrator(name: &str) -> Result<Orchestrator> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": name}, "spec": {},
    }))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_webhook_keeps_our_kinds_out_and_nothing_else() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let mut replicas = Replicas::start(&cluster, 1, &[]).await?;
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bystander"}}).to_string())?;
    let api = Api::<Orchestrator>::all(cluster.client.clone());
    let stored = api.create(&PostParams::default(), &orchestrator("before")?).await?;
    replicas.kill_oldest();

    let refused = api.create(&PostParams::default(), &orchestrator("meanwhile")?).await;
    let refused = refused.err().context("an object was admitted without its webhook")?.to_string();
    ensure!(refused.contains("failed calling webhook") && refused.contains("tetrarch.dev"), "{refused}");

    // What is not ours is as it was: also in a namespace of a Domain, but for pods.
    for object in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "bystander"}, "data": {"a": "b"}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "bystander"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": "bystander"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other", "namespace": "kube-system"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
    ] {
        cluster.apply(&object.to_string()).with_context(|| format!("{object}"))?;
    }
    // A status is a report, not a wish; and an object that is being deleted must be able to go.
    let status = json!({"status": {"conditions": []}}).to_string();
    cluster.kubectl(&["patch", "orchestrator", "before", "--subresource=status", "--type=merge", "-p", &status])?;

    replicas.add().await?;
    let mut admitted = Err(anyhow::anyhow!("never tried"));
    for _ in 0..100 {
        admitted = api.create(&PostParams::default(), &orchestrator("after")?).await.map_err(anyhow::Error::from);
        if admitted.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    admitted.context("a new replica does not answer")?;
    for name in ["before", "after"] {
        let background = kube::api::DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..kube::api::DeleteParams::default()
        };
        api.delete(name, &background).await?;
    }
    drop(stored);
    cluster.kubectl(&["delete", "namespace", "bystander", "--wait=false"])?;
    cluster.kubectl(&["delete", "deployment", "other", "-n", "kube-system"])?;
    replicas.end().await
}
