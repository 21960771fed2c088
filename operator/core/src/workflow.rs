//! The workflow engine: a definition, the state of a run folded from its journal, and what to do next.
//!
//! `Run::apply` folds one journal entry into the state; `Run::next` says which actions are due at a given time.
//! Both are pure and total. Actions are idempotent on the bus (each write is conditional), so a second owner of the
//! same run, or a replay after a crash, can at worst try a write that the server refuses.

pub mod approval;
pub mod auto;
mod begin;
pub mod child;
pub mod definition;
pub mod gather;
pub mod graph;
pub mod hand_over;
pub mod journal;
pub mod message;
mod phase;
pub mod range;
pub mod reduce;
pub mod run;
pub mod stamp;
mod tasks;
pub mod trigger;

#[cfg(test)]
mod samples;
