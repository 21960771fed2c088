//! A real server started with the generated configuration and certificate: accounts are apart, and each user can do its work and no more.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, jetstream};
use jiff::Timestamp;
use tetrarch_operator::trust::{AccountKey, Root};
use tetrarch_protocol::{
    permission::{self, Permissions},
    stream,
};

/// A nats-server that trusts a root.
struct Server {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start(root: &Root) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (name, content) in root.server_entries("tetrarch-system", Timestamp::now()).unwrap() {
            std::fs::write(at(&name), content).unwrap();
        }
        std::fs::write(at("auth.conf"), root.server_config(at("jwt").to_str().unwrap()).unwrap()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(at("nats.conf"), config(port, directory.path())).unwrap();
        let process = Command::new("nats-server")
            .arg("-c")
            .arg(at("nats.conf"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { process, port, directory };
        let credentials = root.system_credentials().unwrap();
        for _ in 0..100 {
            if server.connect(&credentials).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", std::fs::read_to_string(server.directory.path().join("log")).unwrap());
    }

    async fn connect(&self, credentials: &str) -> Result<Client, async_nats::ConnectError> {
        self.connect_with(credentials, "_INBOX").await
    }

    async fn connect_with(&self, credentials: &str, inbox: &str) -> Result<Client, async_nats::ConnectError> {
        ConnectOptions::with_credentials(credentials)
            .unwrap()
            .custom_inbox_prefix(inbox)
            .add_root_certificates(self.directory.path().join("ca.crt"))
            .require_tls(true)
            .connect(format!("tls://localhost:{}", self.port))
            .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn config(port: u16, directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    format!(
        "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?} }}\ntls {{ cert_file: {:?}, key_file: {:?} }}\ninclude auth.conf\n",
        at("js"),
        at("server.crt"),
        at("server.key"),
    )
}

/// Asks the server to accept an account, as the operator does.
async fn push(server: &Server, root: &Root, account: &AccountKey, domain: &str) {
    let system = server.connect(&root.system_credentials().unwrap()).await.unwrap();
    let claims = root.account_claims(account, domain, Timestamp::now().as_second()).unwrap();
    let answer = system.request("$SYS.REQ.CLAIMS.UPDATE", claims.into()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("\"code\":200"), "{answer:?}");
}

async fn user(server: &Server, account: &AccountKey, name: &str, permissions: &Permissions) -> Client {
    server.connect(&account.credentials(name, permissions, 1).unwrap()).await.unwrap()
}

async fn work_stream(client: &Client) -> jetstream::stream::Stream {
    jetstream::new(client.clone())
        .create_stream(jetstream::stream::Config {
            name: stream::WORK.to_owned(),
            subjects: stream::WORK_SUBJECTS.map(ToOwned::to_owned).into(),
            ..Default::default()
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn domains_do_not_see_each_other() {
    let root = Root::generate(Timestamp::now()).unwrap();
    let server = Server::start(&root).await;
    let (a, b) = (root.account("uid-a").unwrap(), root.account("uid-b").unwrap());
    push(&server, &root, &a, "a").await;
    push(&server, &root, &b, "b").await;

    let in_a = user(&server, &a, "operator", &permission::operator()).await;
    let in_b = user(&server, &b, "operator", &permission::operator()).await;
    let mut stream = work_stream(&in_a).await;
    jetstream::new(in_a.clone()).publish("run.s.r-1", "x".into()).await.unwrap().await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
    assert!(jetstream::new(in_b).get_stream(stream::WORK).await.is_err());
}

#[tokio::test]
async fn a_deleted_account_is_refused() {
    let root = Root::generate(Timestamp::now()).unwrap();
    let server = Server::start(&root).await;
    let account = root.account("uid").unwrap();
    push(&server, &root, &account, "a").await;
    let credentials = account.credentials("operator", &permission::operator(), 1).unwrap();
    server.connect(&credentials).await.unwrap();

    let system = server.connect(&root.system_credentials().unwrap()).await.unwrap();
    let claims = root.delete_claims(&account, Timestamp::now().as_second()).unwrap();
    let answer = system.request("$SYS.REQ.CLAIMS.DELETE", claims.into()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("\"code\":200"), "{answer:?}");
    assert!(server.connect(&credentials).await.is_err());
}

#[tokio::test]
async fn credentials_of_another_root_are_refused() {
    let root = Root::generate(Timestamp::now()).unwrap();
    let server = Server::start(&root).await;
    let foreign = Root::generate(Timestamp::now()).unwrap();
    // The client may report a connection before the server has judged the credentials, so ask for something.
    let answer = match server.connect(&foreign.system_credentials().unwrap()).await {
        Ok(client) => client.request("$SYS.REQ.SERVER.PING", "".into()).await.ok(),
        Err(_) => None,
    };
    assert!(answer.is_none(), "{answer:?}");
}

#[tokio::test]
async fn an_agent_cannot_dispatch_nor_answer_for_another_pool() {
    let root = Root::generate(Timestamp::now()).unwrap();
    let server = Server::start(&root).await;
    let account = root.account("uid").unwrap();
    push(&server, &root, &account, "a").await;
    let operator = user(&server, &account, "operator", &permission::operator()).await;
    let mut stream = work_stream(&operator).await;

    let (supervisor, pool) = ("licences".parse().unwrap(), "classifier".parse().unwrap());
    let credentials = account.credentials("agent", &permission::agent(&supervisor, &pool), 1).unwrap();
    let agent = server.connect_with(&credentials, &permission::agent_inbox(&supervisor, &pool)).await.unwrap();
    for denied in ["task.licences.classifier.normal.r.p.1", "res.licences.other.r.p.1", "run.licences.r"] {
        agent.publish(denied, "x".into()).await.unwrap();
    }
    agent.flush().await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 0, "a denied subject was stored");

    jetstream::new(agent).publish("res.licences.classifier.r.p.1", "x".into()).await.unwrap().await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_supervisor_cannot_write_for_another_supervisor_nor_change_its_configuration() {
    let root = Root::generate(Timestamp::now()).unwrap();
    let server = Server::start(&root).await;
    let account = root.account("uid").unwrap();
    push(&server, &root, &account, "a").await;
    let operator = user(&server, &account, "operator", &permission::operator()).await;
    let mut work = work_stream(&operator).await;
    let config = jetstream::new(operator)
        .create_key_value(jetstream::kv::Config { bucket: stream::CONFIG_BUCKET.to_owned(), ..Default::default() })
        .await
        .unwrap();

    let supervisor = user(&server, &account, "s", &permission::supervisor(&"licences".parse().unwrap())).await;
    for denied in ["run.other.r", "task.other.p.normal.r.p.1", "$KV.CONFIG.supervisor.licences"] {
        supervisor.publish(denied, "x".into()).await.unwrap();
    }
    supervisor.flush().await.unwrap();
    assert_eq!(work.info().await.unwrap().state.messages, 0, "a denied subject was stored");
    assert_eq!(config.get("supervisor.licences").await.unwrap(), None);

    jetstream::new(supervisor).publish("run.licences.r", "x".into()).await.unwrap().await.unwrap();
    assert_eq!(work.info().await.unwrap().state.messages, 1);
}
