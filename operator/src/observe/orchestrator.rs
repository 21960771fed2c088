//! What a reconcile of an Orchestrator needs.

use kube::ResourceExt;
use tetrarch_crds::Orchestrator;
use tetrarch_plan::reconcile::orchestrator::Observed;

use crate::context::Context;

/// Reads it.
pub fn orchestrator(context: &Context, object: &Orchestrator) -> Observed {
    Observed { domains: context.world.domains_of(&object.name_any()), ledger: context.ledgers.of(&object.name_any()) }
}
