//! One agent's session with the bus: pulls tasks by free slots, calls the agent over HTTP, reports results, drains.
//!
//! [`session`] decides, [`service`] does what it says over [`bus`] and [`agent`], [`http`] tells kubelet and Prometheus. How a pod ends is
//! explained in [`http`], the agent's protocol in `docs/agent-protocol.md`.

pub mod agent;
pub mod args;
pub mod bus;
pub mod http;
pub mod metrics;
pub mod run;
pub mod service;
pub mod session;
