//! Access to the bus, shared by operator, supervisor and sidecar: connection, the streams of a Domain, conditional and batched writes, large values.

pub mod audit;
pub mod blob;
pub mod connection;
pub mod domain;
pub mod follow;
pub mod keyvalue;
pub mod mark;
pub mod write;

pub use connection::{Bus, Identity, Options, State, connect, connect_as};
