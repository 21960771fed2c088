//! The runtime of a Supervisor: accepts runs, drives them, and reports on them.
//!
//! ```text
//!  CONFIG ──> config ──┐                       ┌──> writer  ──> WORK (dispatches and run events, conditional, in batches)
//!  WORK ──> journal ───┤                       ├──> janitor ──> WORK (withdrawals, purges), BLOB
//!  LEASE <─> leases ───┼──> drive (one task, ──┼──> consumers ─> WORK (one pull consumer per pool and class)
//!  load.> ──> loads ───┘    all the state)     ├──> report  ──> REPORT
//!  event.> ─> events, hooks ─ what is open ─────┼──> intake  ──> WORK (the first events of runs that messages begin)
//!                                              └──> export  ──> the collector of traces
//! ```
//!
//! The state of every run is folded from the journal by every replica; only the holder of a run's lease acts on it. When two
//! replicas act all the same, the conditions of their writes let one of them lose.

mod config;
mod consumers;
mod drive;
mod events;
mod export;
pub mod hooks;
mod http;
pub mod inspect;
mod intake;
mod janitor;
pub mod journal;
pub mod leases;
mod loads;
pub mod metrics;
mod report;
mod service;
mod writer;

pub use report::build_summary;
pub use service::{Error, Handle, Options, start};
