//! The connection: credentials, TLS with the bus's own authority, endless reconnects, and its state for readiness.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use tokio::sync::watch;

/// Longest time of one request to the bus.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest pause between two attempts to connect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// Pings that find out about a dead connection; two lost ones end it.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Why a connection could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credentials file cannot be used.
    #[error("cannot use the bus credentials {path}: it must be a NATS .creds file", path = path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// The client refused the options.
    #[error("cannot connect to the bus at {url}")]
    Connect {
        /// Where to.
        url: String,
        /// Why.
        #[source]
        source: async_nats::ConnectError,
    },
}

/// How to reach the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Address, `tls://host:4222` or, without encryption, `nats://host:4222`. Several are separated by commas. The first one may
    /// carry a user and a password; credentials go before them.
    pub url: String,
    /// File with the user's JWT and key (`user.creds`).
    pub credentials: Option<PathBuf>,
    /// File with the authority that signed the server's certificate.
    pub ca: Option<PathBuf>,
    /// Name of the connection in the server's reports.
    pub name: String,
    /// Start of the subjects for replies, when the credentials permit only one's own; `_INBOX` when empty.
    pub inbox_prefix: Option<String>,
}

/// State of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not connected yet, or again.
    Connecting,
    /// Connected.
    Connected,
    /// Closed for good, by ourselves.
    Closed,
}

/// A connection to the bus. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    jetstream: jetstream::Context,
    state: watch::Receiver<State>,
}

impl Bus {
    /// The client, for core NATS.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The JetStream context; its requests end after [`REQUEST_TIMEOUT`].
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// State of the connection, to wait for changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        *self.state.borrow() == State::Connected
    }

    /// Waits until it is connected.
    pub async fn connected(&self) {
        // The sender lives in the client's callback, as long as the client itself.
        let mut state = self.state.clone();
        state.wait_for(|state| *state == State::Connected).await.ok();
    }
}

/// Prepares a connection and returns at once; it is established, and after every loss established again, in the background
/// without an end. Only unusable files and addresses are errors.
pub async fn connect(options: &Options) -> Result<Bus, Error> {
    let (mut connect, state) = prepare(options);
    if let Some(path) = &options.credentials {
        connect =
            connect.credentials_file(path).await.map_err(|source| Error::Credentials { path: path.clone(), source })?;
    }
    if options.credentials.is_none()
        && let Some((user, password)) = parse_login(&options.url)
    {
        connect = connect.user_and_password(user, password);
    }
    if let Some(path) = &options.ca {
        connect = connect.add_root_certificates(path.clone());
    }
    finish(options, connect, state).await
}

/// Credentials and authority as text, for a process that holds them in memory.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Content of a `.creds` file.
    pub credentials: &'a str,
    /// The authority that signed the server's certificate, PEM.
    pub ca: &'a str,
}

/// As [`connect`], with an identity in memory instead of the files of `options`.
pub async fn connect_as(options: &Options, identity: Identity<'_>) -> Result<Bus, Error> {
    let in_memory = |source| Error::Credentials { path: PathBuf::from("(in memory)"), source };
    let (connect, state) = prepare(options);
    let mut connect = connect.credentials(identity.credentials).map_err(in_memory)?;
    if options.url.contains("tls://") {
        connect = connect.tls_client_config(trusting(identity.ca).map_err(in_memory)?);
    }
    finish(options, connect, state).await
}

fn trusting(ca: &str) -> std::io::Result<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.map_err(std::io::Error::other)?).map_err(std::io::Error::other)?;
    }
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn prepare(options: &Options) -> (ConnectOptions, watch::Receiver<State>) {
    // A second installation in the same process is harmless: it is the same provider.
    rustls::crypto::ring::default_provider().install_default().ok();
    let (state_tx, state) = watch::channel(State::Connecting);
    let state_tx = Arc::new(state_tx);
    let mut connect = ConnectOptions::new()
        .name(&options.name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(REQUEST_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .subscription_capacity(64 * 1024)
        .event_callback(move |event| {
            observe_event(&event, &state_tx);
            std::future::ready(())
        });
    if options.url.split(',').all(|url| url.trim().starts_with("tls://")) {
        connect = connect.require_tls(true);
    }
    if let Some(prefix) = &options.inbox_prefix {
        connect = connect.custom_inbox_prefix(prefix);
    }
    (connect, state)
}

async fn finish(options: &Options, connect: ConnectOptions, state: watch::Receiver<State>) -> Result<Bus, Error> {
    let addresses: Vec<&str> = options.url.split(',').map(str::trim).collect();
    let client =
        connect.connect(addresses).await.map_err(|source| Error::Connect { url: options.url.clone(), source })?;
    let jetstream = jetstream::context::ContextBuilder::new()
        .timeout(REQUEST_TIMEOUT)
        .ack_timeout(REQUEST_TIMEOUT)
        .build(client.clone());
    Ok(Bus { client, jetstream, state })
}

/// User and password of an address such as `nats://user:password@host:4222`; the client itself ignores them.
fn parse_login(url: &str) -> Option<(String, String)> {
    let address: async_nats::ServerAddr = url.split(',').next()?.trim().parse().ok()?;
    Some((address.username()?.to_owned(), address.password()?.to_owned()))
}

fn reconnect_delay(attempts: usize) -> Duration {
    let exponent = u32::try_from(attempts.min(10)).unwrap_or(10);
    (Duration::from_millis(10) * 2_u32.pow(exponent)).min(MAX_RECONNECT_DELAY)
}

fn observe_event(event: &Event, state: &watch::Sender<State>) {
    match event {
        Event::Connected => {
            tracing::info!("connected to the bus");
            state.send_replace(State::Connected);
        }
        Event::Disconnected => {
            tracing::warn!("lost the connection to the bus");
            state.send_replace(State::Connecting);
        }
        Event::Closed => {
            state.send_replace(State::Closed);
        }
        Event::LameDuckMode | Event::Draining => tracing::info!(%event, "bus event"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => tracing::warn!(%event, "bus event"),
    }
}
