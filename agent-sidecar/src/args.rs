//! Flags and environment, read once.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use tetrarch_core::id::Name;
use tetrarch_protocol::{permission::agent_inbox, stream::ACK_WAIT};

use crate::service::Options;

/// Largest answer of an agent, in bytes.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Connects one agent with the bus: pulls its pool's tasks, calls it over HTTP, reports the results.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Address of the bus, `tls://host:4222`.
    #[arg(long, env = "TETRARCH_BUS_URL")]
    pub bus_url: String,
    /// File with the credentials for the bus.
    #[arg(long, env = "TETRARCH_BUS_CREDENTIALS")]
    pub bus_credentials: Option<PathBuf>,
    /// File with the authority that signed the bus's certificate.
    #[arg(long, env = "TETRARCH_BUS_CA")]
    pub bus_ca: Option<PathBuf>,
    /// Domain, for the logs.
    #[arg(long, env = "TETRARCH_DOMAIN", default_value = "")]
    pub domain: String,
    /// Supervisor that dispatches the tasks.
    #[arg(long, env = "TETRARCH_SUPERVISOR")]
    pub supervisor: Name,
    /// Pool of the agent.
    #[arg(long, env = "TETRARCH_POOL")]
    pub pool: Name,
    /// Name of the pod.
    #[arg(long, env = "POD_NAME")]
    pub pod: String,
    /// Tasks the agent works on at once.
    #[arg(long, env = "TETRARCH_SLOTS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub slots: u32,
    /// Where the agent takes tasks.
    #[arg(long, env = "TETRARCH_AGENT_URL", default_value = "http://127.0.0.1:8080/tasks")]
    pub agent_url: String,
    /// Where the agent says how it is.
    #[arg(long, env = "TETRARCH_AGENT_HEALTH_URL", default_value = "http://127.0.0.1:8080/health")]
    pub agent_health_url: String,
    /// Seconds that running tasks get once the pod has to stop.
    #[arg(long, env = "TETRARCH_DRAIN_TIMEOUT_SECONDS", default_value_t = 300)]
    pub drain_timeout_seconds: u64,
    /// Largest answer of the agent, in bytes.
    #[arg(long, env = "TETRARCH_MAX_RESPONSE_BYTES", default_value_t = MAX_RESPONSE)]
    pub max_response_bytes: usize,
    /// Where to serve health, metrics and the drain hook.
    #[arg(long, env = "TETRARCH_HTTP_ADDR", default_value = "0.0.0.0:9091")]
    pub http_addr: SocketAddr,
    /// Log filter.
    #[arg(long, env = "TETRARCH_LOG", default_value = "info")]
    pub log: String,
}

impl Args {
    /// How to reach the bus.
    pub fn bus(&self) -> tetrarch_bus::Options {
        tetrarch_bus::Options {
            url: self.bus_url.clone(),
            credentials: self.bus_credentials.clone(),
            ca: self.bus_ca.clone(),
            name: format!("agent {}/{}", self.pool, self.pod),
            inbox_prefix: Some(agent_inbox(&self.supervisor, &self.pool)),
        }
    }

    /// What the service is set up with.
    pub fn options(&self) -> Options {
        Options {
            supervisor: self.supervisor.clone(),
            pool: self.pool.clone(),
            agent: self.pod.clone(),
            slots: self.slots,
            agent_url: self.agent_url.clone(),
            health_url: self.agent_health_url.clone(),
            drain_timeout: Duration::from_secs(self.drain_timeout_seconds),
            max_response: self.max_response_bytes,
            ack_wait: ACK_WAIT,
        }
    }
}
