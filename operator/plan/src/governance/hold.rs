//! Whether an object waits for an approval, and how it gets one.
//!
//! An object is held from the moment it is written: what a level above asks for later is told, and holds back the next
//! change. Otherwise a new rule at the top would stop the whole hierarchy.

use std::sync::Arc;

use kube_core::ResourceExt;
use tetrarch_core::policy::{Action, Effective, Level};
use tetrarch_crds::shared::{Subject, SubjectKind};

use super::{Governed, Standing, judge::Judged};
use crate::{
    admit::{
        Index,
        approval::{self, Held, HeldBy},
        chain::Chain,
        finding,
    },
    conditions::{self, HasConditions},
    names,
    reason::{self, Reason},
};

/// Whether the last report says that the object waits for an approval of this generation, or its own mark does.
pub fn is_held<K: Governed>(object: &K) -> bool {
    matches!(approval::standing(object.meta()), approval::Standing::Held(_))
        || (object.observed_generation() == object.meta().generation && was_held(object))
}

fn was_held(object: &impl HasConditions) -> bool {
    let accepted = conditions::find(object.conditions(), conditions::ACCEPTED);
    accepted.is_some_and(|condition| condition.reason == Reason::ApprovalRequired.as_str())
}

/// Whether this generation was looked at before and not held.
fn was_free<K: Governed>(object: &K) -> bool {
    let generation = object.meta().generation;
    let judged = conditions::find(object.conditions(), conditions::POLICY_COMPLIANT);
    generation.is_some()
        && judged.is_some_and(|condition| condition.observed_generation == generation)
        && !was_held(object)
}

/// What follows from the judgement.
pub(super) fn decide<K: Governed>(
    object: &K,
    chain: &Chain,
    effective: Arc<Effective>,
    judged: Judged,
    index: &Index,
) -> Standing {
    let given = approval::approval(object.meta().annotations.as_ref());
    let given = given.filter(|approved| Some(approved.generation) == object.meta().generation);
    let Judged { mut violated, held } = judged;
    if given.is_some() {
        violated.retain(|finding| finding.action != Action::RequireApproval);
        return Standing { effective, findings: violated, approved: given, ..Standing::default() };
    }
    let mark = match approval::standing(object.meta()) {
        // What no policy asks for any more holds nothing.
        approval::Standing::Held(mark) => Some(mark).filter(|mark| mark.policies.iter().any(|by| is_there(by, chain))),
        _ => None,
    };
    let hold = if let Some(mark) = &mark {
        Some(why(object, &mark.findings.join("; "), &mark.policies, chain, index))
    } else if held.is_empty() || was_free(object) {
        None
    } else {
        let mark = Held::new(object.meta().generation.unwrap_or_default(), &held);
        Some(why(object, &finding::message(&held), &mark.policies, chain, index))
    };
    if hold.is_none() {
        violated.extend(held.into_iter().filter(|finding| !violated.contains(finding)).collect::<Vec<_>>());
    }
    Standing { effective, findings: violated, hold, ..Standing::default() }
}

fn is_there(by: &HeldBy, chain: &Chain) -> bool {
    let layers = chain.layers();
    let owners = layers.iter().filter(|layer| layer.owner.level == by.level && layer.owner.name == by.name);
    owners.flat_map(|layer| &layer.policies).any(|policy| policy.name == by.policy)
}

fn why<K: Governed>(object: &K, held_by: &str, policies: &[HeldBy], chain: &Chain, index: &Index) -> reason::Finding {
    let generation = object.meta().generation.unwrap_or_default();
    let message = format!(
        "generation {generation} needs an approval ({held_by}); {} may give it: {}",
        approvers(object, policies, chain, index),
        command::<K>(object)
    );
    reason::Finding::new(Reason::ApprovalRequired, message)
}

/// Who may approve: those whom the policies name, else the approvers of the Domain, else whoever has the right.
fn approvers<K: Governed>(object: &K, policies: &[HeldBy], chain: &Chain, index: &Index) -> String {
    let domain = || {
        let name = object.namespace().and_then(|namespace| Some(index.space(&namespace)?.owner()?.to_owned()));
        let name = if K::LEVEL == Level::Domain { Some(object.name_any()) } else { name };
        let node = index.domain(&name?)?;
        Some(node.object().spec.members.approvers.as_slice()).filter(|approvers| !approvers.is_empty())
    };
    let named = policies.iter().filter_map(|by| chain.approvers(by));
    let mut all: Vec<String> = named.flatten().map(told).collect();
    if all.is_empty() {
        all = domain().into_iter().flatten().map(told).collect();
    }
    all.sort();
    all.dedup();
    if all.is_empty() {
        return "whoever has the right 'approve' on it".to_owned();
    }
    all.join(" or ")
}

fn told(subject: &Subject) -> String {
    match subject.kind {
        SubjectKind::User => format!("user {:?}", subject.name),
        SubjectKind::Group => format!("group {:?}", subject.name),
        SubjectKind::ServiceAccount => format!("service account {:?}", subject.name),
    }
}

fn command<K: Governed>(object: &K) -> String {
    let (plural, name) = (K::plural(&()), object.name_any());
    let generation = object.meta().generation.unwrap_or_default();
    let namespace = object.namespace().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    format!(
        "kubectl tetrarch policy approve {plural}/{name}{namespace}, or kubectl annotate {plural}.tetrarch.dev {name}{namespace} {}={generation} --overwrite",
        names::ANNOTATION_APPROVE
    )
}
