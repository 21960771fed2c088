//! The protocol of approvals: who may approve what is held, and which hand may write the marks.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube_core::ResourceExt;
use serde_json::json;
use tetrarch_crds::shared::{Approved, Subject};
use tetrarch_protocol::{request::Stamped, snapshot::StepDecision};

use super::{
    approval::{self, Held, HeldBy},
    finding::{Code, Finding},
    index::DomainNode,
    pods::sorted,
    situation::Situation,
    verdict::{Change, Check},
};
use crate::{
    hierarchy::namespace_of,
    names::{ANNOTATION_APPROVAL, ANNOTATION_APPROVE, ANNOTATION_APPROVE_REASON, ANNOTATION_HELD},
};

/// How old a stamp may be when it is validated, and how far clocks of replicas may be apart.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

/// What came of looking at the approvals of a write.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) denials: Vec<Finding>,
    pub(super) checks: Vec<Check>,
    pub(super) warnings: Vec<Finding>,
    pub(super) patch: Vec<Change>,
    pub(super) decision: Option<StepDecision>,
    pub(super) asked: Vec<Stamped>,
}

type Annotations = BTreeMap<String, String>;

fn field(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}

fn get<'a>(annotations: Option<&'a Annotations>, key: &str) -> Option<&'a str> {
    annotations?.get(key).map(String::as_str)
}

