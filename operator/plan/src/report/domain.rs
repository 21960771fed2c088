//! The status of the kind Domain.

use jiff::Timestamp;
use tetrarch_crds::{Domain, DomainStatus};

use crate::{effect::Plan, outcome::Outcome, reconcile::domain::Observed};

/// The new status.
pub fn domain(
    object: &Domain,
    _plan: &Plan,
    _outcome: &Outcome,
    _observed: &Observed,
    _now: Timestamp,
) -> DomainStatus {
    object.status.clone().unwrap_or_default()
}
