//! Manifests of everything that the operator applies. Infallible: they take parsed values only.
//!
//! A manifest holds just the fields that we own; what the API server fills in is left out, so that applying it again changes nothing.

pub mod agents;
pub mod autoscaler;
pub mod hooks;
pub mod limits;
pub mod members;
pub mod namespace;
pub mod network;
pub mod overlay;
pub mod pod;
pub mod service;
pub mod snapshot;
pub mod supervisor;
