//! Which pool a task goes to: among the pools that can do it, those with ready agents, then the least loaded, then the most
//! proficient, then by name.

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

impl Candidate {
    /// How well the pool does what the selector asks for, 0 to 100; nothing when it does not do it at all.
    pub fn proficiency(&self, selector: &AgentSelector) -> Option<u32> {
        match selector {
            AgentSelector::Pool(pool) => (self.pool == *pool).then_some(100),
            AgentSelector::Capability(capability) => {
                self.capabilities.iter().find(|(name, _)| name == capability).map(|(_, proficiency)| *proficiency)
            }
        }
    }
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
    candidates
        .iter()
        .filter_map(|candidate| Some((candidate, candidate.proficiency(selector)?)))
        .min_by_key(|(candidate, proficiency)| {
            // A pool without a ready agent is chosen last, but it is chosen when no other one can do it: its queue is
            // what makes it grow. Load is in thousandths of the pool's slots.
            let load = candidate.load.saturating_mul(1000) / candidate.slots.max(1);
            (candidate.slots == 0, load, std::cmp::Reverse(*proficiency), &candidate.pool)
        })
        .map(|(candidate, _)| candidate)
        .ok_or_else(|| match selector {
            AgentSelector::Pool(pool) => Error::UnknownPool(pool.clone()),
            AgentSelector::Capability(capability) => Error::UnknownCapability(capability.clone()),
        })
}

#[cfg(test)]
mod tests {
    //! Tests of routing: one row for each rule, the strongest first.

    use rstest::rstest;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn pool(of: &str, proficiency: u32, slots: u64, load: u64) -> Candidate {
        Candidate {
            pool: name(of),
            capabilities: vec![(name("other"), 100), (name("review"), proficiency)],
            slots,
            load,
        }
    }

    fn review() -> AgentSelector {
        AgentSelector::Capability(name("review"))
    }

    #[rstest]
    #[case::ready_before_empty([pool("a", 100, 0, 0), pool("b", 1, 1, 9)], "b")]
    #[case::least_loaded([pool("a", 100, 4, 3), pool("b", 1, 8, 5)], "b")]
    #[case::queues_count_by_the_size_of_the_pool([pool("a", 50, 1, 2), pool("b", 50, 10, 11)], "b")]
    #[case::most_proficient([pool("a", 50, 4, 0), pool("b", 90, 2, 0)], "b")]
    #[case::by_name([pool("b", 50, 4, 0), pool("a", 50, 4, 0)], "a")]
    #[case::none_is_ready([pool("a", 50, 0, 7), pool("b", 50, 0, 3)], "b")]
    #[case::huge_numbers([pool("a", 50, 1, u64::MAX), pool("b", 50, u64::MAX, u64::MAX)], "b")]
    fn a_capability_is_routed(#[case] candidates: [Candidate; 2], #[case] expected: &str) {
        assert_eq!(choose(&review(), &candidates).map(|chosen| chosen.pool.as_str()), Ok(expected));
    }

    #[test]
    fn a_named_pool_is_taken_as_it_is() {
        let candidates = [pool("a", 50, 4, 0), pool("b", 1, 0, 99)];
        let chosen = choose(&AgentSelector::Pool(name("b")), &candidates);
        assert_eq!(chosen.map(|chosen| chosen.pool.as_str()), Ok("b"));
    }

    #[test]
    fn what_nobody_can_do_is_told_with_a_remedy() {
        let candidates = [pool("a", 50, 4, 0)];
        let unknown = choose(&AgentSelector::Pool(name("z")), &candidates).unwrap_err();
        assert_eq!(unknown, Error::UnknownPool(name("z")));
        let unknown = choose(&AgentSelector::Capability(name("sing")), &candidates).unwrap_err();
        assert!(unknown.to_string().contains("no AgentPool of this Supervisor has the capability"), "{unknown}");
    }
}
