//! Certificates: authorities, servers' certificates signed by them, and what can be read from one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tetrarch_plan::rotation::Validity;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates are valid this long before they are made, for clients whose clock is behind.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate library refused.
    #[error("certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The clock is out of range.
    #[error("certificate: {0}")]
    Time(#[from] jiff::Error),
    /// A text is no certificate.
    #[error("certificate: {0}")]
    Read(String),
}

/// A certificate and its private key, both PEM. The key is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What a server's certificate says.
pub struct Server {
    /// Its common name.
    pub name: &'static str,
    /// Names and addresses under which it is reached.
    pub names: Vec<String>,
    /// Whether the server uses it as a client too, towards its peers.
    pub client: bool,
}

fn set_validity(params: &mut CertificateParams, validity: Validity) -> Result<(), Error> {
    let epoch = date_time_ymd(1970, 1, 1);
    let seconds = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    params.not_before = epoch + seconds(validity.from.checked_sub(BACKDATED)?);
    params.not_after = epoch + seconds(validity.until);
    Ok(())
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "tetrarch");
    name.push(DnType::CommonName, common_name);
    name
}

/// Makes an authority with a new key (ECDSA, P-256).
pub fn make_authority(common_name: &str, validity: Validity) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, validity)?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// Makes a server's certificate with a new key (ECDSA, P-256), signed by `authority`.
pub fn make_server(authority: &Pair, server: Server, validity: Validity) -> Result<Pair, Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(server.names)?;
    params.distinguished_name = name(server.name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if server.client {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, validity)?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

/// What is of interest in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it was made, if we made it.
    pub made: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Distinguished name of its owner.
    pub subject: String,
    /// Distinguished name of the authority that signed it.
    pub issuer: String,
}

impl Facts {
    /// The life of a certificate of ours.
    pub fn validity(&self) -> Validity {
        Validity { from: self.made, until: self.until }
    }
}

/// Reads the first certificate of a PEM text.
pub fn read(pem: &str) -> Result<Facts, Error> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| Error::Read(error.to_string()))?;
    read_der(&der)
}

/// Reads a certificate.
pub fn read_der(der: &CertificateDer<'_>) -> Result<Facts, Error> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| Error::Read(error.to_string()))?;
    let time = |seconds: i64| Timestamp::from_second(seconds);
    let validity = certificate.validity();
    Ok(Facts {
        made: time(validity.not_before.timestamp())?.checked_add(BACKDATED)?,
        until: time(validity.not_after.timestamp())?,
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_to_the_second_how_long_it_is_valid_and_who_signed_it() {
        let now = Timestamp::from_second(1_790_000_007).unwrap();
        let validity = Validity::starting(now, Duration::from_secs(61), None);
        let authority = make_authority("an authority", validity).unwrap();
        let server = Server { name: "a server", names: vec!["localhost".to_owned()], client: false };
        let signed = make_server(&authority, server, validity).unwrap();
        let (authority, signed) = (read(&authority.certificate).unwrap(), read(&signed.certificate).unwrap());
        assert_eq!(signed.validity(), validity);
        assert_eq!(signed.issuer, authority.subject);
        assert_ne!(signed.issuer, signed.subject);
    }

    #[test]
    fn a_text_that_is_no_certificate_is_refused() {
        assert!(read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(read("").is_err());
    }
}
