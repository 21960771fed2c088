//! The certificate that webhooks are served with: the mounted one, or else one that this process signs itself.
//!
//! Nobody has to trust it: what is delivered is signed, and the answer says nothing but the id of a run. It keeps others from reading.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_util::sync::CancellationToken;

/// How often it is looked for another certificate.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be made.
    #[error("cannot make a certificate for webhooks: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be used, or the key belongs to another one.
    #[error("cannot use the certificate for webhooks: {0}")]
    Use(#[from] rustls::Error),
    /// It is no PEM.
    #[error("cannot read the certificate for webhooks: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
}

/// Looks for the certificate, and serves it.
#[derive(Debug)]
pub struct Serving {
    directory: PathBuf,
    /// What was in the directory.
    seen: (Vec<u8>, Vec<u8>),
    certified: Arc<Certified>,
}

/// The certificate that is served now.
#[derive(Debug)]
struct Certified(RwLock<Arc<CertifiedKey>>);

impl Serving {
    /// With a certificate for these names, until there is one in the directory.
    pub fn new(directory: PathBuf, names: Vec<String>) -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certified = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &ring::default_provider())?;
        let certified = Arc::new(Certified(RwLock::new(Arc::new(certified))));
        Ok(Self { directory, seen: (Vec::new(), Vec::new()), certified })
    }

    /// How connections are encrypted.
    pub fn config(&self) -> Result<Arc<ServerConfig>, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.certified.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Takes what is in the directory if it is another one. One that cannot be used changes nothing.
    pub async fn look(&mut self) {
        let read = |name| tokio::fs::read(self.directory.join(name));
        let (Ok(chain), Ok(key)) = (read("tls.crt").await, read("tls.key").await) else { return };
        if (&chain, &key) == (&self.seen.0, &self.seen.1) {
            return;
        }
        match load(&chain, &key) {
            Ok(certified) => {
                tracing::info!("serving webhooks with the mounted certificate");
                *self.certified.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
            }
            Err(error) => tracing::error!(%error, "the mounted certificate cannot be served, keeping the one before"),
        }
        self.seen = (chain, key);
    }

    /// Looks now and then, until it is told to stop.
    pub async fn follow(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.look().await,
            }
        }
    }
}

fn load(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}

impl ResolvesServerCert for Certified {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
