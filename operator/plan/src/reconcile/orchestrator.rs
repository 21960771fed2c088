//! What to do about an Orchestrator: nothing in the cluster; it is validated, and its status is rolled up.

use std::sync::Arc;

use jiff::Timestamp;
use tetrarch_core::{capacity::Ledger, policy::Level};
use tetrarch_crds::{Domain, Orchestrator};

use crate::{effect::Plan, governance, parse, reconcile::all_violations, violation::Violations};

/// What was read for one reconcile of an Orchestrator.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Domains that refer to it.
    pub domains: Vec<Arc<Domain>>,
    /// What is booked below it; none before the ledger was read.
    pub ledger: Option<Arc<Ledger>>,
}

/// Decides what to do.
pub fn orchestrator(object: &Orchestrator, _observed: &Observed, _now: Timestamp) -> Plan {
    let mut violations = Violations::default();
    parse::quota::quota("spec.capacity", object.spec.capacity.as_ref(), &mut violations);
    parse::signature::check_keys("spec.signingKeys", &object.spec.signing_keys, &mut violations);
    let mut of_policies = violations.into_found();
    let keys = Some(object.spec.signing_keys.as_slice());
    of_policies.extend(governance::violations(Level::Orchestrator, object, &object.spec.policies, keys));
    match all_violations(parse::orchestrator::priority_classes(&object.spec), of_policies) {
        Ok(_) => Plan::accepted(Vec::new()),
        Err(finding) => Plan::refused(finding),
    }
}
