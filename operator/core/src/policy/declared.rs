//! What one level declares: policies, and what each of them applies to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Allowance, Kind, Limit, Origin, Owner, Patterns, Requirement, Rule, Selector};

/// An object that policies may apply to.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// Which objects a policy applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppliesTo {
    /// Their kinds; empty stands for all kinds.
    pub kinds: BTreeSet<Kind>,
    /// Their labels.
    pub selector: Selector,
}

impl AppliesTo {
    /// Whether the policy applies to the object.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.has_kind(subject.kind) && self.selector.matches(subject.labels)
    }

    /// Whether objects of this kind are meant.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// The kinds that are meant.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.has_kind(*kind))
    }
}

/// One policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Policy {
    /// Its name, unique in its object.
    pub name: String,
    /// What it applies to.
    pub applies_to: AppliesTo,
    /// Largest values, each in the base unit of its limit.
    pub limits: BTreeMap<Limit, u64>,
    /// Names that may be used.
    pub allow: BTreeMap<Allowance, Patterns>,
    /// What must be.
    pub require: BTreeSet<Requirement>,
    /// Expressions that must hold.
    pub rules: BTreeSet<Rule>,
    /// What happens to an object that violates the policy.
    pub action: Action,
}

/// The policies of one object of the hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    /// The object.
    pub owner: Owner,
    /// Its policies.
    pub policies: Vec<Policy>,
}

impl Layer {
    /// Its policies with their origins.
    pub fn with_origins(&self) -> impl Iterator<Item = (Origin, &Policy)> {
        self.policies.iter().map(|policy| (Origin::new(self.owner.clone(), policy.name.clone()), policy))
    }
}
