//! The status of the kind Supervisor.

use jiff::Timestamp;
use tetrarch_crds::{Supervisor, SupervisorStatus};

use crate::{effect::Plan, outcome::Outcome, reconcile::supervisor::Observed};

/// The new status.
pub fn supervisor(
    object: &Supervisor,
    _plan: &Plan,
    _outcome: &Outcome,
    _observed: &Observed,
    _now: Timestamp,
) -> SupervisorStatus {
    object.status.clone().unwrap_or_default()
}
