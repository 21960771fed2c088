//! What clients meet: a full server of either kind, and one that is told to stop.

use std::net::SocketAddr;

use axum::routing::get;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Served {
    address: SocketAddr,
    roots: Arc<ClientConfig>,
    stop: CancellationToken,
    /// Lets `/slow` answer.
    go_on: Arc<Notify>,
    /// Told when a request for `/slow` has come.
    has_come: Arc<Notify>,
    end: JoinHandle<()>,
}

async fn start(connections: usize, overflow: Overflow) -> Served {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();

    let (go_on, has_come) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (waits, tells) = (go_on.clone(), has_come.clone());
    let slow = move || async move {
        tells.notify_one();
        waits.notified().await;
        "at last"
    };
    let service = Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounds = Bounds { name: "test", connections, overflow, idle: PATIENCE, last_answers: PATIENCE };
    let stop = CancellationToken::new();
    let end = tokio::spawn(serve(listener, Arc::new(tls), service, bounds, stop.clone()));
    Served { address, roots: Arc::new(client), stop, go_on, has_come, end }
}

impl Served {
    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.roots.clone()).connect(name, TcpStream::connect(self.address).await?).await
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
}

/// Reads until the text has come, or the connection has ended.
async fn read_until(stream: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut read = Vec::new();
    let mut chunk = [0; 1024];
    while !String::from_utf8_lossy(&read).contains(end) {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn who_finds_no_place_among_strangers_is_sent_away_at_once() {
    let served = start(1, Overflow::Close).await;
    let mut first = served.connect().await.unwrap();
    timeout(PATIENCE, served.connect()).await.unwrap().unwrap_err();
    ask(&mut first, "/").await;
    assert!(read_until(&mut first, "here").await.contains("here"));
}

#[tokio::test]
async fn who_finds_no_place_among_friends_gets_one_when_another_leaves() {
    let served = start(1, Overflow::Wait).await;
    let first = served.connect().await.unwrap();
    let (second, ()) = tokio::join!(timeout(PATIENCE, served.connect()), async {
        tokio::task::yield_now().await;
        drop(first);
    });
    let mut second = second.unwrap().unwrap();
    ask(&mut second, "/").await;
    assert!(read_until(&mut second, "here").await.contains("here"));
}

#[tokio::test]
async fn a_request_that_is_being_answered_at_the_end_is_answered() {
    let served = start(2, Overflow::Wait).await;
    let mut stream = served.connect().await.unwrap();
    ask(&mut stream, "/slow").await;
    served.has_come.notified().await;
    served.stop.cancel();
    served.go_on.notify_one();
    assert!(read_until(&mut stream, "at last").await.contains("at last"));
    timeout(PATIENCE, served.end).await.unwrap().unwrap();
}
