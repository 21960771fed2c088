//! A certificate authority for one run of the benchmark, a server certificate of it, and clients that trust it.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

/// A server's certificate for this machine, and who signed it.
pub struct Identity {
    authority: String,
    certificate: String,
    key: String,
}

impl Identity {
    /// Makes an authority and lets it sign a certificate for `localhost` and 127.0.0.1.
    pub fn new() -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_certificate = authority.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
        Ok(Self { authority: authority_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The authority as a webhook registration wants it.
    pub fn bundle(&self) -> String {
        BASE64_STANDARD.encode(&self.authority)
    }

    /// Writes `tls.crt` and `tls.key`, as a mounted Secret has them.
    pub fn write_into(&self, directory: &Path) -> Result<()> {
        std::fs::write(directory.join("tls.crt"), &self.certificate)?;
        std::fs::write(directory.join("tls.key"), &self.key).context("cannot write the key")
    }

    /// The Secret that gives the certificate to a server in the cluster.
    pub fn secret(&self, name: &str, namespace: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name, "namespace": namespace},
            "stringData": {"tls.crt": self.certificate, "tls.key": self.key, "ca.crt": self.authority}})
    }

    /// What a client needs that trusts this authority.
    pub fn client(&self) -> Result<Arc<ClientConfig>> {
        client_of(&self.authority)
    }

    /// What a server needs that has this certificate.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let certificates =
            CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        Ok(Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?))
    }
}

/// What a client needs that trusts the authorities in this PEM.
pub fn client_of(authorities: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(authority?)?;
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
