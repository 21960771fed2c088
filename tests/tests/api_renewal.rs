//! Rung 3: the webhook's certificate is renewed under load without one failed admission.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kube::{Api, api::PostParams};
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
    let object: Orchestrator = serde_json::from_value(json!({
        "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": "renewal"}, "spec": {},
    }))?;
    let (sent, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
    let mut seen = (Vec::new(), Vec::new());
    let mut ticks = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    let places = Arc::new(Semaphore::new(WAITING));
    let began = tokio::time::Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    while began.elapsed() < LOAD {
        tick.tick().await;
        let (api, object, counted, failures) = (api.clone(), object.clone(), sent.clone(), failed.clone());
        let place = places.clone().acquire_owned().await?;
        requests.spawn(async move {
            let _place = place;
            let dry = PostParams { dry_run: true, ..PostParams::default() };
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
