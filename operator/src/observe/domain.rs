//! What a reconcile of a Domain needs.

use tetrarch_crds::Domain;
use tetrarch_plan::{hierarchy::namespace_of, object::Kind, reconcile::domain::Observed};

use crate::context::Context;

/// Kinds that a Domain has in its namespace.
const CHILDREN: [Kind; 4] = [Kind::ResourceQuota, Kind::LimitRange, Kind::NetworkPolicy, Kind::RoleBinding];

/// Reads it.
pub fn domain(context: &Context, object: &Domain) -> Observed {
    let world = &context.world;
    let namespace = namespace_of(object);
    Observed {
        settings: context.settings.clone(),
        orchestrator: world.orchestrator_of(object),
        siblings: world.domains_of(&object.spec.orchestrator_ref.name),
        namespace: world.namespace(&namespace),
        supervisors: world.supervisors_in(&namespace),
        pools: world.pools_in(&namespace),
        workflows: world.workflows_in(&namespace),
        children: world.children_of_domain(&namespace, &CHILDREN),
        index: world.hierarchy.latest(),
        ledger: context.ledgers.of(&object.spec.orchestrator_ref.name),
    }
}
