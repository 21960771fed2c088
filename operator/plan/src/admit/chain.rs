//! The policies above an object, with what follows from them computed once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use tetrarch_core::policy::{Effective, Kind, Layer, Policy, Requirement, Subject, effective};
use tetrarch_crds::{policy as written, shared};

use super::approval::HeldBy;

/// What one object of the hierarchy declares, in the forms that decisions need.
#[derive(Clone, Debug)]
pub struct Declared {
    layer: Layer,
    for_pods: Layer,
    approvers: BTreeMap<String, Vec<shared::Subject>>,
}

impl Declared {
    /// From what was read of the object and what was written.
    pub fn new(layer: Layer, written: &[written::Policy]) -> Self {
        let for_pods = Layer { owner: layer.owner.clone(), policies: layer.policies.iter().map(about_pods).collect() };
        let approvers = written.iter().filter(|policy| !policy.approvers.is_empty());
        let approvers = approvers.map(|policy| (policy.name.clone(), policy.approvers.clone())).collect();
        Self { layer, for_pods, approvers }
    }

    /// The policies.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.layer.policies.is_empty()
    }

    /// Who may approve what the policy holds back; none when it does not say.
    pub fn approvers(&self, policy: &str) -> Option<&[shared::Subject]> {
        self.approvers.get(policy).map(Vec::as_slice)
    }
}

/// A policy for all kinds bounds pods too, but its labels, rules and conditions are written with the objects in mind that
/// people write. On pods they are only asked when the policy names pods.
fn about_pods(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    if policy.applies_to.kinds.is_empty() {
        policy.rules.clear();
        policy.require.retain(|required| !matches!(required, Requirement::Label(_) | Requirement::ApprovalFor(_)));
    }
    policy
}

/// Most results that a chain remembers; more only come of many different labels.
const REMEMBERED: usize = 256;

/// The layers from the Orchestrator down to one object.
#[derive(Debug, Default)]
pub struct Chain {
    layers: Vec<Arc<Declared>>,
    known: RwLock<HashMap<(Kind, Mask), Arc<Effective>>>,
}

/// Which policies of a chain apply: one bit each.
type Mask = [u64; 3];

impl Chain {
    /// The chain of these layers, the highest first.
    pub fn new(layers: impl IntoIterator<Item = Arc<Declared>>) -> Self {
        Self { layers: layers.into_iter().filter(|declared| !declared.is_empty()).collect(), known: RwLock::default() }
    }

    /// This chain with one more layer below.
    #[must_use]
    pub fn with(&self, declared: Arc<Declared>) -> Self {
        Self::new(self.layers.iter().cloned().chain([declared]))
    }

    /// The layers, the highest first; those that say nothing are left out.
    pub fn layers(&self) -> Vec<&Layer> {
        self.layers.iter().map(|declared| declared.layer()).collect()
    }

    /// What holds for an object below. Depends only on which policies apply, so that it is computed once for each
    /// combination of them.
    pub fn effective(&self, subject: &Subject<'_>) -> Arc<Effective> {
        let Some(mask) = self.mask(subject) else { return Arc::new(self.compute(subject)) };
        let key = (subject.kind, mask);
        if let Some(found) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(found);
        }
        let computed = Arc::new(self.compute(subject));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED {
            known.insert(key, Arc::clone(&computed));
        }
        computed
    }

    /// Who may approve what a policy of this chain holds back; none when it does not say.
    pub fn approvers(&self, policy: &HeldBy) -> Option<&[shared::Subject]> {
        self.layers.iter().find(|declared| policy.is_of(&declared.layer))?.approvers(&policy.policy)
    }

    fn compute(&self, subject: &Subject<'_>) -> Effective {
        effective(self.layers.iter().map(|declared| declared.for_kind(subject.kind)), subject)
    }

    fn mask(&self, subject: &Subject<'_>) -> Option<Mask> {
        let mut mask = Mask::default();
        let policies = self.layers.iter().flat_map(|declared| &declared.for_kind(subject.kind).policies);
        for (index, policy) in policies.enumerate() {
            if policy.applies_to.matches(subject) {
                *mask.get_mut(index / 64)? |= 1 << (index % 64);
            }
        }
        Some(mask)
    }
}

impl Declared {
    fn for_kind(&self, kind: Kind) -> &Layer {
        if kind == Kind::Pod { &self.for_pods } else { &self.layer }
    }
}
