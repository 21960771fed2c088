//! The status of the kind AgentPool.

use jiff::Timestamp;
use tetrarch_crds::{AgentPool, AgentPoolStatus};

use crate::{effect::Plan, outcome::Outcome, reconcile::agent_pool::Observed};

/// The new status.
pub fn agent_pool(
    object: &AgentPool,
    _plan: &Plan,
    _outcome: &Outcome,
    _observed: &Observed,
    _now: Timestamp,
) -> AgentPoolStatus {
    object.status.clone().unwrap_or_default()
}
