//! What the cluster tests share: departments made of scripted agents, and the check of a run's journal.

pub mod department;
pub mod journal;
