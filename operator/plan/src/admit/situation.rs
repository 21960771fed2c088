//! A write to one of our own objects, with everything that decisions about it need.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_core::policy::{Effective, Kind, Requirement, Subject, effective};

use super::{
    chain::Declared,
    examine::{self, Standard, Write},
    finding::Finding,
    index::{DomainNode, Index, OrchestratorNode, document},
    own,
    place::Place,
    review::{Manifest, Review, Written},
};
use crate::names;

/// Annotations that say nothing about the object: requests of people, our own marks, what kubectl remembers.
const SILENT: [&str; 17] = [
    names::ANNOTATION_APPROVE,
    names::ANNOTATION_APPROVE_REASON,
    names::ANNOTATION_APPROVAL,
    names::ANNOTATION_HELD,
    names::ANNOTATION_APPROVE_STEP,
    names::ANNOTATION_REJECT_STEP,
    names::ANNOTATION_DECISIONS,
    names::ANNOTATION_REQUESTS,
    names::ANNOTATION_RUN,
    names::ANNOTATION_RUN_PARAMETERS,
    names::ANNOTATION_CANCEL,
    names::ANNOTATION_PAUSE,
    names::ANNOTATION_TERMINATE,
    names::ANNOTATION_RETRY,
    names::ANNOTATION_RESOLVE,
    names::ANNOTATION_RESOLVE_OUTPUT,
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// A write.
pub(super) struct Situation<'a> {
    pub(super) review: &'a Review,
    pub(super) index: &'a Index,
    pub(super) now: Timestamp,
    pub(super) written: &'a Written,
    pub(super) new: &'a Manifest,
    pub(super) old: Option<&'a Manifest>,
    pub(super) place: Place<'a>,
    /// Whether the spec is another one.
    pub(super) has_new_spec: bool,
    /// Whether anything that policies look at is another one.
    pub(super) is_governed: bool,
    /// The generation that the object will have.
    pub(super) generation: i64,
}

impl<'a> Situation<'a> {
    pub(super) fn new(
        review: &'a Review,
        written: &'a Written,
        new: &'a Manifest,
        index: &'a Index,
        now: Timestamp,
    ) -> Self {
        let old = review.old_manifest();
        let has_new_spec = old.is_none_or(|old| !new.has_spec_of(old));
        let is_governed = has_new_spec || old.is_none_or(|old| has_new_metadata(new, old));
        let generation = match old {
            None => 1,
            Some(old) => old.metadata().generation.unwrap_or_default() + i64::from(has_new_spec),
        };
        let place = Place::of(new, &review.namespace, index);
        Self { review, index, now, written, new, old, place, has_new_spec, is_governed, generation }
    }

    /// What the object declares itself, with everything that is wrong with it.
    pub(super) fn own(&self) -> Option<(Declared, Vec<Finding>)> {
        if self.new.policies().is_empty() {
            return None;
        }
        let keys = match self.new {
            Manifest::Orchestrator(object) => Some(object.spec.signing_keys.as_slice()),
            _ => self.place.orchestrator.map(|node| node.object().spec.signing_keys.as_slice()),
        };
        own::declared(self.new, self.generation, keys)
    }

    /// What holds for the object: the levels above and its own policies.
    pub(super) fn effective(&self, own: Option<&Declared>) -> Arc<Effective> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let labels = self.new.metadata().labels.as_ref().unwrap_or(&NONE);
        let subject = Subject { kind: self.review.kind, labels };
        let above = self.place.above.effective(&subject);
        match own {
            Some(own) => Arc::new(above.meet(&effective([own.layer()], &subject))),
            None => above,
        }
    }

    /// Everything in which the object does not comply with the policies in effect. An Orchestrator is governed by none.
    pub(super) fn examine(&self, effective: &Effective) -> Vec<Finding> {
        static NULL: Value = Value::Null;
        if self.review.kind == Kind::Orchestrator {
            return Vec::new();
        }
        let old = match &self.review.target {
            super::review::Target::Whole { old: Some(old), .. } if needs_document(effective) => old.document(),
            _ => &NULL,
        };
        let document = if needs_document(effective) { self.written.document() } else { &NULL };
        let domain = self.domain_document();
        let standard = Standard {
            effective,
            orchestrator: self.place.orchestrator.map(|node| &node.object().spec),
            keys: self.place.orchestrator.map(OrchestratorNode::keys),
            domain: domain.as_deref(),
            write: Some(Write {
                operation: self.review.operation,
                user: &self.review.user,
                now: self.now,
                document,
                old,
            }),
        };
        examine::examine(self.new, &standard)
    }

    fn domain_document(&self) -> Option<Cow<'_, Value>> {
        match self.new {
            Manifest::Domain(object) => Some(Cow::Owned(document(object))),
            _ => self.place.domain.map(DomainNode::document).map(Cow::Borrowed),
        }
    }
}

/// Whether an expression is going to read the object.
fn needs_document(effective: &Effective) -> bool {
    let asks = |requirement: &Requirement| matches!(requirement, Requirement::ApprovalFor(_));
    effective.rules().next().is_some() || effective.requirements().any(|(requirement, _)| asks(requirement))
}

fn has_new_metadata(new: &Manifest, old: &Manifest) -> bool {
    let (new, old) = (new.metadata(), old.metadata());
    let said = |annotations: &Option<BTreeMap<String, String>>| {
        let all = annotations.iter().flatten();
        let said = all.filter(|(key, _)| !SILENT.contains(&key.as_str()));
        said.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    new.labels.iter().flatten().ne(old.labels.iter().flatten()) || said(&new.annotations) != said(&old.annotations)
}
