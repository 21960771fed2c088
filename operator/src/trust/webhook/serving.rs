//! Every replica's part: serves with the certificate that the Secret holds, as soon as it holds another one.

use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::watcher};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::watch;

use super::{CERTIFICATE_ENTRY, KEY_ENTRY, SECRET};
use crate::trust::certificate;

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An entry of the Secret is missing.
    #[error("Secret {SECRET} has no entry {0:?}")]
    Missing(&'static str),
    /// An entry is no PEM of what it should be.
    #[error("Secret {SECRET}, entry {0:?}: {1}")]
    Pem(&'static str, rustls::pki_types::pem::Error),
    /// The key cannot be used, or belongs to another certificate.
    #[error("Secret {SECRET}: {0}")]
    Key(#[from] rustls::Error),
    /// The certificate cannot be read.
    #[error("Secret {SECRET}: {0}")]
    Certificate(#[from] certificate::Error),
}

/// The certificate that is served now. Clones share it.
#[derive(Clone, Debug)]
pub struct Serving(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    certified: RwLock<Option<Arc<CertifiedKey>>>,
    until: watch::Sender<Option<Timestamp>>,
}

impl Default for Serving {
    fn default() -> Self {
        Self(Arc::new(Inner { certified: RwLock::default(), until: watch::Sender::new(None) }))
    }
}

impl Serving {
    /// When the certificate ends; none before the first one. Changes with every new one.
    pub fn until(&self) -> watch::Receiver<Option<Timestamp>> {
        self.0.until.subscribe()
    }

    /// Serves with this certificate from the next connection on.
    pub fn load(&self, chain: &str, key: &str) -> Result<Timestamp, Error> {
        let pem = |entry| move |error| Error::Pem(entry, error);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(pem(CERTIFICATE_ENTRY))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(pem(KEY_ENTRY))?;
        let first = chain.first().ok_or(Error::Missing(CERTIFICATE_ENTRY))?;
        let until = certificate::read_der(first)?.until;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        *self.0.certified.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
        self.0.until.send_replace(Some(until));
        Ok(until)
    }

    fn load_secret(&self, secret: &Secret) -> Result<Timestamp, Error> {
        let entry = |key: &'static str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(key)).ok_or(Error::Missing(key))?;
            std::str::from_utf8(&bytes.0).map_err(|_| Error::Missing(key))
        };
        self.load(entry(CERTIFICATE_ENTRY)?, entry(KEY_ENTRY)?)
    }

    /// Follows the Secret in this namespace. One that is deleted or broken changes nothing: the
    /// certificate before it is served until its end.
    pub async fn follow(&self, client: Client, namespace: &str) {
        let api: Api<Secret> = Api::namespaced(client, namespace);
        let mut seen = std::pin::pin!(watcher::watch_object(api, SECRET));
        let mut pause = PAUSES.start;
        let mut version = None;
        while let Some(next) = seen.next().await {
            match next {
                Ok(Some(secret)) => {
                    pause = PAUSES.start;
                    // The first steps of a rotation come before there is something to serve.
                    let has_certificate = secret.data.as_ref().is_some_and(|data| data.contains_key(CERTIFICATE_ENTRY));
                    if !has_certificate || version == secret.metadata.resource_version {
                        continue;
                    }
                    match self.load_secret(&secret) {
                        Ok(until) => tracing::info!(%until, "serving the webhook with the certificate of the Secret"),
                        Err(error) => {
                            tracing::error!(%error, "cannot serve with the new certificate, keeping the old one");
                        }
                    }
                    version = secret.metadata.resource_version;
                }
                Ok(None) => tracing::debug!("there is no Secret with a certificate of the webhook yet"),
                Err(error) => {
                    tracing::warn!(%error, "the watch of the webhook's certificate was interrupted");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.end);
                }
            }
        }
    }

    /// How connections are encrypted: TLS 1.3, or 1.2 for those who cannot.
    pub fn tls(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // API servers keep connections and never resume sessions.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// Pauses after an interrupted watch.
const PAUSES: std::ops::Range<std::time::Duration> =
    std::time::Duration::from_millis(200)..std::time::Duration::from_secs(10);

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.certified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tetrarch_plan::rotation::Validity;

    use super::*;
    use crate::trust::certificate::{Pair, Server, make_authority, make_server};

    fn pair() -> Pair {
        let validity = Validity::starting(Timestamp::UNIX_EPOCH, Duration::from_hours(24), None);
        let server = Server { name: "a", names: vec!["localhost".to_owned()], client: false };
        make_server(&make_authority("b", validity).unwrap(), server, validity).unwrap()
    }

    #[test]
    fn a_certificate_with_the_key_of_another_one_is_refused_and_the_one_before_it_stays() {
        let serving = Serving::default();
        let (good, other) = (pair(), pair());
        serving.load(&good.certificate, &good.key).unwrap();
        let before = serving.0.certified.read().unwrap().clone().unwrap();
        assert!(matches!(serving.load(&good.certificate, &other.key), Err(Error::Key(_))));
        assert!(matches!(serving.load("", &good.key), Err(Error::Missing("tls.crt"))));
        assert!(matches!(serving.load(&good.certificate, "nothing"), Err(Error::Pem("tls.key", _))));
        assert!(Arc::ptr_eq(&before, &serving.0.certified.read().unwrap().clone().unwrap()));
        assert_eq!(*serving.until().borrow(), Some(Timestamp::from_second(86_400).unwrap()));
    }
}
