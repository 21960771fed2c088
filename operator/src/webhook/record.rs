//! What is remembered of a decision, and how it is told apart from others.

use jiff::Timestamp;
use tetrarch_core::policy::Kind;
use tetrarch_plan::{
    admit::{Finding, Mutation, Operation, Review, Verdict, finding, review::Target, verdict::Change},
    names,
};
use tetrarch_protocol::{
    audit::{Entry, VERSION},
    request::Stamped,
    snapshot::StepDecision,
};

/// Longest note of an Event, in bytes.
const NOTE_LENGTH: usize = 1000;

/// How a request was decided, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Admitted without anything to tell.
    Admitted,
    /// Admitted; something is only recorded.
    Audited,
    /// Admitted; the writer is warned.
    Warned,
    /// Admitted, and with it the approval of a generation.
    Approved,
    /// Admitted, and with it a yes to a step that waits.
    StepApproved,
    /// Admitted, and with it a no to a step that waits.
    StepRejected,
    /// Admitted, and with it what somebody asks of runs.
    Requested,
    /// Admitted, but held until somebody approves it.
    Held,
    /// Refused.
    Denied,
}

impl Decision {
    /// The label in metrics and records.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Audited => "audited",
            Self::Warned => "warned",
            Self::Approved => "approved",
            Self::StepApproved => "step-approved",
            Self::StepRejected => "step-rejected",
            Self::Requested => "requested",
            Self::Held => "held",
            Self::Denied => "denied",
        }
    }

    /// The reason of the Event.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Admitted => "Admitted",
            Self::Audited => "PolicyAudited",
            Self::Warned => "PolicyWarned",
            Self::Approved => "Approved",
            Self::StepApproved => "StepApproved",
            Self::StepRejected => "StepRejected",
            Self::Requested => "Requested",
            Self::Held => "ApprovalRequired",
            Self::Denied => "Denied",
        }
    }

    /// Of a validating review.
    pub fn of(verdict: &Verdict) -> Self {
        let found = [
            (!verdict.denials.is_empty(), Self::Denied),
            (!verdict.held.is_empty(), Self::Held),
            (!verdict.warnings.is_empty(), Self::Warned),
            (!verdict.audits.is_empty(), Self::Audited),
        ];
        found.into_iter().find_map(|(is, decision)| is.then_some(decision)).unwrap_or(Self::Admitted)
    }

    /// Of a mutating review; none if the validating one will say all there is to say.
    pub fn of_mutation(mutation: &Mutation) -> Option<Self> {
        if !mutation.denials.is_empty() {
            return Some(Self::Denied);
        }
        if let Some(decided) = &mutation.decision {
            return Some(if decided.decision.approved { Self::StepApproved } else { Self::StepRejected });
        }
        let approval = format!("/metadata/annotations/{}", names::ANNOTATION_APPROVAL.replace('/', "~1"));
        let is_approval = |change: &Change| matches!(change, Change::Add { path, .. } if *path == approval);
        let approved = mutation.patch.iter().any(is_approval).then_some(Self::Approved);
        approved.or_else(|| (!mutation.asked.is_empty()).then_some(Self::Requested))
    }
}

/// Where records go beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Events of Kubernetes.
    Event,
    /// The audit stream on the bus.
    Bus,
}

impl Sink {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Bus => "bus",
        }
    }
}

/// A decision that is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Id of the request.
    pub id: String,
    /// When it was decided.
    pub at: Timestamp,
    /// How.
    pub decision: Decision,
    /// What was done.
    pub operation: Operation,
    /// Kind of the object.
    pub kind: Kind,
    /// Its namespace; empty for kinds of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid, if it has one yet.
    pub uid: Option<String>,
    /// Name of the writer.
    pub user: String,
    /// Groups of the writer.
    pub groups: Vec<String>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was decided about a step of a run.
    pub step: Option<StepDecision>,
    /// What was asked of runs.
    pub requests: Vec<Stamped>,
}

impl Record {
    /// The record of a review.
    pub fn new(id: &str, at: Timestamp, decision: Decision, review: &Review, findings: Vec<Finding>) -> Self {
        Self {
            id: id.to_owned(),
            at,
            decision,
            operation: review.operation,
            kind: review.kind,
            namespace: review.namespace.clone(),
            name: review.name.clone(),
            uid: stored_uid(&review.target),
            user: review.user.name.clone(),
            groups: review.user.groups.clone(),
            findings,
            step: None,
            requests: Vec::new(),
        }
    }

    /// The same record with what was decided about a step.
    #[must_use]
    pub fn with_step(self, step: Option<StepDecision>) -> Self {
        Self { step, ..self }
    }

    /// The same record with what was asked of runs.
    #[must_use]
    pub fn with_requests(self, requests: Vec<Stamped>) -> Self {
        Self { requests, ..self }
    }

