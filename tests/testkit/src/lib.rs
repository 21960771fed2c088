//! Builders, clusters and servers for tests.

#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "cluster")]
pub mod kill;
pub mod nats;
