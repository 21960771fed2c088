//! What the policies above an object mean for it as it stands: what it violates, what is held down at run time, whether
//! it may run at all.
//!
//! Admission judges a change before it is stored; here what is stored is judged again, by the same evaluation, whenever
//! it or a level above it changes. So a policy that was tightened later is reported and clamped, and what slipped in while
//! nobody looked is found. Nothing is ever deleted because of a policy.

pub mod clamp;
pub mod offer;
pub mod region;

mod hold;
mod judge;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::{Resource, ResourceExt};
use tetrarch_core::policy::{Effective, Kind, Level, Subject};
use tetrarch_crds::{
    AgentPool, Domain, Supervisor, Workflow,
    orchestrator::SigningKey,
    policy::Policy,
    shared::{Approved, NameRef},
};

pub use self::{clamp::Clamp, hold::is_held};
use crate::{
    admit::{
        Finding, Index, Manifest,
        chain::{Chain, Declared},
        index::owner,
    },
    conditions::HasConditions,
    parse, reason,
    violation::Violation,
};

/// What policies mean for one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// What holds for it.
    pub effective: Arc<Effective>,
    /// What it violates, and nobody has approved.
    pub findings: Vec<Finding>,
    /// What is held down at run time.
    pub clamps: Vec<Clamp>,
    /// The approval that it runs under, when a policy asked for one.
    pub approved: Option<Approved>,
    /// Why it is held; none when it may run.
    pub hold: Option<reason::Finding>,
}

/// The kinds that policies govern and that are reconciled.
pub trait Governed: Resource<DynamicType = ()> + HasConditions {
    /// Its kind.
    const KIND: Kind;
    /// Its level.
    const LEVEL: Level;

    /// The policies that it carries itself.
    fn policies(&self) -> &[Policy];

    /// The policies above it.
    fn above(&self, index: &Index) -> Arc<Chain>;

    /// The object as examinations take it.
    fn manifest(&self) -> Manifest;

    /// Generation of its last report.
    fn observed_generation(&self) -> Option<i64>;
}

fn above_in(index: &Index, metadata: &ObjectMeta, reference: Option<&NameRef>) -> Arc<Chain> {
    let space = metadata.namespace.as_deref().and_then(|namespace| index.space(namespace));
    space.map(|space| space.above(reference).clone()).unwrap_or_default()
}

macro_rules! governed {
    ($kind:ident, $above:expr) => {
        impl Governed for $kind {
            const KIND: Kind = Kind::$kind;
            const LEVEL: Level = Level::$kind;

            fn policies(&self) -> &[Policy] {
                &self.spec.policies
            }

            fn above(&self, index: &Index) -> Arc<Chain> {
                let above: fn(&Self, &Index) -> Arc<Chain> = $above;
                above(self, index)
            }

            fn manifest(&self) -> Manifest {
                Manifest::$kind(Box::new(self.clone()))
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref()?.observed_generation
            }
        }
    };
}

governed!(Domain, |domain, index| {
    let orchestrator = index.orchestrator(&domain.spec.orchestrator_ref.name);
    orchestrator.map(|orchestrator| orchestrator.chain().clone()).unwrap_or_default()
});
governed!(Supervisor, |supervisor, index| {
    let space = supervisor.metadata.namespace.as_deref().and_then(|namespace| index.space(namespace));
    space.map(|space| space.chain().clone()).unwrap_or_default()
});
governed!(AgentPool, |pool, index| above_in(index, &pool.metadata, pool.spec.supervisor_ref.as_ref()));
governed!(Workflow, |workflow, index| above_in(index, &workflow.metadata, workflow.spec.supervisor_ref.as_ref()));

/// What an object declares itself; none when it declares nothing.
fn own<K: Governed>(object: &K) -> Option<Arc<Declared>> {
    if object.policies().is_empty() {
        return None;
    }
    let (layer, _) = parse::policy::layer(owner(K::LEVEL, object), object.policies(), None);
    Some(Arc::new(Declared::new(layer, object.policies())))
}

fn subject<K: Governed>(object: &K) -> Subject<'_> {
    Subject { kind: K::KIND, labels: object.labels() }
}

/// What holds for an object: the policies above it and its own.
pub fn effective<K: Governed>(object: &K, index: &Index) -> Arc<Effective> {
    let above = object.above(index);
    match own(object) {
        Some(own) => above.with(own).effective(&subject(object)),
        None => above.effective(&subject(object)),
    }
}

/// What policies mean for an object. What is clamped is for the caller to add.
pub fn standing<K: Governed>(object: &K, index: &Index) -> Standing {
    let (above, own) = (object.above(index), own(object));
    let chain = own.as_ref().map_or_else(|| above.clone(), |own| Arc::new(above.with(own.clone())));
    let effective = chain.effective(&subject(object));
    let judged = judge::judge(object, &above, own.as_deref(), &effective, index);
    hold::decide(object, &chain, effective, judged, index)
}

/// What is wrong with the policies that an object carries itself.
pub fn violations(
    level: Level,
    object: &impl ResourceExt,
    written: &[Policy],
    keys: Option<&[SigningKey]>,
) -> Vec<Violation> {
    if written.is_empty() { Vec::new() } else { parse::policy::layer(owner(level, object), written, keys).1 }
}
