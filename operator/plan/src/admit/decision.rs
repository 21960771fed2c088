//! The protocol of decisions about steps that wait for a person: who may decide, about which question, and which hand may
//! write the record.
//!
//! A person writes the id of the question to `tetrarch.dev/approve-step` or `tetrarch.dev/reject-step`, with the reason behind a
//! space, so that no reason can be taken for that of another decision. What waits is read from the status of the stored
//! object, which only the operator writes. The mutating review stamps who, when and why into `tetrarch.dev/decisions`; the validating
//! one lets no other hand write it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tetrarch_core::workflow::approval::Decision;
use tetrarch_crds::{Workflow, workflow::WaitingStatus};
use tetrarch_protocol::snapshot::StepDecision;

use super::{
    approval::{Standing, standing},
    finding::{Code, Finding},
    hold::{Outcome, list},
    review::Manifest,
    situation::Situation,
    verdict::Check,
};
use crate::{
    hierarchy::namespace_of,
    names::{self, ANNOTATION_APPROVE_STEP, ANNOTATION_DECISIONS, ANNOTATION_REJECT_STEP},
    reconcile::workflow::waiting::stamped,
};

/// Decisions that are kept on the object; those about what still waits are never given up.
const KEPT: usize = 32;

/// Longest reason, in characters.
const LONGEST_REASON: usize = 1024;

/// How old a stamp may be when it is validated, and how far clocks of replicas may be apart.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

type Annotations = BTreeMap<String, String>;

/// What somebody asks for.
struct Request<'r> {
    field: String,
    approved: bool,
    id: &'r str,
    reason: Option<&'r str>,
}

/// What comes of a request that may be granted.
enum Granted {
    /// It is a new decision.
    New(StepDecision),
    /// The same was decided before; the sentence says by whom.
    Again(String),
}

fn field(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}

fn denied(code: Code, field: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::denied(code, field, problem, remedy))
}

/// The requests that are new in this write.
fn requests<'r>(new: Option<&'r Annotations>, old: Option<&Annotations>) -> Vec<Request<'r>> {
    [(ANNOTATION_APPROVE_STEP, true), (ANNOTATION_REJECT_STEP, false)]
        .into_iter()
        .filter_map(|(key, approved)| {
            let text = new?.get(key)?;
            if old.and_then(|old| old.get(key)) == Some(text) {
                return None;
            }
            let (id, reason) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
            let reason = Some(reason.trim()).filter(|reason| !reason.is_empty());
            Some(Request { field: field(key), approved, id, reason })
        })
        .collect()
}

/// The decisions that are kept when one is added.
fn with(mut decisions: Vec<StepDecision>, new: StepDecision, waiting: &[WaitingStatus]) -> Vec<StepDecision> {
    let open: BTreeSet<&str> = waiting.iter().map(|question| question.id.as_str()).collect();
    decisions.push(new);
    let mut too_many = decisions.len().saturating_sub(KEPT);
    decisions.retain(|decision| {
        let is_dropped = too_many > 0 && !open.contains(names::question_of(decision).as_str());
        too_many -= usize::from(is_dropped);
        !is_dropped
    });
    decisions
}

