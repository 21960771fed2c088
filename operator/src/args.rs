//! Flags and environment, read once.

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use tetrarch_crds::agent_pool::ImagePullPolicy;
use tetrarch_plan::{
    duration,
    rotation::{self, Lifetimes},
    settings::{Bus, Settings},
};

/// The Tetrarch operator.
#[derive(Parser)]
#[command(name = "tetrarch-operator", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run the controllers.
    Serve(Box<Serve>),
    /// Check that an installation is complete and its parts reach each other.
    Check(Check),
}

/// Where the installation is.
#[derive(Clone, Parser)]
pub struct Check {
    /// Namespace that the operator runs in.
    #[arg(long, env = "TETRARCH_NAMESPACE")]
    pub namespace: String,
    /// URL of the bus as pods reach it.
    #[arg(long, env = "TETRARCH_BUS_URL")]
    pub bus_url: String,
    /// URL of the bus as the operator reaches it, when it is another one.
    #[arg(long, env = "TETRARCH_OPERATOR_BUS_URL")]
    pub operator_bus_url: Option<String>,
    /// Longest time to wait, in seconds.
    #[arg(long, default_value_t = 60)]
    pub within_seconds: u64,
}

impl Check {
    /// Longest time to wait.
    pub fn within(&self) -> Duration {
        Duration::from_secs(self.within_seconds)
    }

    /// Where the operator reaches the bus.
    pub fn own_bus_url(&self) -> &str {
        self.operator_bus_url.as_deref().unwrap_or(&self.bus_url)
    }
}

/// Settings of the operator.
#[derive(Clone, Parser)]
pub struct Serve {
    /// Namespace that the operator runs in.
    #[arg(long, env = "TETRARCH_NAMESPACE")]
    pub namespace: String,
    /// Name of this replica, unique among all: the pod's name.
    #[arg(long, env = "POD_NAME")]
    pub identity: String,
    /// URL of the bus as pods reach it, such as `<tls://tetrarch-nats.tetrarch.svc:4222>`.
    #[arg(long, env = "TETRARCH_BUS_URL")]
    pub bus_url: String,
    /// URL of the bus as the operator reaches it, when it is another one.
    #[arg(long, env = "TETRARCH_OPERATOR_BUS_URL")]
    pub operator_bus_url: Option<String>,
    /// Image of the supervisor runtime.
    #[arg(long, env = "TETRARCH_SUPERVISOR_IMAGE")]
    pub supervisor_image: String,
    /// Image of the agent sidecar.
    #[arg(long, env = "TETRARCH_SIDECAR_IMAGE")]
    pub sidecar_image: String,
    /// When these two images are pulled.
    #[arg(long, env = "TETRARCH_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub image_pull_policy: PullPolicy,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "TETRARCH_HTTP_ADDR", default_value = "0.0.0.0:9090")]
    pub http_addr: SocketAddr,
    /// The admission webhook.
    #[command(flatten)]
    pub webhook: Webhook,
    /// Filter of the operator's logs.
    #[arg(long, env = "TETRARCH_LOG", default_value = "info")]
    pub log: String,
    /// Filter of the logs of supervisors and sidecars.
    #[arg(long, env = "TETRARCH_RUNTIME_LOG", default_value = "info")]
    pub runtime_log: String,
}

/// Settings of the admission webhook.
#[derive(Clone, Parser)]
pub struct Webhook {
    /// Address of the webhook.
    #[arg(long = "webhook-addr", env = "TETRARCH_WEBHOOK_ADDR", default_value = "0.0.0.0:9443")]
    pub addr: SocketAddr,
    /// Who keeps the Secret tetrarch-webhook-tls: the operator that leads, or something else such as cert-manager.
    #[arg(long = "webhook-certificates", env = "TETRARCH_WEBHOOK_CERTIFICATES", default_value = "self")]
    pub certificates: Certificates,
    /// Whether the webhook configurations `tetrarch` exist, or will: the operator that leads writes its authority into them.
    #[arg(long = "webhook-registered", env = "TETRARCH_WEBHOOK_REGISTERED", default_value_t = false)]
    pub registered: bool,
    /// Life of the certificate, such as 2160h; a new one is made after two thirds of it.
    #[arg(long = "webhook-certificate-lifetime", env = "TETRARCH_WEBHOOK_CERTIFICATE_LIFETIME", default_value = "2160h",
        value_parser = duration::parse)]
    pub certificate_lifetime: Duration,
    /// Life of the authority that signs it, at least three times as long; a new one is made after two thirds of it.
    #[arg(long = "webhook-authority-lifetime", env = "TETRARCH_WEBHOOK_AUTHORITY_LIFETIME", default_value = "43800h",
        value_parser = duration::parse)]
    pub authority_lifetime: Duration,
    /// How long the webhook goes on after the replica was told to stop, until nobody sends requests to it.
    #[arg(long = "webhook-drain", env = "TETRARCH_WEBHOOK_DRAIN", default_value = "5s", value_parser = duration::parse)]
    pub drain: Duration,
}

/// Who makes the certificate of the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Certificates {
    /// The operator that leads.
    #[value(name = "self")]
    Own,
    /// Something else, which writes the Secret and the `caBundle`.
    Secret,
}

impl Webhook {
    /// How long certificates live.
    pub fn lifetimes(&self) -> Result<Lifetimes, rotation::Error> {
        Lifetimes::new(self.certificate_lifetime, self.authority_lifetime)
    }
}

/// When an image is pulled, as in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never.
    Never,
}

impl Serve {
    /// What plans depend on.
    pub fn settings(&self) -> Settings {
        Settings {
            operator_namespace: self.namespace.clone(),
            bus: Bus::from_url(&self.bus_url),
            supervisor_image: self.supervisor_image.clone(),
            sidecar_image: self.sidecar_image.clone(),
            image_pull_policy: match self.image_pull_policy {
                PullPolicy::Always => ImagePullPolicy::Always,
                PullPolicy::IfNotPresent => ImagePullPolicy::IfNotPresent,
                PullPolicy::Never => ImagePullPolicy::Never,
            },
            log_filter: self.runtime_log.clone(),
        }
    }

    /// Where the operator reaches the bus.
    pub fn own_bus_url(&self) -> &str {
        self.operator_bus_url.as_deref().unwrap_or(&self.bus_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn the_lives_of_certificates_by_default_can_be_used() {
        let webhook = Webhook::parse_from(["operator"]);
        assert!(webhook.lifetimes().is_ok());
        assert_eq!(webhook.certificates, Certificates::Own);
    }
}
