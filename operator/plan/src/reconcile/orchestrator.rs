//! What to do about an Orchestrator: nothing in the cluster; it is validated, and its status is rolled up.

use std::sync::Arc;

use jiff::Timestamp;
use tetrarch_crds::{Domain, Orchestrator};

use crate::{effect::Plan, parse, violation};

/// What was read for one reconcile of an Orchestrator.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Domains that refer to it.
    pub domains: Vec<Arc<Domain>>,
}

/// Decides what to do.
pub fn orchestrator(object: &Orchestrator, _observed: &Observed, _now: Timestamp) -> Plan {
    match parse::orchestrator::priority_classes(&object.spec) {
        Ok(_) => Plan::accepted(Vec::new()),
        Err(violations) => Plan::refused(violation::finding(&violations)),
    }
}
