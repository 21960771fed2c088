//! What Supervisors are told over the bus.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube_core::ResourceExt;
use tetrarch_core::priority::ClassLimits;
use tetrarch_crds::AgentPool;
use tetrarch_protocol::{
    VERSION,
    snapshot::{PoolSnapshot, SupervisorSnapshot, TelemetrySnapshot},
};

use crate::{
    admit::Index,
    governance::{self, clamp, offer},
    hierarchy, names, parse,
};

/// What a Supervisor's pools are read from.
#[derive(Clone, Copy, Debug)]
pub struct Pools<'a> {
    /// All pools in the namespace.
    pub all: &'a [Arc<AgentPool>],
    /// Deployments of pools that wait for an approval.
    pub deployments: &'a [Arc<Deployment>],
    /// Most agents that the pools may have together.
    pub largest: i32,
    /// The policies that bound them.
    pub index: &'a Index,
}

/// The configuration of a Supervisor: its pools, sorted by name, and the limits of the classes, and where traces go.
///
/// Listed are the pools that are valid and within the limit on agents, and those that have agents anyway: a pool that is no
/// longer accepted keeps its agents, and they keep their work. A pool whose change waits for an approval is listed as its
/// agents were started.
pub fn supervisor(
    name: &str,
    pools: Pools<'_>,
    classes: Vec<ClassLimits>,
    telemetry: Option<TelemetrySnapshot>,
) -> SupervisorSnapshot {
    let within = hierarchy::pools_within_limit(name, pools.all, pools.largest);
    let mut listed: Vec<PoolSnapshot> = hierarchy::pools_of(name, pools.all)
        .filter(|pool| within.iter().any(|w| Arc::ptr_eq(w, pool)) || has_agents(pool))
        .filter_map(|pool| pool_snapshot(pool, pools))
        .collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    SupervisorSnapshot { version: VERSION, pools: listed, classes, telemetry }
}

fn pool_snapshot(object: &AgentPool, pools: Pools<'_>) -> Option<PoolSnapshot> {
    if governance::is_held(object) {
        let name = names::pool_agents(&object.name_any());
        let deployment = pools.deployments.iter().find(|deployment| deployment.name_any() == name)?;
        return offer::read(deployment);
    }
    let mut pool = parse::agent_pool::pool(object).ok()?;
    clamp::pool(&mut pool, &governance::effective(object, pools.index));
    Some(offer::of(&pool))
}

fn has_agents(pool: &AgentPool) -> bool {
    pool.status.as_ref().is_some_and(|status| status.replicas > 0)
}
