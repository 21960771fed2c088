//! The two decisions about a write: what is marked on the object, and whether it is let through.

use jiff::Timestamp;
use kube_core::ResourceExt;
use tetrarch_core::{
    capacity::{Claim, UNKNOWN_GENERATION},
    policy::{Kind, Requirement, Subject},
};

use super::{
    booking, count,
    examine::{self, Standard},
    finding::{Code, Finding},
    hold::Outcome,
    index::{DomainNode, Index, OrchestratorNode},
    own, pods, reference,
    review::{Manifest, Operation, Review, Target},
    situation::Situation,
    spec, subtree,
    verdict::{Booking, Check, Mutation, Verdict},
};

/// Decides about a write. Total: whatever was sent, there is an answer.
pub fn decide(review: &Review, index: &Index, now: Timestamp) -> Verdict {
    match (&review.target, review.operation) {
        (Target::Whole { new: Some(written), .. }, Operation::Create | Operation::Update) => match written.manifest() {
            Ok(new) if new.metadata().deletion_timestamp.is_some() => Verdict::default(),
            Ok(Manifest::Pod(pod)) => pods::decide(review, written, pod, index, now),
            Ok(new) => written_object(&Situation::new(review, written, new, index, now)),
            Err(_) => invalid(review.kind, written),
        },
        (Target::Whole { .. }, Operation::Delete) if review.kind == Kind::Orchestrator => deletion(&review.name, index),
        (Target::Scale { replicas, version }, _) => scale(review, *replicas, version.as_deref(), index),
        _ => Verdict::default(),
    }
}

/// Decides what is marked on the object before it is decided upon: what holds it, and who has approved it.
pub fn mutate(review: &Review, index: &Index, now: Timestamp) -> Mutation {
    let Some(written) = review.new_object() else { return Mutation::default() };
    let Ok(new) = written.manifest() else { return Mutation::default() };
    let is_marked = !matches!(review.kind, Kind::Orchestrator | Kind::Pod);
    if !is_marked || new.metadata().deletion_timestamp.is_some() {
        return Mutation::default();
    }
    let situation = Situation::new(review, written, new, index, now);
    let held = if situation.is_governed {
        let own = situation.own();
        let effective = situation.effective(own.as_ref().map(|(own, _)| own));
        pods::sorted(situation.examine(&effective)).held
    } else {
        Vec::new()
    };
    let outcome = situation.mark(&held);
    let Outcome { denials, patch, checks, decision, asked, .. } = outcome;
    Mutation { denials, patch, checks, decision, asked }
}

fn invalid(kind: Kind, written: &super::review::Written) -> Verdict {
    let denials = spec::violations(kind, written).into_iter().map(Finding::from).collect();
    Verdict { denials, ..Verdict::default() }
}

fn written_object(situation: &Situation<'_>) -> Verdict {
    let (review, new) = (situation.review, situation.new);
    if situation.has_new_spec {
        let verdict = invalid(review.kind, situation.written);
        if !verdict.is_allowed() {
            return verdict;
        }
    }
    if !situation.is_governed {
        let marks = situation.check_marks(&[]);
        return Verdict {
            denials: marks.denials,
            checks: marks.checks,
            warnings: marks.warnings,
            ..Verdict::default()
        };
    }
    let own = situation.own();
    let effective = situation.effective(own.as_ref().map(|(own, _)| own));
    let mut verdict = pods::sorted(situation.examine(&effective));
    verdict.record = effective.required(&Requirement::Audit).is_some();
    if review.kind != Kind::Orchestrator {
        let marks = situation.check_marks(&verdict.held);
        verdict.denials.extend(marks.denials);
        verdict.checks.extend(marks.checks);
        verdict.warnings.extend(marks.warnings);
        if situation.is_approved() {
            verdict.audits.append(&mut verdict.held);
        }
    }
    verdict.denials.extend(count::examine(new, situation.old, &situation.place, situation.index));
    verdict.warnings.extend(count::lowered(new, situation.index));
    verdict.warnings.extend(reference::examine(new, situation.index));
    own_policies(situation, own, &mut verdict);
    if let Some(finding) = notice(situation, &verdict) {
        verdict.warnings.push(finding);
    }
    verdict.checks.extend(update_right(situation));
    verdict.booking = booking::booking(new, situation.old, &situation.place, situation.index);
    verdict
}

/// Policies that the object carries. What was written before is not refused because something above has changed since.
fn own_policies(situation: &Situation<'_>, own: Option<(super::chain::Declared, Vec<Finding>)>, verdict: &mut Verdict) {
    let before = situation.old.map(|old| (old.policies(), keys(old)));
    let is_changed = before.is_none_or(|before| before != (situation.new.policies(), keys(situation.new)));
    if !is_changed {
        return;
    }
    let is_update = situation.old.is_some();
    let own = own.or_else(|| own::declared(situation.new, situation.generation, None).filter(|_| is_update));
    let Some((declared, invalid)) = own else { return };
    if invalid.is_empty() {
        verdict.denials.extend(own::conflicts(&declared, situation.place.above));
    } else {
        verdict.denials.extend(invalid);
    }
    if is_update && verdict.is_allowed() {
        verdict.warnings.extend(subtree::examine(situation, declared));
    }
}

