//! Builders, clusters and servers for tests.

pub mod cluster;
pub mod kill;
