//! Which pool a task goes to: among the pools that can do it, the least loaded, then the most proficient, then by name.

use serde::{Deserialize, Serialize};

use crate::{id::Name, workflow::definition::AgentSelector};

/// A pool as the router sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Name of the pool.
    pub pool: Name,
    /// What its agents can do, with the proficiency 0 to 100.
    pub capabilities: Vec<(Name, u32)>,
    /// Tasks that the pool's agents can work on at once, all together; 0 while none is ready.
    pub slots: u64,
    /// Tasks waiting and in flight.
    pub load: u64,
}

/// Why no pool can take a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The named pool is not known to this Supervisor.
    #[error("no AgentPool {0:?} belongs to this Supervisor: create it, or name another one in task.agent.pool")]
    UnknownPool(Name),
    /// No pool has the capability.
    #[error(
        "no AgentPool of this Supervisor has the capability {0:?}: add it to a pool's spec.capabilities, or ask for another one in task.agent.capability"
    )]
    UnknownCapability(Name),
}

/// The pool that a task with this selector goes to.
pub fn choose<'a>(selector: &AgentSelector, candidates: &'a [Candidate]) -> Result<&'a Candidate, Error> {
    match selector {
        AgentSelector::Pool(name) => {
            candidates.iter().find(|c| c.pool == *name).ok_or_else(|| Error::UnknownPool(name.clone()))
        }
        AgentSelector::Capability(capability) => candidates
            .iter()
            .filter_map(|c| {
                let proficiency = c.capabilities.iter().find(|(name, _)| name == capability)?.1;
                Some((c, proficiency))
            })
            .min_by_key(|(c, proficiency)| {
                // Load in thousandths of the pool's slots; a pool without a ready agent counts as one slot, so that it is
                // chosen last but is still chosen when it is the only one.
                (c.load.saturating_mul(1000) / c.slots.max(1), std::cmp::Reverse(*proficiency), &c.pool)
            })
            .map(|(c, _)| c)
            .ok_or_else(|| Error::UnknownCapability(capability.clone())),
    }
}
