//! The decisions: one total function per kind from what was observed to what is to be done.
//!
//! Each module holds an `Observed`, everything that was read for one reconcile. An invalid spec is a plan without writes;
//! a deletion is an input like any other.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;
