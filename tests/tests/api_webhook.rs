//! Rung 3: the webhook's certificate is renewed under load without one failed admission, and a dead webhook keeps
//! nonsense out and nothing else.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kube::{
    Api,
    api::{PostParams, PropagationPolicy},
};
use serde_json::json;
use tetrarch_crds::Orchestrator;
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::replicas::{NAMESPACE, Replicas};
use tokio::sync::Semaphore;

/// Requests a second while the certificates are renewed, and how many may wait for their answers: where the machine cannot
/// keep up the rate falls, and it is printed.
const RATE: u32 = 200;
const WAITING: usize = 32;
/// Long enough for three certificates of a minute, and for their authority of three, to be renewed.
const LOAD: Duration = Duration::from_secs(140);

fn orchestrator(name: &str) -> Result<Orchestrator> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": name}, "spec": {},
    }))?)
}

/// Serial numbers are random: a certificate that is served is known by its own bytes.
fn serving_certificate(cluster: &Cluster) -> Result<(String, String)> {
    let secret = cluster.get("secret", Some(NAMESPACE), "tetrarch-webhook-tls")?.context("no serving certificate")?;
    let text = |key: &str| secret["data"][key].as_str().unwrap_or_default().to_owned();
    let bundle = cluster.kubectl(&[
        "get",
        "validatingwebhookconfiguration",
        "tetrarch",
        "-o",
        "jsonpath={.webhooks[0].clientConfig.caBundle}",
    ])?;
    Ok((text("tls.crt"), bundle))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_a_minute_are_renewed_under_load_without_a_failed_admission() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let lives = ["--webhook-certificate-lifetime", "1m", "--webhook-authority-lifetime", "3m"];
    let replicas = Replicas::start(&cluster, 2, &lives).await?;
    let api = Api::<Orchestrator>::all(cluster.client.clone());
    let (sent, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
    let mut seen = (Vec::new(), Vec::new());
    let mut ticks = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    let places = Arc::new(Semaphore::new(WAITING));
    let began = tokio::time::Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    while began.elapsed() < LOAD {
        tick.tick().await;
        let (api, counted, failures) = (api.clone(), sent.clone(), failed.clone());
        let place = places.clone().acquire_owned().await?;
        requests.spawn(async move {
            let _place = place;
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            let Ok(object) = orchestrator("renewal") else { return };
            let result = api.create(&dry, &object).await;
            counted.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = result {
                failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(error.to_string());
            }
        });
        while requests.try_join_next().is_some() {}
        ticks += 1;
        if ticks % (5 * RATE) == 0 {
            let (certificate, bundle) = serving_certificate(&cluster)?;
            if !seen.0.contains(&certificate) {
                seen.0.push(certificate);
            }
            if !seen.1.contains(&bundle) {
                seen.1.push(bundle);
            }
        }
    }
    while requests.join_next().await.is_some() {}
    let failed = failed.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    let sent = sent.load(Ordering::Relaxed);
    replicas.end().await?;
    let rate = sent as u64 / LOAD.as_secs();
    println!("{sent} admissions, {rate} a second, over {} certificates and {} bundles", seen.0.len(), seen.1.len());
    ensure!(failed.is_empty(), "{} of {sent} admissions failed, the first: {:?}", failed.len(), failed.first());
    ensure!(seen.0.len() >= 3, "only {} certificates were served", seen.0.len());
    ensure!(seen.1.len() >= 2, "the authority was never renewed");
    ensure!(sent > 1_000, "only {sent} requests in {LOAD:?}");
    Ok(())
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
