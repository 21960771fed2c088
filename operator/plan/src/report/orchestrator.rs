//! The status of the kind Orchestrator.

use jiff::Timestamp;
use tetrarch_crds::{Orchestrator, OrchestratorStatus};

use crate::{effect::Plan, outcome::Outcome, reconcile::orchestrator::Observed};

/// The new status.
pub fn orchestrator(
    object: &Orchestrator,
    _plan: &Plan,
    _outcome: &Outcome,
    _observed: &Observed,
    _now: Timestamp,
) -> OrchestratorStatus {
    object.status.clone().unwrap_or_default()
}
