//! The webhook over TLS: certificates that live for seconds are replaced under load, and a replica goes, without a failed request.
//!
//! The client behaves as an API server does: it trusts what the webhook configuration said a moment ago, keeps connections,
//! and never sends a request a second time.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tetrarch_operator::{
    clock::Clock,
    trust::{
        certificate::{self, Facts},
        webhook::{CONFIGURATION, SECRET, rotate::Rotation, serving::Serving, stored::Stored},
    },
    webhook::{
        app::{Admission, Draining, Phase, router},
        server,
    },
};
use tetrarch_plan::{
    admit::{
        Verdict,
        wire::{self, Incoming},
    },
    rotation::Lifetimes,
};
use tetrarch_testkit::fake_api::FakeApi;
use tokio::{net::TcpStream, task::JoinSet, time::sleep};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "tetrarch-system";

struct Admits;

impl Admission for Admits {
    async fn answer(&self, _: Phase, request: Incoming) -> serde_json::Value {
        wire::answer(&request.uid, &Verdict::default())
    }

    fn turned_away(&self, _: u16) {}
}

/// One replica.
struct Replica {
    address: SocketAddr,
    draining: Draining,
    cancel: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Replica {
    async fn start(serving: &Serving) -> Self {
        let listener = server::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, draining, cancel) =
            (listener.local_addr().unwrap(), Draining::default(), CancellationToken::new());
        let app = router(Admits, draining.clone());
        let served = tokio::spawn(server::serve(listener, serving.tls().unwrap(), app, cancel.clone()));
        Self { address, draining, cancel, served }
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Connects, trusting only this bundle; also tells what the served certificate says.
async fn connect(address: SocketAddr, bundle: &str) -> anyhow::Result<(Sender, Facts)> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(authority?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(format!("tetrarch-webhook.{NAMESPACE}.svc"))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await?;
    let facts = certificate::read_der(&stream.get_ref().1.peer_certificates().unwrap()[0])?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok((sender, facts))
}

/// Sends one review; says whether the connection may be used again.
async fn review(sender: &mut Sender) -> anyhow::Result<bool> {
    let body = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "resource": {"group": "g", "resource": "r"}},
    });
    let request = Request::post("/validate").header("host", "webhook").body(Full::from(body.to_string()))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let again = response.headers().get("connection").is_none_or(|value| value != "close");
    anyhow::ensure!(response.status() == StatusCode::OK, "{}", response.status());
    let answer: serde_json::Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
    anyhow::ensure!(answer["response"]["allowed"] == true, "{answer}");
    Ok(again)
}

/// The bundle of the webhook configuration.
fn published(api: &FakeApi) -> String {
    let configuration = api.get("validatingwebhookconfigurations", None, CONFIGURATION).unwrap();
    let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    String::from_utf8(BASE64.decode(bundle.as_bytes()).unwrap()).unwrap()
}

fn register(api: &FakeApi) {
    for (plural, kind) in [
        ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ] {
        api.put(
            plural,
            &json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": CONFIGURATION},
                "webhooks": [{"name": "webhook.tetrarch.dev", "clientConfig": {"service": {"name": "s", "namespace": "n"}}}],
            }),
        );
    }
}

fn rotation(api: &FakeApi, certificate: u64, authority: u64) -> Rotation {
    let lifetimes = Lifetimes::new(Duration::from_secs(certificate), Duration::from_secs(authority)).unwrap();
    Rotation::new(api.client(), NAMESPACE, lifetimes, true, Clock::system())
}

