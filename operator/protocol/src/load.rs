//! Heartbeat of an agent's sidecar: how busy it is. Core NATS, every second and on change; losing one is harmless.

use serde::{Deserialize, Serialize};

/// Body of `load.<supervisor>.<pool>.<agent>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Version of the envelope.
    pub version: u16,
    /// Name of the pod.
    pub agent: String,
    /// Tasks it can work on at once.
    pub slots: u32,
    /// Tasks it works on now.
    pub in_flight: u32,
    /// Whether its agent answers its health path.
    pub healthy: bool,
    /// Whether it takes no new tasks because it is to stop.
    pub draining: bool,
    /// Tasks ended well since it started.
    pub succeeded: u64,
    /// Tasks ended badly since it started.
    pub failed: u64,
}