impl Situation<'_> {
    fn new_annotations(&self) -> Option<&Annotations> {
        self.new.metadata().annotations.as_ref()
    }

    fn old_annotations(&self) -> Option<&Annotations> {
        self.old?.metadata().annotations.as_ref()
    }

    /// The generation that is newly asked to be approved.
    fn request(&self) -> Option<&str> {
        let request = get(self.new_annotations(), ANNOTATION_APPROVE)?;
        (get(self.old_annotations(), ANNOTATION_APPROVE) != Some(request)).then_some(request)
    }

    /// Whether somebody has approved the generation that the object will have.
    pub(super) fn is_approved(&self) -> bool {
        approval::approval(self.new_annotations()).is_some_and(|approval| approval.generation == self.generation)
            && approval::held(self.old_annotations()).is_some_and(|held| held.generation == self.generation)
    }

    /// Marks what is held, and stamps what is approved.
    pub(super) fn mark(&self, held: &[Finding]) -> Outcome {
        let mut outcome = Outcome::default();
        let mark = if self.is_governed {
            let held = (!held.is_empty()).then(|| Held::new(self.generation, held));
            held.and_then(|held| serde_json::to_string(&held).ok())
        } else {
            get(self.old_annotations(), ANNOTATION_HELD).map(str::to_owned)
        };
        self.set(ANNOTATION_HELD, mark, &mut outcome.patch);
        if let (Some(old), None) =
            (get(self.old_annotations(), ANNOTATION_APPROVAL), get(self.new_annotations(), ANNOTATION_APPROVAL))
        {
            self.set(ANNOTATION_APPROVAL, Some(old.to_owned()), &mut outcome.patch);
        }
        if let Some(request) = self.request().filter(|_| self.old.is_some()) {
            match self.approve(request, &mut outcome) {
                Ok(stamp) => self.set(ANNOTATION_APPROVAL, Some(stamp), &mut outcome.patch),
                Err(finding) => outcome.denials.push(*finding),
            }
        }
        self.mark_decisions(&mut outcome);
        self.mark_requests(&mut outcome);
        outcome
    }

    fn approve(&self, request: &str, outcome: &mut Outcome) -> Result<String, Box<Finding>> {
        let held = self.approvable(request)?;
        self.check_approver(&held, outcome);
        let reason = get(self.new_annotations(), ANNOTATION_APPROVE_REASON).map(str::to_owned);
        let at = self.now.round(jiff::Unit::Second).unwrap_or(self.now).to_string();
        let stamp = Approved { generation: self.generation, by: self.review.user.name.clone(), at, reason };
        Ok(json!(stamp).to_string())
    }

    /// What is held and asked to be approved, or why there is nothing to approve.
    fn approvable(&self, request: &str) -> Result<Held, Box<Finding>> {
        let field = field(ANNOTATION_APPROVE);
        let current = self.old.map_or(0, |old| old.metadata().generation.unwrap_or_default());
        let denied =
            |problem: String, remedy: String| Box::new(Finding::denied(Code::Approval, &field, problem, remedy));
        if self.is_governed {
            let problem = "is set together with another change, which nobody can have looked at".to_owned();
            return Err(denied(
                problem,
                "change the object first, and approve the generation that comes of it".to_owned(),
            ));
        }
        if request.parse() != Ok(current) {
            return Err(denied(
                format!("is {request:?}, but the generation is {current}"),
                format!("look at it and write {current:?}", current = current.to_string()),
            ));
        }
        let marked = approval::held(self.old_annotations()).filter(|held| held.generation == current);
        marked.or_else(|| self.unmarked(current)).ok_or_else(|| {
            denied(format!("is {request:?}, but nothing holds that generation"), "leave it out".to_owned())
        })
    }

    /// What holds an object that was written while nobody marked it.
    fn unmarked(&self, generation: i64) -> Option<Held> {
        let own = self.own();
        let effective = self.effective(own.as_ref().map(|(own, _)| own));
        let held = sorted(self.examine(&effective)).held;
        (!held.is_empty()).then(|| Held::new(generation, &held))
    }

    /// Whether the writer may approve, for every policy that holds: its own approvers, else those of the Domain, else
    /// whoever has the verb.
    fn check_approver(&self, held: &Held, outcome: &mut Outcome) {
        let user = &self.review.user;
        let domain = self.place.domain.map(DomainNode::object);
        let namespace = domain.map_or_else(|| self.review.namespace.clone(), namespace_of);
        let of_domain = domain.map(|domain| domain.spec.members.approvers.as_slice()).filter(|all| !all.is_empty());
        let own = self.own();
        let mut needs_check = held.policies.is_empty() && of_domain.is_none();
        let nobody = HeldBy::default_of(self.place.domain.map(|domain| domain.object().name_any()));
        let policies = if held.policies.is_empty() { std::slice::from_ref(&nobody) } else { &held.policies };
        for policy in policies {
            let of_policy = self.place.above.approvers(policy);
            let of_policy = of_policy.or_else(|| {
                let (own, _) = own.as_ref()?;
                policy.is_of(own.layer()).then(|| own.approvers(&policy.policy)).flatten()
            });
            match of_policy.or(of_domain) {
                None => needs_check = true,
                Some(approvers) if approvers.iter().any(|subject| user.is(subject, &namespace)) => {}
                Some(approvers) => outcome.denials.push(Finding::denied(
                    Code::Permission,
                    field(ANNOTATION_APPROVE),
                    format!("user {:?} may not approve what {policy} holds", user.name),
                    format!("ask one of its approvers ({})", list(approvers)),
                )),
            }
        }
        if needs_check {
            let remedy = "ask an approver, or have the verb approve granted";
            outcome.checks.push(Check::to_approve(self.review, field(ANNOTATION_APPROVE), remedy));
        }
    }

    /// Validates the marks: they are what the mutating review writes, or as they were.
    pub(super) fn check_marks(&self, held: &[Finding]) -> Outcome {
        let mut outcome = Outcome::default();
        self.check_held(held, &mut outcome);
        let (new, old) =
            (get(self.new_annotations(), ANNOTATION_APPROVAL), get(self.old_annotations(), ANNOTATION_APPROVAL));
        if new != old && new.is_some() {
            self.check_stamp(&mut outcome);
        }
        self.check_decisions(&mut outcome);
        self.check_requests(&mut outcome);
        if self.old.is_none() && self.request().is_some() {
            outcome.warnings.push(Finding::warned(
                Code::Approval,
                field(ANNOTATION_APPROVE),
                "approves nothing, because the object is only now created",
                "approve it when it is stored and held",
            ));
        }
        outcome
    }

    fn check_held(&self, held: &[Finding], outcome: &mut Outcome) {
        let mark = approval::held(self.new_annotations());
        let is_right = if self.is_governed {
            let wanted = Held::new(self.generation, held);
            held.is_empty()
                || mark.is_some_and(|mark| mark.generation == wanted.generation && mark.policies == wanted.policies)
        } else {
            get(self.new_annotations(), ANNOTATION_HELD) == get(self.old_annotations(), ANNOTATION_HELD)
        };
        if !is_right {
            outcome.denials.push(Finding::denied(
                Code::Approval,
                field(ANNOTATION_HELD),
                "does not say what holds the object, because it was written by hand or a policy has changed just now",
                "leave it out, and try again",
            ));
        }
    }

    fn check_stamp(&self, outcome: &mut Outcome) {
        let request = get(self.new_annotations(), ANNOTATION_APPROVE).filter(|_| self.old.is_some());
        let stamp = approval::approval(self.new_annotations());
        let is_ours = stamp.is_some_and(|stamp| {
            let at: Option<Timestamp> = stamp.at.parse().ok();
            let is_fresh = at.is_some_and(|at| self.now.duration_since(at).abs() <= FRESH);
            stamp.generation == self.generation && stamp.by == self.review.user.name && is_fresh
        });
        let Some(request) = request.filter(|_| is_ours) else {
            outcome.denials.push(Finding::denied(
                Code::Approval,
                field(ANNOTATION_APPROVAL),
                "is written by hand, but only the webhook writes it, with the user that it knows",
                format!("leave it out; to approve, write the generation to {ANNOTATION_APPROVE}"),
            ));
            return;
        };
        match self.approvable(request) {
            Ok(held) => self.check_approver(&held, outcome),
            Err(finding) => outcome.denials.push(*finding),
        }
    }

    /// Sets or removes an annotation, when it is not as wanted already.
    pub(super) fn set(&self, key: &str, value: Option<String>, patch: &mut Vec<Change>) {
        if get(self.new_annotations(), key) == value.as_deref() {
            return;
        }
        let is_first = self.new_annotations().is_none_or(BTreeMap::is_empty) && patch.is_empty();
        let pointer = format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
        match value {
            Some(text) if is_first => {
                patch.push(Change::Add { path: "/metadata/annotations".to_owned(), value: json!({ key: text }) });
            }
            Some(text) => patch.push(Change::Add { path: pointer, value: json!(text) }),
            None => patch.push(Change::Remove { path: pointer }),
        }
    }
}

pub(super) fn list(subjects: &[Subject]) -> String {
    subjects.iter().map(|subject| format!("{:?} {:?}", subject.kind, subject.name)).collect::<Vec<_>>().join(", ")
}
