//! Flags and environment, read once.

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use tetrarch_crds::agent_pool::ImagePullPolicy;
use tetrarch_plan::settings::{Bus, Settings};

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
    Serve(Serve),
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
    /// Filter of the operator's logs.
    #[arg(long, env = "TETRARCH_LOG", default_value = "info")]
    pub log: String,
    /// Filter of the logs of supervisors and sidecars.
    #[arg(long, env = "TETRARCH_RUNTIME_LOG", default_value = "info")]
    pub runtime_log: String,
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
}
