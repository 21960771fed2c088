//! The pure domain of Tetrarch: what an id is, what a workflow means, which pool a task goes to, what a policy allows, what
//! a level has left, which steps a goal in plain words asks for.
//!
//! Nothing in here knows Kubernetes or the bus, and nothing reads a clock, the environment or random numbers:
//! time is an argument. That makes every decision replayable from its journal.

pub mod capacity;
pub mod decompose;
pub mod expression;
pub mod fairness;
pub mod id;
pub mod policy;
pub mod priority;
pub mod quantity;
pub mod routing;
pub mod schedule;
pub mod schema;
pub mod trace;
pub mod unit;
pub mod workflow;
