//! Builders, clusters and servers for tests.

#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "fake-api")]
pub mod fake_api;
#[cfg(feature = "cluster")]
pub mod kill;
pub mod nats;
