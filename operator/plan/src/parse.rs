//! From what users write to the domain types: all violations at once, each with its field and the remedy.

pub mod orchestrator;
