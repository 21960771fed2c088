//! The certificate that the webhook serves with: the leader keeps it fresh in a Secret, every replica serves what the Secret holds.

pub mod registration;
pub mod rotate;
pub mod serving;
pub mod stored;

/// Secret with the certificate of the webhook.
pub const SECRET: &str = "tetrarch-webhook-tls";

/// Name of both webhook configurations.
pub const CONFIGURATION: &str = "tetrarch";

/// Service in front of the webhook.
pub const SERVICE: &str = "tetrarch-webhook";

/// Entry with the certificate, and those between it and the authority.
pub const CERTIFICATE_ENTRY: &str = "tls.crt";

/// Entry with the private key.
pub const KEY_ENTRY: &str = "tls.key";

/// Names under which the webhook is reached.
pub fn server_names(namespace: &str) -> Vec<String> {
    vec![
        format!("{SERVICE}.{namespace}.svc"),
        format!("{SERVICE}.{namespace}.svc.cluster.local"),
        format!("{SERVICE}.{namespace}"),
        SERVICE.to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ]
}