fn keys(manifest: &Manifest) -> &[tetrarch_crds::orchestrator::SigningKey] {
    match manifest {
        Manifest::Orchestrator(object) => &object.spec.signing_keys,
        _ => &[],
    }
}

/// How what is held goes on, told to whoever wrote it.
fn notice(situation: &Situation<'_>, verdict: &Verdict) -> Option<Finding> {
    if verdict.held.is_empty() || !verdict.is_allowed() {
        return None;
    }
    let (review, generation) = (situation.review, situation.generation);
    let resource = review.kind.as_str().to_lowercase();
    let namespace = if review.namespace.is_empty() { String::new() } else { format!(" -n {}", review.namespace) };
    Some(Finding::warned(
        Code::Approval,
        "metadata.generation",
        format!("nothing of generation {generation} runs until it is approved"),
        format!(
            "an approver runs kubectl annotate{namespace} {resource} {} {}={generation} --overwrite",
            review.name,
            crate::names::ANNOTATION_APPROVE
        ),
    ))
}

/// Whoever may only approve has the verb patch; to change the spec takes the verb update.
fn update_right(situation: &Situation<'_>) -> Option<Check> {
    let review = situation.review;
    (review.is_patch && review.operation == Operation::Update && situation.has_new_spec).then(|| Check {
        verb: "update",
        kind: review.kind,
        namespace: review.namespace.clone(),
        name: review.name.clone(),
        otherwise: Finding::denied(
            Code::Permission,
            "spec",
            format!("user {:?} may patch {} {:?}, but not change its spec", review.user.name, review.kind, review.name),
            "have the verb update granted, or ask somebody who has it",
        ),
    })
}

fn deletion(name: &str, index: &Index) -> Verdict {
    const LISTED: usize = 5;
    let domains = index.living_domains(name);
    let count = domains.len();
    if count == 0 {
        return Verdict::default();
    }
    let names: Vec<&str> = domains.take(LISTED).collect();
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    let s = if count == 1 { "" } else { "s" };
    Verdict::refused(Finding::denied(
        Code::Deletion,
        "metadata.name",
        format!("Orchestrator {name:?} still has {count} Domain{s} ({}{more})", names.join(", ")),
        format!("delete them first, with kubectl delete domain {}", names.join(" ")),
    ))
}

/// A new number of agents of a pool. It cannot be held, because there is nothing to write a mark on.
fn scale(review: &Review, replicas: i32, version: Option<&str>, index: &Index) -> Verdict {
    let node = index.space(&review.namespace).and_then(|space| space.pool(&review.name));
    let Some(node) = node.filter(|_| review.kind == Kind::AgentPool) else {
        return Verdict::refused(Finding::denied(
            Code::Reference,
            "metadata.name",
            format!("{} {:?} is not known here yet", review.kind, review.name),
            "try again in a second",
        ));
    };
    let old = node.object();
    let mut pool = old.clone();
    pool.spec.replicas = Some(replicas);
    let new = Manifest::AgentPool(Box::new(pool.clone()));
    let place = super::place::Place::of(&new, &review.namespace, index);
    let effective = node.chain().effective(&Subject { kind: Kind::AgentPool, labels: old.labels() });
    let standard = Standard {
        effective: &effective,
        orchestrator: place.orchestrator.map(|node| &node.object().spec),
        keys: place.orchestrator.map(OrchestratorNode::keys),
        domain: place.domain.map(DomainNode::document),
        write: None,
    };
    // Only what the number makes worse is its own.
    let before = examine::examine(&Manifest::AgentPool(Box::new(old.clone())), &standard);
    let found = examine::examine(&new, &standard).into_iter().filter(|finding| !before.contains(finding)).collect();
    let mut verdict = pods::sorted(found);
    for mut finding in std::mem::take(&mut verdict.held) {
        finding.remedy =
            format!("{}; to have it approved, write spec.replicas of the AgentPool itself", finding.remedy);
        verdict.denials.push(finding);
    }
    if let Some(orchestrator) = place.orchestrator {
        let limit = orchestrator.object().spec.hierarchy.max_agents_per_supervisor;
        verdict.denials.extend(count::pool(&pool, Some(old), &orchestrator.object().name_any(), limit, index));
    }
    verdict.record = effective.required(&Requirement::Audit).is_some();
    let old = Manifest::AgentPool(Box::new(old.clone()));
    verdict.booking = booking::booking(&new, Some(&old), &place, index).map(|booking| settled(booking, &old, version));
    verdict
}

/// A scale does not say which generation it starts from. It is known when the version is the one in the index; otherwise
/// the claim names none that could ever be seen, so that it ends by its time only.
fn settled(booking: Booking, old: &Manifest, version: Option<&str>) -> Booking {
    let is_known = version.is_some() && old.metadata().resource_version.as_deref() == version;
    let base = if is_known { booking.claim.base } else { Some(UNKNOWN_GENERATION) };
    Booking { claim: Claim { base, ..booking.claim }, ..booking }
}
