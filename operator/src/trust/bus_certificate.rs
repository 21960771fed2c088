//! The authority of the bus and the certificate of its servers: their lives and names.

use std::time::Duration;

use jiff::Timestamp;
use tetrarch_plan::rotation::Validity;

use super::certificate::{self, Error, Pair, Server};

/// How long the authority's certificate is valid.
const AUTHORITY_VALID: Duration = Duration::from_hours(24 * 3650);

/// How long a server's certificate is valid.
const SERVER_VALID: Duration = Duration::from_hours(24 * 365);

/// The age at which a server's certificate is renewed.
const RENEW_AFTER: Duration = Duration::from_hours(24 * 245);

/// When a server's certificate made at `now` is to be renewed.
pub fn renew_at(now: Timestamp) -> Result<Timestamp, Error> {
    Ok(now.checked_add(RENEW_AFTER)?)
}

/// Makes the authority of a bus.
pub fn authority(now: Timestamp) -> Result<Pair, Error> {
    certificate::make_authority("tetrarch bus authority", Validity::starting(now, AUTHORITY_VALID, None))
}

/// Makes a certificate for the bus service of `namespace`, signed by `authority`.
pub fn server(authority: &Pair, namespace: &str, now: Timestamp) -> Result<Pair, Error> {
    let server = Server { name: "tetrarch-nats", names: server_names(namespace), client: true };
    certificate::make_server(authority, server, Validity::starting(now, SERVER_VALID, None))
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
