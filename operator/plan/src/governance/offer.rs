//! What the agents of a pool were started with, kept at their Deployment: while a change of the pool waits for its approval
//! the Supervisor goes on with that.

use k8s_openapi::api::apps::v1::Deployment;
use kube_core::ResourceExt;
use tetrarch_protocol::snapshot::PoolSnapshot;

use crate::{names, object::to_json, parse::agent_pool::Pool};

/// A pool as its Supervisor needs to know it.
pub fn of(pool: &Pool) -> PoolSnapshot {
    PoolSnapshot {
        name: pool.name.clone(),
        capabilities: pool.capabilities.clone(),
        concurrency: pool.concurrency,
        idempotent: pool.idempotent,
    }
}

/// The value of [`names::ANNOTATION_OFFER`].
pub fn to_text(pool: &Pool) -> String {
    to_json(&of(pool)).to_string()
}

/// What a Deployment was applied with. One that cannot be read counts as none.
pub fn read(deployment: &Deployment) -> Option<PoolSnapshot> {
    serde_json::from_str(deployment.annotations().get(names::ANNOTATION_OFFER)?).ok()
}
