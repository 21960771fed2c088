//! Whether there is room for what a test writes, when nothing is booked but the hierarchy itself.

use jiff::Timestamp;
use kube_core::{Resource, ResourceExt};
use tetrarch_core::capacity::{Declared, Key, Ledger, Observed, book, settle};

use crate::{
    admit::{
        Booking, Finding, Index,
        booking::{self, refused},
        index::{PoolNode, SupervisorNode},
    },
    hierarchy::namespace_of,
};

/// Why there is no room for it; none when there is.
pub(super) fn examine(wanted: &Booking, index: &Index, now: Timestamp) -> Option<Finding> {
    let mut ledger = Ledger::default();
    settle(&mut ledger, observed(&wanted.orchestrator, index), now);
    let key = wanted.claim.key.clone();
    book(&mut ledger, wanted.claim.clone(), now).err().map(|refusal| refused(&key, &refusal))
}

/// Everything below an Orchestrator that has a part in capacity.
fn observed(orchestrator: &str, index: &Index) -> Vec<Observed> {
    let mut objects = Vec::new();
    if let Some(root) = index.orchestrator(orchestrator) {
        objects.push(seen(root.object(), booking::of_orchestrator(root.object())));
    }
    for domain in index.domains_of(orchestrator).filter_map(|name| index.domain(name)) {
        let domain = domain.object();
        objects.push(seen(domain, booking::of_domain(domain)));
        let Some(space) = index.space(&namespace_of(domain)) else { continue };
        let supervisors = space.supervisors().map(SupervisorNode::object);
        objects.extend(supervisors.map(|object| seen(object, booking::of_supervisor(object, Some(domain)))));
        let pools = space.pools().map(PoolNode::object);
        objects.extend(pools.map(|object| seen(object, booking::of_pool(object, Some(domain)))));
    }
    objects
}

fn seen<K: Resource>(object: &K, (key, declared): (Key, Declared)) -> Observed {
    let generation = object.meta().generation.unwrap_or_default();
    Observed { key, uid: object.uid().unwrap_or_default(), generation, declared }
}
