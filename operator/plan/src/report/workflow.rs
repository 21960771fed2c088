//! The status of the kind Workflow.

use jiff::Timestamp;
use tetrarch_crds::{Workflow, WorkflowStatus};

use crate::{effect::Plan, outcome::Outcome, reconcile::workflow::Observed};

/// The new status.
pub fn workflow(
    object: &Workflow,
    _plan: &Plan,
    _outcome: &Outcome,
    _observed: &Observed,
    _now: Timestamp,
) -> WorkflowStatus {
    object.status.clone().unwrap_or_default()
}
