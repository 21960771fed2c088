//! Builders, clusters and servers for tests.