/// Serves what the Secret holds, as the watch of a replica does.
async fn follow(api: FakeApi, serving: Serving) {
    let mut loaded = None;
    loop {
        let secret = api.get("secrets", Some(NAMESPACE), SECRET);
        let entry = |key: &str| {
            let text = secret.as_ref()?["data"][key].as_str()?;
            String::from_utf8(BASE64.decode(text.as_bytes()).ok()?).ok()
        };
        let found = entry("tls.crt").zip(entry("tls.key"));
        if let Some((chain, key)) = found.filter(|found| loaded.as_ref() != Some(found)) {
            serving.load(&chain, &key).expect("what the leader wrote can be served");
            loaded = Some((chain, key));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_that_live_for_seconds_are_replaced_under_load_without_a_failed_request() {
    let api = FakeApi::default();
    register(&api);
    let serving = Serving::default();
    let mut background = JoinSet::new();
    let leader = rotation(&api, 4, 12);
    background.spawn(async move { leader.keep().await });
    background.spawn(follow(api.clone(), serving.clone()));
    let mut until = serving.until();
    until.wait_for(Option::is_some).await.unwrap();
    let replica = Replica::start(&serving).await;

    let (requests, seen, failures) = (Arc::new(AtomicU64::new(0)), Arc::default(), Arc::new(Mutex::new(Vec::new())));
    let seen: Arc<Mutex<BTreeSet<(String, i64)>>> = seen;
    for _ in 0..4 {
        let (api, address) = (api.clone(), replica.address);
        let (requests, seen, failures) = (requests.clone(), seen.clone(), failures.clone());
        background.spawn(async move {
            loop {
                // What an API server knows is a little old.
                let bundle = published(&api);
                sleep(Duration::from_millis(100)).await;
                let attempt = async {
                    let (mut sender, facts) = connect(address, &bundle).await?;
                    seen.lock().unwrap().insert((facts.issuer, facts.until.as_second()));
                    for _ in 0..20 {
                        review(&mut sender).await?;
                        requests.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(2)).await;
                    }
                    anyhow::Ok(())
                };
                if let Err(error) = attempt.await {
                    failures.lock().unwrap().push(format!("{error:#}"));
                }
            }
        });
    }
    let authorities = || seen.lock().unwrap().iter().map(|(issuer, _)| issuer.clone()).collect::<BTreeSet<_>>().len();
    while authorities() < 3 && failures.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(200)).await;
    }
    background.shutdown().await;
    assert_eq!(failures.lock().unwrap().as_slice(), [""; 0], "after {} requests", requests.load(Ordering::Relaxed));
    assert!(seen.lock().unwrap().len() >= 6, "certificates: {:?}", seen.lock().unwrap());
    assert!(CertificateDer::pem_slice_iter(published(&api).as_bytes()).count() <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_goes_fails_no_request() {
    let api = FakeApi::default();
    register(&api);
    rotation(&api, 3600, 10_800).look().await.unwrap();
    let serving = Serving::default();
    let mut background = JoinSet::new();
    background.spawn(follow(api.clone(), serving.clone()));
    serving.until().wait_for(Option::is_some).await.unwrap();
    let (going, staying) = (Replica::start(&serving).await, Replica::start(&serving).await);

    let endpoints = Arc::new(Mutex::new(vec![going.address, staying.address]));
    let (requests, failures) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    for worker in 0..8 {
        let (endpoints, bundle) = (endpoints.clone(), published(&api));
        let (requests, failures) = (requests.clone(), failures.clone());
        background.spawn(async move {
            loop {
                let address = *endpoints.lock().unwrap().iter().cycle().nth(worker).unwrap();
                let attempt = async {
                    let (mut sender, _) = connect(address, &bundle).await?;
                    while review(&mut sender).await? {
                        requests.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(1)).await;
                    }
                    anyhow::Ok(())
                };
                if let Err(error) = attempt.await {
                    failures.lock().unwrap().push(format!("{error:#}"));
                }
            }
        });
    }
    let more = |than: u64| {
        let requests = requests.clone();
        async move {
            let goal = requests.load(Ordering::Relaxed) + than;
            while requests.load(Ordering::Relaxed) < goal {
                sleep(Duration::from_millis(5)).await;
            }
        }
    };
    more(400).await;
    // The replica is not ready any more, and somewhat later nobody is sent to it.
    going.draining.begin();
    more(200).await;
    endpoints.lock().unwrap().retain(|address| *address != going.address);
    more(400).await;
    going.cancel.cancel();
    going.served.await.unwrap();
    more(400).await;
    background.shutdown().await;
    assert_eq!(failures.lock().unwrap().as_slice(), [""; 0], "after {} requests", requests.load(Ordering::Relaxed));
    assert!(TcpStream::connect(going.address).await.is_err(), "it is gone");
}

#[tokio::test]
async fn nothing_is_served_before_api_servers_trust_it() {
    let api = FakeApi::default();
    let leader = rotation(&api, 3600, 10_800);
    for _ in 0..3 {
        leader.look().await.unwrap();
    }
    let secret = || api.get("secrets", Some(NAMESPACE), SECRET).unwrap();
    assert!(secret()["data"]["tls.crt"].is_null(), "the webhook configurations do not exist yet");
    register(&api);
    leader.look().await.unwrap();
    assert!(secret()["data"]["tls.crt"].is_string());
    let stored = Stored::of(&serde_json::from_value(secret()).unwrap());
    assert_eq!(published(&api), stored.bundle());

    api.take_writes();
    leader.look().await.unwrap();
    assert_eq!(api.take_writes(), [], "a second look writes nothing");

    register(&api);
    leader.look().await.unwrap();
    assert_eq!(published(&api), stored.bundle(), "a bundle that somebody removed is back");
}
