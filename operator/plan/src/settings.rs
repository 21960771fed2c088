//! What the operator was configured with and its plans depend on.

use tetrarch_crds::agent_pool::ImagePullPolicy;

/// Settings that come with the operator's installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The operator's own namespace; metrics may be scraped from it.
    pub operator_namespace: String,
    /// The bus.
    pub bus: Bus,
    /// Image of the supervisor runtime.
    pub supervisor_image: String,
    /// Image of the agent sidecar.
    pub sidecar_image: String,
    /// When these two are pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// Filter of the logs of supervisors and sidecars, such as `info`.
    pub log_filter: String,
}

/// How pods reach the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// URL for pods, such as `tls://tetrarch-nats.tetrarch.svc:4222`.
    pub url: String,
    /// Port of that URL.
    pub port: u16,
    /// Namespace in which the bus runs; none when it is outside of the cluster.
    pub namespace: Option<String>,
}

/// Port of NATS when a URL names none.
const DEFAULT_BUS_PORT: u16 = 4222;

impl Bus {
    /// Reads port and namespace out of a URL: `<service>.<namespace>.svc…` is inside the cluster, anything else outside.
    pub fn from_url(url: &str) -> Self {
        let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = authority.split(['/', ',']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = authority
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
            .unwrap_or((authority, DEFAULT_BUS_PORT));
        let mut labels = host.split('.').skip(1);
        let namespace = match (labels.next(), labels.next()) {
            (Some(namespace), Some("svc")) => Some(namespace.to_owned()),
            _ => None,
        };
        Self { url: url.to_owned(), port, namespace }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tls://tetrarch-nats.tetrarch.svc:4222", 4222, Some("tetrarch"))]
    #[case("nats://nats.bus.svc.cluster.local:4333", 4333, Some("bus"))]
    #[case("nats://nats.bus.svc", 4222, Some("bus"))]
    #[case("tls://user@bus.example.com:443/x", 443, None)]
    #[case("nats://127.0.0.1:4222", 4222, None)]
    fn reads_port_and_namespace(#[case] url: &str, #[case] port: u16, #[case] namespace: Option<&str>) {
        let bus = Bus::from_url(url);
        assert_eq!((bus.port, bus.namespace.as_deref()), (port, namespace));
    }
}
