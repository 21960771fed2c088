//! The certificate authority of the bus and the certificate of its servers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// How long the authority's certificate is valid.
const AUTHORITY_VALID: Duration = Duration::from_hours(24 * 3650);

/// How long a server's certificate is valid.
const SERVER_VALID: Duration = Duration::from_hours(24 * 365);

/// The age at which a server's certificate is renewed.
const RENEW_AFTER: Duration = Duration::from_hours(24 * 245);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate library refused.
    #[error("bus certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The clock is out of range.
    #[error("bus certificate: {0}")]
    Time(#[from] jiff::Error),
}

/// A certificate and its private key, both PEM. The key is secret.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// When a server's certificate made at `now` is to be renewed.
pub fn renew_at(now: Timestamp) -> Result<Timestamp, Error> {
    Ok(now.checked_add(RENEW_AFTER)?)
}

fn validity(params: &mut CertificateParams, now: Timestamp, valid: Duration) -> Result<(), Error> {
    // A day early, so that a server whose clock is a little behind accepts it.
    let date = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = date(now.checked_sub(SignedDuration::from_hours(24))?);
    params.not_after = date(now.checked_add(valid)?);
    Ok(())
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "tetrarch");
    name.push(DnType::CommonName, common_name);
    name
}

/// Makes a certificate authority.
pub fn authority(now: Timestamp) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name("tetrarch bus authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, now, AUTHORITY_VALID)?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// Makes a certificate for the bus service of `namespace`, signed by `authority`.
pub fn server(authority: &Pair, namespace: &str, now: Timestamp) -> Result<Pair, Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(server_names(namespace))?;
    params.distinguished_name = name("tetrarch-nats");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now, SERVER_VALID)?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

/// Names under which the bus is reached.
fn server_names(namespace: &str) -> Vec<String> {
    vec![
        "tetrarch-nats".to_owned(),
        format!("tetrarch-nats.{namespace}"),
        format!("tetrarch-nats.{namespace}.svc"),
        format!("tetrarch-nats.{namespace}.svc.cluster.local"),
        format!("*.tetrarch-nats-headless.{namespace}.svc.cluster.local"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ]
}
