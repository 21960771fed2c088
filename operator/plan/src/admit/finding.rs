//! What is wrong with a write, and the one sentence in which every channel tells it.

use std::fmt;

use serde::Serialize;
use tetrarch_core::policy::{Action, Level, Origin};

use crate::violation::Violation;

/// What kind of thing is wrong; bounded, so that it can be the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Code {
    /// The spec is invalid in itself.
    InvalidSpec,
    /// A number is above a limit.
    Limit,
    /// A name is not allowed.
    Allowance,
    /// Something required is missing.
    Requirement,
    /// A rule does not hold.
    Rule,
    /// A policy declares something looser than the levels above.
    Looser,
    /// A policy admits nothing or does nothing.
    Contradiction,
    /// There are too many objects of a kind below one parent.
    Hierarchy,
    /// More is declared than the levels above can give.
    Capacity,
    /// Something needs an approval, or an approval is not valid.
    Approval,
    /// The writer lacks a permission.
    Permission,
    /// Something that others need cannot be deleted.
    Deletion,
    /// A pod claims to be what it is not, or may not be here.
    Pod,
    /// Something refers to what is not there.
    Reference,
    /// Objects below do not comply with what is written.
    Subtree,
}

impl Code {
    /// The word for metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSpec => "InvalidSpec",
            Self::Limit => "Limit",
            Self::Allowance => "Allowance",
            Self::Requirement => "Requirement",
            Self::Rule => "Rule",
            Self::Looser => "Looser",
            Self::Contradiction => "Contradiction",
            Self::Hierarchy => "Hierarchy",
            Self::Capacity => "Capacity",
            Self::Approval => "Approval",
            Self::Permission => "Permission",
            Self::Deletion => "Deletion",
            Self::Pod => "Pod",
            Self::Reference => "Reference",
            Self::Subtree => "Subtree",
        }
    }
}

/// One thing that is wrong, or worth to be told, about a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// What follows from it.
    pub action: Action,
    /// The field, such as `spec.scaling.max`.
    pub field: String,
    /// The offending value as a manifest holds it, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong, such as `is 80`.
    pub problem: String,
    /// The policy behind it, with its level, object and generation; none for what holds without any policy.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What that policy says, such as `allows at most 50 agents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// What would be admitted, such as `write 50 or less`. Empty when the problem says it already.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    /// Something that is refused whatever the policies say.
    pub fn denied(code: Code, field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            action: Action::Deny,
            field: field.into(),
            value: None,
            problem: problem.into(),
            origin: None,
            bound: None,
            remedy: remedy.into(),
        }
    }

    /// Something that the writer is told and that stops nothing.
    pub fn warned(code: Code, field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { action: Action::Warn, ..Self::denied(code, field, problem, remedy) }
    }
}

/// What a policy says against a value.
#[derive(Clone, Debug)]
pub struct Against<'a> {
    /// What kind of thing.
    pub code: Code,
    /// What follows from it.
    pub action: Action,
    /// The policy.
    pub origin: Option<&'a Origin>,
    /// What it says, such as `allows at most 50 agents`.
    pub bound: String,
    /// What would be admitted, such as `write 50 or less`.
    pub remedy: String,
    /// What whoever is responsible for the policy would have to do, such as `raise the limit`.
    pub change: &'static str,
}

impl Finding {
    /// What a policy says against the value of a field.
    pub fn of_policy(field: &str, value: impl Into<String>, problem: String, against: Against<'_>) -> Self {
        let remedy = match against.origin {
            Some(origin) => format!("{}, or {}", against.remedy, appeal(origin.level(), against.change)),
            None => against.remedy,
        };
        Self {
            code: against.code,
            action: against.action,
            field: field.to_owned(),
            value: Some(value.into()),
            problem,
            origin: against.origin.cloned(),
            bound: Some(against.bound),
            remedy,
        }
    }
}

fn appeal(level: Level, change: &str) -> String {
    match level {
        Level::Orchestrator | Level::Domain | Level::Supervisor => format!("ask the {level}'s admins to {change}"),
        Level::AgentPool | Level::Workflow => format!("{change} in spec.policies"),
    }
}

impl From<Violation> for Finding {
    fn from(violation: Violation) -> Self {
        Self::denied(Code::InvalidSpec, violation.path, violation.message, "")
    }
}

/// `spec.scaling.max: is 80, but policy "spending" of Domain "compliance" (generation 4) allows at most 50 agents: write 50
/// or less, or ask the Domain's admins to raise the limit`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)?;
        if let (Some(origin), Some(bound)) = (&self.origin, &self.bound) {
            write!(f, ", but {origin} {bound}")?;
        }
        if self.remedy.is_empty() { Ok(()) } else { write!(f, ": {}", self.remedy) }
    }
}

/// Most findings that one message lists.
const LISTED: usize = 10;

/// Findings as one message.
pub fn message(findings: &[Finding]) -> String {
    let mut text: Vec<String> = findings.iter().take(LISTED).map(Finding::to_string).collect();
    if findings.len() > LISTED {
        text.push(format!("and {} more", findings.len() - LISTED));
    }
    text.join("; ")
}

#[cfg(test)]
mod tests {
    use tetrarch_core::policy::Owner;

    use super::*;

    fn finding() -> Finding {
        let owner = Owner { level: Level::Domain, namespace: None, name: "compliance".to_owned(), generation: 4 };
        Finding {
            code: Code::Limit,
            action: Action::Deny,
            field: "spec.scaling.max".to_owned(),
            value: Some("80".to_owned()),
            problem: "is 80".to_owned(),
            origin: Some(Origin::new(owner, "spending")),
            bound: Some("allows at most 50 agents".to_owned()),
            remedy: "write 50 or less, or ask the Domain's admins to raise the limit".to_owned(),
        }
    }

    #[test]
    fn one_sentence_names_field_value_policy_bound_and_remedy() {
        assert_eq!(
            finding().to_string(),
            r#"spec.scaling.max: is 80, but policy "spending" of Domain "compliance" (generation 4) allows at most 50 agents: write 50 or less, or ask the Domain's admins to raise the limit"#
        );
    }

    #[test]
    fn a_record_names_policy_level_object_and_generation() {
        let record = serde_json::to_value(finding()).unwrap();
        for (field, expected) in
            [("policy", "spending"), ("level", "Domain"), ("name", "compliance"), ("code", "Limit"), ("action", "Deny")]
        {
            assert_eq!(record[field], expected, "{record}");
        }
        assert_eq!(record["generation"], 4);
    }

    #[test]
    fn a_message_lists_ten_and_counts_the_rest() {
        let message = message(&vec![Finding::denied(Code::Pod, "spec", "is wrong", "write it right"); 12]);
        assert!(message.ends_with("; and 2 more"), "{message}");
    }
}
