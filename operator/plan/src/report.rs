//! The new status of each kind, from the object, its plan, what became of the plan, and what was observed.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;