    /// What people read.
    pub fn message(&self) -> String {
        if let Some(step) = &self.step {
            let StepDecision { run, step, attempt, generation, decision } = step;
            return format!("step {step} of run {run}, attempt {attempt}, generation {generation}, was {decision}");
        }
        match (self.decision, self.findings.is_empty()) {
            (_, false) => finding::message(&self.findings),
            (Decision::Requested, true) => {
                let asked: Vec<String> =
                    self.requests.iter().map(|asked| format!("{} {}", asked.ask.as_str(), asked.of)).collect();
                format!("{} asked: {}", self.user, asked.join(", "))
            }
            (Decision::Approved, true) => format!("{} approved this generation", self.user),
            (_, true) => format!("{} by {} was admitted", self.operation.as_str(), self.user),
        }
    }

    /// The note of an Event: the message, cut to the length that is allowed.
    pub fn note(&self) -> String {
        let mut note = self.message();
        if note.len() > NOTE_LENGTH {
            let end = (0..=NOTE_LENGTH - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
            note.truncate(end);
            note.push_str("...");
        }
        note
    }

    /// The entry of the audit stream.
    pub fn entry(&self) -> Entry {
        Entry {
            version: VERSION,
            id: self.id.clone(),
            at: self.at,
            decision: self.decision.label().to_owned(),
            operation: self.operation.as_str().to_owned(),
            kind: self.kind.as_str().to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            user: self.user.clone(),
            groups: self.groups.clone(),
            findings: self.findings.iter().filter_map(|finding| serde_json::to_value(finding).ok()).collect(),
            step: self.step.clone(),
            requests: self.requests.clone(),
        }
    }
}

/// The uid of an object that is stored already.
fn stored_uid(target: &Target) -> Option<String> {
    let Target::Whole { old: Some(old), .. } = target else { return None };
    Some(old.document().pointer("/metadata/uid")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tetrarch_plan::admit::Code;

    use super::*;

    fn finding() -> Finding {
        Finding::denied(Code::Limit, "spec", "\u{e9}".repeat(1200), "write less")
    }

    #[test]
    fn the_strictest_outcome_names_the_decision() {
        let all = Verdict {
            denials: vec![finding()],
            held: vec![finding()],
            warnings: vec![finding()],
            audits: vec![finding()],
            ..Verdict::default()
        };
        assert_eq!(Decision::of(&all), Decision::Denied);
        assert_eq!(Decision::of(&Verdict { denials: vec![], ..all.clone() }), Decision::Held);
        assert_eq!(Decision::of(&Verdict { denials: vec![], held: vec![], ..all }), Decision::Warned);
        assert_eq!(Decision::of(&Verdict::default()), Decision::Admitted);
    }

    #[test]
    fn a_stamp_of_an_approval_is_a_decision_and_other_changes_are_none() {
        let add = |key: &str| Mutation {
            patch: vec![Change::Add { path: format!("/metadata/annotations/tetrarch.dev~1{key}"), value: json!("x") }],
            ..Mutation::default()
        };
        assert_eq!(Decision::of_mutation(&add("approval")), Some(Decision::Approved));
        assert_eq!(Decision::of_mutation(&add("held")), None);
        assert_eq!(Decision::of_mutation(&Mutation::default()), None);
    }

    #[test]
    fn what_is_asked_of_runs_is_told_with_who_asked() {
        let review = Review {
            operation: Operation::Update,
            kind: Kind::Workflow,
            namespace: "compliance".to_owned(),
            name: "audit".to_owned(),
            target: Target::Whole { new: None, old: None },
            user: tetrarch_plan::admit::User { name: "ada".to_owned(), ..Default::default() },
            is_patch: true,
            dry_run: false,
        };
        let stamp = tetrarch_core::workflow::stamp::Stamp { by: "ada".to_owned(), at: Timestamp::UNIX_EPOCH };
        let of = "audit-0a1b2-g1".to_owned();
        let asked = vec![Stamped { ask: tetrarch_protocol::request::Ask::Cancel, of, stamp }];
        let mutation = Mutation { asked: asked.clone(), ..Mutation::default() };
        let decision = Decision::of_mutation(&mutation).unwrap();
        let record =
            Record::new("1", Timestamp::UNIX_EPOCH, decision, &review, Vec::new()).with_requests(mutation.asked);
        assert_eq!((decision.label(), record.message().as_str()), ("requested", "ada asked: cancel audit-0a1b2-g1"));
        assert_eq!(record.entry().requests, asked);
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let record = Record {
            id: "1".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            decision: Decision::Denied,
            operation: Operation::Create,
            kind: Kind::AgentPool,
            namespace: "compliance".to_owned(),
            name: "classifier".to_owned(),
            uid: None,
            user: "ada".to_owned(),
            groups: Vec::new(),
            findings: vec![finding()],
            step: None,
            requests: Vec::new(),
        };
        let note = record.note();
        assert!(note.len() <= NOTE_LENGTH && note.ends_with("\u{e9}..."), "{note}");
        assert_eq!(record.entry().findings[0]["code"], "Limit");
    }
}
