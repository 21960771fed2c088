//! Runs that begin by webhook, on a real bus and over TLS.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::hmac;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tetrarch_core::workflow::{
    definition::Definition,
    journal::{Entry, RunEvent},
    message::{MessageTrigger, Signature, Source},
};
use tetrarch_protocol::snapshot::{MessageSnapshot, WorkflowSnapshot};
use tetrarch_supervisor::{Handle, Options, hooks, journal::Body};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use world::{PATIENCE, World, echo, name, step, wanted, workflow_with};

const SECRET: &[u8] = b"a secret of some length";

fn deploy() -> Definition {
    let steps = json!([step("roll-out", &[], json!({"of": "${params.of}"}))]);
    workflow_with("deploy", steps, json!({"keepRuns": 100, "parameters": {"of": null}}))
}

fn pushed() -> MessageSnapshot {
    let trigger = MessageTrigger {
        name: name("pushed"),
        source: Source::Webhook { signature: Signature::Standard },
        when: Some("event.body.number != 3".to_owned()),
        parameters: json!({"of": "${event.body.number}"}).as_object().unwrap().clone(),
    };
    MessageSnapshot { trigger, since: Timestamp::now(), prefix: "deploy-0a1b2".to_owned() }
}

/// The directories of secrets and certificate, as the kubelet mounts them.
struct Mounts {
    root: TempDir,
    trusted: RootCertStore,
}

impl Mounts {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::create_dir_all(root.path().join("tls")).unwrap();
        std::fs::create_dir_all(root.path().join("secrets/deploy")).unwrap();
        std::fs::write(root.path().join("tls/tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(root.path().join("tls/tls.key"), made.signing_key.serialize_pem()).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(made.cert.der().clone()).unwrap();
        Self { root, trusted }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn write_secret(&self, lines: &[&[u8]]) {
        let lines: Vec<String> = lines.iter().map(|line| format!("whsec_{}", BASE64_STANDARD.encode(line))).collect();
        std::fs::write(self.path().join("secrets/deploy/pushed"), lines.join("\n")).unwrap();
    }

    fn options(&self, world: &World, replica: &str) -> Options {
        let hooks = hooks::Options {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            secrets: self.path().join("secrets"),
            certificate: self.path().join("tls"),
        };
        Options { hooks: Some(hooks), ..world.options(replica) }
    }

    async fn replica(&self, world: &World, replica: &str) -> Handle {
        tetrarch_supervisor::start(self.options(world, replica)).await.unwrap()
    }

    /// Sends a delivery; the status and what was answered. None when the connection broke.
    async fn send(&self, to: SocketAddr, path: &str, id: &str, key: &[u8], body: &str) -> Option<(u16, String)> {
        let at = Timestamp::now().as_second();
        let signed = format!("{id}.{at}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let signature = BASE64_STANDARD.encode(tag.as_ref());
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\
             webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\n\r\n{body}",
            body.len()
        );
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        let stream = TcpStream::connect(to).await.ok()?;
        let localhost = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(localhost, stream).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// Sends a delivery until it is answered with this status.
    async fn send_until(&self, to: SocketAddr, id: &str, body: &str, status: u16) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.send(to, "/hooks/deploy/pushed", id, SECRET, body).await {
                Some((found, answer)) if found == status => return answer,
                other => assert!(tokio::time::Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn want(world: &World) {
    world.want_as(WorkflowSnapshot { messages: vec![pushed()], ..wanted(&deploy(), &[], &[]) }).await;
}

/// How often a run was ever accepted, by the number that it was given.
async fn accepted(world: &World) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for record in tetrarch_supervisor::journal::read(&world.bus, vec!["run.sup.>".to_owned()]).await {
        if let Body::Entry(Entry::Run(RunEvent::Accepted { parameters, .. })) = record.body {
            *found.entry(parameters.get("of").unwrap_or(&Value::Null).to_string()).or_default() += 1;
        }
    }
    found
}

#[tokio::test]
async fn a_delivery_that_is_repeated_over_crashes_begins_one_run() {
    let (world, mounts) = (World::start().await, Mounts::new());
    let _agent = world.agent("worker", echo()).await;
    mounts.write_secret(&[SECRET]);
    want(&world).await;
    let steady = mounts.replica(&world, "steady").await;
    let address = steady.hooks().unwrap();
    mounts.send_until(address, "m-first", r#"{"number": 3}"#, 200).await;
    // Replicas that die while they answer; their senders try again elsewhere.
    for turn in 0..4_u64 {
        let short = mounts.replica(&world, &format!("short-{turn}")).await;
        let dying = short.hooks().unwrap();
        mounts.send_until(dying, "m-first", r#"{"number": 3}"#, 200).await;
        let (id, body) = (format!("m-{turn}"), json!({"number": 10 + turn}).to_string());
        let first = mounts.send(dying, "/hooks/deploy/pushed", &id, SECRET, &body);
        tokio::time::timeout(Duration::from_millis(turn * 4), first).await.ok();
        drop(short);
        let answers =
            [mounts.send_until(address, &id, &body, 202).await, mounts.send_until(address, &id, &body, 202).await];
        assert_eq!(answers[0], answers[1], "the same run");
        let run: Value = serde_json::from_str(&answers[0]).unwrap();
        let run = run["run"].as_str().unwrap();
        assert!(!world.journal(run).await.is_empty(), "an accepted run is in the journal");
        world.await_runs_to_end(&[run]).await;
        world.assert_once(run).await;
    }
    assert_eq!(accepted(&world).await, (10..14).map(|number| (number.to_string(), 1)).collect());
    steady.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_begins_nothing_and_every_refusal_says_why() {
    let (world, mounts) = (World::start().await, Mounts::new());
    let _agent = world.agent("worker", echo()).await;
    want(&world).await;
    let replica = mounts.replica(&world, "one").await;
    let address = replica.hooks().unwrap();
    let good = r#"{"number": 1}"#;
    let missing = mounts.send_until(address, "m", good, 503).await;
    assert!(missing.contains("secret") || missing.contains("configuration"), "{missing}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.load().await.is_some_and(|report| {
        report.webhooks_without_secret.get(&name("deploy")).is_some_and(|of| of[&name("pushed")] == "it is not there")
    }) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", world.load().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The next secret and the one before both fit, without a restart.
    mounts.write_secret(&[b"the next one", SECRET]);
    let hook = "/hooks/deploy/pushed";
    let send = async |path: &str, key: &[u8], body: &str| mounts.send(address, path, "m", key, body).await.unwrap();
    for (path, key, body, status, says) in [
        (hook, &b"another one"[..], good, 401, "the signature does not fit"),
        ("/hooks/deploy/other", SECRET, good, 404, "no Workflow has a trigger"),
        ("/hooks/unknown/pushed", SECRET, good, 404, "no Workflow has a trigger"),
        (hook, SECRET, "number 1", 422, "send JSON"),
        (hook, SECRET, "{}", 422, "of trigger pushed"),
        (hook, SECRET, r#"{"number": 3}"#, 200, "nothing began"),
        (hook, SECRET, &"x".repeat(1024 * 1024 + 1), 413, "at most 1048576 bytes"),
    ] {
        let (found, answer) = send(path, key, body).await;
        assert_eq!((found, answer.contains(says)), (status, true), "{answer}");
    }
    assert_eq!(accepted(&world).await, BTreeMap::new());
    assert_eq!(send(hook, b"the next one", good).await.0, 202);
    assert_eq!(accepted(&world).await, BTreeMap::from([("1".to_owned(), 1)]));
    replica.stop().await;
}
