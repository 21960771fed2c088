//! What the cluster tests share: departments made of scripted agents, the check of a run's journal, and that of rights, and the stories of the samples.

pub mod department;
pub mod journal;
pub mod replicas;
pub mod rights;
pub mod scene;
pub mod story;
