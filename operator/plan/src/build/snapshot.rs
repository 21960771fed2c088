//! What Supervisors are told over the bus.

use std::{collections::HashSet, sync::Arc};

use tetrarch_core::priority::ClassLimits;
use tetrarch_crds::AgentPool;
use tetrarch_protocol::{
    VERSION,
    snapshot::{PoolSnapshot, SupervisorSnapshot},
};

use crate::{hierarchy, parse};

/// The configuration of a Supervisor: its pools, sorted by name, and the limits of the classes.
///
/// Listed are the pools that are valid and within the limit on agents, and those that have agents anyway: a pool that is no
/// longer accepted keeps its agents, and they keep their work.
pub fn supervisor(name: &str, pools: &[Arc<AgentPool>], largest: i32, classes: Vec<ClassLimits>) -> SupervisorSnapshot {
    let within: HashSet<*const AgentPool> =
        hierarchy::pools_within_limit(name, pools, largest).into_iter().map(Arc::as_ptr).collect();
    let mut pools: Vec<PoolSnapshot> = hierarchy::pools_of(name, pools)
        .filter(|pool| within.contains(&Arc::as_ptr(pool)) || has_agents(pool))
        .filter_map(|pool| parse::agent_pool::pool(pool).ok())
        .map(|pool| PoolSnapshot {
            name: pool.name,
            capabilities: pool.capabilities,
            concurrency: pool.concurrency,
            idempotent: pool.idempotent,
        })
        .collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    SupervisorSnapshot { version: VERSION, pools, classes }
}

fn has_agents(pool: &AgentPool) -> bool {
    pool.status.as_ref().is_some_and(|status| status.replicas > 0)
}
