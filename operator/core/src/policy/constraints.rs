//! Merged constraints, and the merge: the one place that says what "tighter" means.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::Serialize;

use super::{Allowance, Limit, Origin, Patterns, Policy, Requirement, Rule};

/// Who requires something; never empty. The first one is named where only one can be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Origins(BTreeSet<Origin>);

impl Origins {
    fn of(origin: Origin) -> Self {
        Self(BTreeSet::from([origin]))
    }

    fn meet(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// The highest of them.
    pub fn first(&self) -> Option<&Origin> {
        self.0.first()
    }

    /// All of them, the highest level first.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

/// The merged value of a limit: the smallest of all that were declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    value: u64,
    origin: Origin,
    #[serde(skip)]
    declared: BTreeMap<Origin, u64>,
}

impl Bound {
    fn of(origin: Origin, value: u64) -> Self {
        Self { value, origin: origin.clone(), declared: BTreeMap::from([(origin, value)]) }
    }

    fn meet(&self, other: &Self) -> Self {
        let mut declared = self.declared.clone();
        for (origin, theirs) in &other.declared {
            declared.entry(origin.clone()).and_modify(|ours| *ours = (*ours).min(*theirs)).or_insert(*theirs);
        }
        // On ties the first, which is that of the highest level.
        let tighter = if (other.value, &other.origin) < (self.value, &self.origin) { other } else { self };
        Self { value: tighter.value, origin: tighter.origin.clone(), declared }
    }

    /// The bound, in the base unit of its limit.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Who declared it; on ties the highest level.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Everything that was declared, the highest level first.
    pub fn declared(&self) -> impl Iterator<Item = (&Origin, u64)> {
        self.declared.iter().map(|(origin, value)| (origin, *value))
    }
}

/// The merged value of an allowance: the intersection of all that were declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    patterns: Patterns,
    declared: BTreeMap<Origin, Patterns>,
}

impl Allowed {
    pub(super) fn of(origin: Origin, patterns: Patterns) -> Self {
        Self { patterns: patterns.clone(), declared: BTreeMap::from([(origin, patterns)]) }
    }

    fn meet(&self, other: &Self) -> Self {
        let mut declared = self.declared.clone();
        for (origin, theirs) in &other.declared {
            match declared.entry(origin.clone()) {
                Entry::Vacant(free) => {
                    free.insert(theirs.clone());
                }
                Entry::Occupied(mut held) => {
                    let both = held.get().intersection(theirs);
                    held.insert(both);
                }
            }
        }
        Self { patterns: self.patterns.intersection(&other.patterns), declared }
    }

    /// The names that all declarations allow.
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Everything that was declared, the highest level first.
    pub fn declared(&self) -> impl Iterator<Item = (&Origin, &Patterns)> {
        self.declared.iter()
    }

    /// Who excludes the name, the highest level first.
    pub fn excluding<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Origin, &'a Patterns)> {
        self.declared().filter(move |(_, patterns)| !patterns.matches(name))
    }
}

impl Serialize for Allowed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            patterns: &'a Patterns,
            origins: Vec<&'a Origin>,
        }
        Shown { patterns: &self.patterns, origins: self.declared.keys().collect() }.serialize(serializer)
    }
}

/// What holds for an object at one action. The default constrains nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraints {
    /// Smallest declared value of each limit.
    pub limits: BTreeMap<Limit, Bound>,
    /// Intersection of the declared values of each allowance.
    pub allow: BTreeMap<Allowance, Allowed>,
    /// Everything that is required.
    pub require: BTreeMap<Requirement, Origins>,
    /// Every rule.
    pub rules: BTreeMap<Rule, Origins>,
}

impl Constraints {
    /// What one policy declares.
    pub fn of(origin: &Origin, policy: &Policy) -> Self {
        let named = || Origins::of(origin.clone());
        Self {
            limits: policy.limits.iter().map(|(limit, value)| (*limit, Bound::of(origin.clone(), *value))).collect(),
            allow: policy.allow.iter().map(|(name, set)| (*name, Allowed::of(origin.clone(), set.clone()))).collect(),
            require: policy.require.iter().map(|requirement| (requirement.clone(), named())).collect(),
            rules: policy.rules.iter().map(|rule| (rule.clone(), named())).collect(),
        }
    }

    /// What holds when both hold. Associative, commutative and idempotent, origins included.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            limits: union(&self.limits, &other.limits, Bound::meet),
            allow: union(&self.allow, &other.allow, Allowed::meet),
            require: union(&self.require, &other.require, Origins::meet),
            rules: union(&self.rules, &other.rules, Origins::meet),
        }
    }

    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.allow.is_empty() && self.require.is_empty() && self.rules.is_empty()
    }
}

fn union<K: Ord + Clone, V: Clone>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
    both: impl Fn(&V, &V) -> V,
) -> BTreeMap<K, V> {
    let mut result = a.clone();
    for (key, theirs) in b {
        match result.entry(key.clone()) {
            Entry::Vacant(free) => {
                free.insert(theirs.clone());
            }
            Entry::Occupied(mut held) => {
                let merged = both(held.get(), theirs);
                held.insert(merged);
            }
        }
    }
    result
}