impl Situation<'_> {
    fn workflows(&self) -> Option<(&Workflow, Option<&Workflow>)> {
        let (Manifest::Workflow(new), old) = (self.new, self.old) else { return None };
        match old {
            Some(Manifest::Workflow(old)) => Some((new, Some(old))),
            _ => Some((new, None)),
        }
    }

    /// Stamps what is decided, and keeps what was.
    pub(super) fn mark_decisions(&self, outcome: &mut Outcome) {
        let Some((new, Some(old))) = self.workflows() else { return };
        let (new, before) = (new.metadata.annotations.as_ref(), old.metadata.annotations.as_ref());
        let kept = before.and_then(|annotations| annotations.get(ANNOTATION_DECISIONS));
        if let Some(kept) = kept.filter(|_| new.is_none_or(|new| !new.contains_key(ANNOTATION_DECISIONS))) {
            self.set(ANNOTATION_DECISIONS, Some(kept.clone()), &mut outcome.patch);
        }
        match self.decision(old, requests(new, before), &mut outcome.checks) {
            Ok(Some(Granted::New(decision))) => {
                let waiting = old.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
                let all = with(stamped(before), decision.clone(), waiting);
                self.set(ANNOTATION_DECISIONS, Some(json!(all).to_string()), &mut outcome.patch);
                outcome.decision = Some(decision);
            }
            Ok(_) => {}
            Err(finding) => outcome.denials.push(*finding),
        }
    }

    /// Validates the record: it is what the mutating review writes, or as it was.
    pub(super) fn check_decisions(&self, outcome: &mut Outcome) {
        let Some((new, old)) = self.workflows() else { return };
        let before = old.and_then(|old| old.metadata.annotations.as_ref());
        let after = new.metadata.annotations.as_ref();
        let requests = requests(after, before);
        let get = |annotations: Option<&Annotations>| annotations?.get(ANNOTATION_DECISIONS).cloned();
        let is_same = get(after) == get(before);
        let Some(old) = old else {
            if !is_same {
                outcome.denials.push(*by_hand());
            }
            if let Some(request) = requests.first() {
                let problem = "decides nothing, because the object is only now created";
                let remedy = "decide when a step of a run waits";
                outcome.warnings.push(Finding::warned(Code::Approval, request.field.clone(), problem, remedy));
            }
            return;
        };
        match self.decision(old, requests, &mut outcome.checks) {
            Ok(Some(Granted::New(expected))) => {
                let waiting = old.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
                let stamps = stamped(after);
                // The time is that of the mutating review.
                let is_ours = stamps.last().is_some_and(|stamp| {
                    let at = stamp.decision.at;
                    let mut wanted = expected.clone();
                    wanted.decision.at = at;
                    self.now.duration_since(at).abs() <= FRESH && stamps == with(stamped(before), wanted, waiting)
                });
                if !is_ours {
                    outcome.denials.push(*by_hand());
                }
            }
            Ok(again) => {
                if !is_same {
                    outcome.denials.push(*by_hand());
                }
                if let Some(Granted::Again(said)) = again {
                    let remedy = "leave it as it is";
                    let field = field(ANNOTATION_DECISIONS);
                    outcome.warnings.push(Finding::warned(Code::Approval, field, said, remedy));
                }
            }
            Err(finding) => outcome.denials.push(*finding),
        }
    }

    /// What is decided by this write; none when nothing is asked for.
    fn decision(
        &self,
        old: &Workflow,
        mut requests: Vec<Request<'_>>,
        checks: &mut Vec<Check>,
    ) -> Result<Option<Granted>, Box<Finding>> {
        let Some(request) = requests.pop() else { return Ok(None) };
        if !requests.is_empty() {
            let problem = format!("is set together with {ANNOTATION_APPROVE_STEP}");
            return Err(denied(Code::Approval, &request.field, problem, "write one decision at a time"));
        }
        let waiting = old.status.as_ref().map(|status| status.waiting.as_slice()).unwrap_or_default();
        let stamps = stamped(old.metadata.annotations.as_ref());
        if let Some(before) = stamps.iter().find(|stamp| names::question_of(stamp) == request.id) {
            let said = format!("{} was {} at {}", request.id, before.decision, before.decision.at);
            return if before.decision.approved == request.approved {
                Ok(Some(Granted::Again(said)))
            } else {
                Err(denied(
                    Code::Approval,
                    &request.field,
                    said,
                    "leave it out, a decision stands; to undo it, cancel the run",
                ))
            };
        }
        let question = self.question(&request, waiting)?;
        if let Standing::Held(held) = standing(&old.metadata) {
            let problem =
                format!("generation {} of the Workflow is held, so that nothing is handed over", held.generation);
            return Err(denied(
                Code::Approval,
                &request.field,
                problem,
                "have that generation approved or changed first",
            ));
        }
        if question.until.0 <= self.now {
            let problem = format!("is about {}, whose time was over at {}", request.id, question.until.0);
            return Err(denied(Code::Approval, &request.field, problem, "look at what the run does now"));
        }
        if question.require_reason && request.reason.is_none() {
            let remedy = format!("write it behind the id, as in {:?}", format!("{} because …", request.id));
            return Err(denied(Code::Approval, &request.field, "has no reason, and one is required", remedy));
        }
        let length = request.reason.map_or(0, |reason| reason.chars().count());
        if length > LONGEST_REASON {
            let problem = format!("has a reason of {length} characters");
            return Err(denied(Code::Approval, &request.field, problem, format!("write at most {LONGEST_REASON}")));
        }
        self.check_decider(question, &request, checks)?;
        self.stamp(&request).map(|stamp| Some(Granted::New(stamp)))
    }

    /// The question that the request is about, or why there is none.
    fn question<'w>(
        &self,
        request: &Request<'_>,
        waiting: &'w [WaitingStatus],
    ) -> Result<&'w WaitingStatus, Box<Finding>> {
        if let Some(found) = waiting.iter().find(|question| question.id == request.id) {
            return Ok(found);
        }
        let place = |id: &str| id.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
        let (problem, remedy) = match waiting.iter().find(|question| place(&question.id) == place(request.id)) {
            Some(other) => (
                format!("is about {:?}, but what waits of that step is {:?}", request.id, other.id),
                "look at it again, and write that id".to_owned(),
            ),
            None if waiting.is_empty() => (
                format!("is about {:?}, but no step of this Workflow waits for a decision", request.id),
                format!("look at it with kubectl tetrarch get workflow {}", self.review.name),
            ),
            None => {
                let ids: Vec<&str> = waiting.iter().take(5).map(|question| question.id.as_str()).collect();
                (
                    format!("is about {:?}, which does not wait for a decision", request.id),
                    format!("write one of {}, as in status.waiting", ids.join(", ")),
                )
            }
        };
        Err(denied(Code::Approval, &request.field, problem, remedy))
    }

    /// Whoever decides needs the right to approve the Workflow, and must be one of the step's approvers where it names some.
    fn check_decider(
        &self,
        question: &WaitingStatus,
        request: &Request<'_>,
        checks: &mut Vec<Check>,
    ) -> Result<(), Box<Finding>> {
        let user = &self.review.user;
        let namespace =
            self.place.domain.map_or_else(|| self.review.namespace.clone(), |domain| namespace_of(domain.object()));
        let is_named = question.approvers.iter().any(|subject| user.is(subject, &namespace));
        if !question.approvers.is_empty() && !is_named {
            let problem = format!("user {:?} may not decide about {}", user.name, request.id);
            let remedy = format!("ask one of its approvers ({})", list(&question.approvers));
            return Err(denied(Code::Permission, &request.field, problem, remedy));
        }
        let remedy = "have the verb approve granted, for example as an approver of the Domain";
        checks.push(Check::to_approve(self.review, request.field.clone(), remedy));
        Ok(())
    }

    fn stamp(&self, request: &Request<'_>) -> Result<StepDecision, Box<Finding>> {
        let unreadable = || denied(Code::Approval, &request.field, "is no id", "write one of status.waiting");
        let [run, step, attempt, generation] = request.id.split('/').collect::<Vec<_>>()[..] else {
            return Err(unreadable());
        };
        let decision = Decision {
            approved: request.approved,
            by: self.review.user.name.clone(),
            at: Timestamp::from_second(self.now.as_second()).unwrap_or(self.now),
            reason: request.reason.map(str::to_owned),
        };
        Ok(StepDecision {
            run: run.parse().map_err(|_| unreadable())?,
            step: step.parse().map_err(|_| unreadable())?,
            attempt: attempt.parse().map_err(|_| unreadable())?,
            generation: generation.parse().map_err(|_| unreadable())?,
            decision,
        })
    }
}

fn by_hand() -> Box<Finding> {
    denied(
        Code::Approval,
        &field(ANNOTATION_DECISIONS),
        "is written by hand, but only the webhook writes it, with the user that it knows",
        format!(
            "leave it out; to decide, write the id of what waits to {ANNOTATION_APPROVE_STEP} or {ANNOTATION_REJECT_STEP}"
        ),
    )
}
