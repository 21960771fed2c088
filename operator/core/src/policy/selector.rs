//! Label selectors of Kubernetes as a pure type with exact inclusion.

use std::collections::{BTreeMap, BTreeSet};

/// How an expectation compares the value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The label is there and has one of the values.
    In,
    /// The label is missing or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

/// One entry of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expectation {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// The values for `In` and `NotIn`; empty for the others.
    pub values: BTreeSet<String>,
}

/// What labels an object must have. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(BTreeMap<String, Accepted>);

/// What is accepted for one label: every conjunction of expectations about one label has this form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Accepted {
    missing: bool,
    values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Values {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Selector {
    /// The selector with these labels and expectations, all of which must hold.
    pub fn new(labels: BTreeMap<String, String>, expectations: impl IntoIterator<Item = Expectation>) -> Self {
        let of_labels = labels.into_iter().map(|(key, value)| Expectation {
            key,
            operator: Operator::In,
            values: BTreeSet::from([value]),
        });
        let mut accepted: BTreeMap<String, Accepted> = BTreeMap::new();
        for expectation in of_labels.chain(expectations) {
            let added = Accepted::of(expectation.operator, expectation.values);
            match accepted.entry(expectation.key) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(added);
                }
                std::collections::btree_map::Entry::Occupied(mut held) => {
                    let both = held.get().intersection(&added);
                    held.insert(both);
                }
            }
        }
        Self(accepted)
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(key, accepted)| accepted.matches(labels.get(key).map(String::as_str)))
    }

    /// Whether everything that `other` selects is selected by this.
    pub fn includes(&self, other: &Self) -> bool {
        let anything = Accepted::anything();
        other.is_impossible()
            || self.0.iter().all(|(key, accepted)| accepted.includes(other.0.get(key).unwrap_or(&anything)))
    }

    /// Whether no selected object has this label.
    pub fn excludes_label(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|accepted| matches!(&accepted.values, Values::Only(values) if values.is_empty()))
    }

    /// Whether no object can be selected, because two expectations about one label exclude each other.
    pub fn is_impossible(&self) -> bool {
        self.0.values().any(Accepted::is_empty)
    }
}

impl Accepted {
    fn of(operator: Operator, values: BTreeSet<String>) -> Self {
        match operator {
            Operator::In => Self { missing: false, values: Values::Only(values) },
            Operator::NotIn => Self { missing: true, values: Values::AllBut(values) },
            Operator::Exists => Self { missing: false, values: Values::AllBut(BTreeSet::new()) },
            Operator::DoesNotExist => Self { missing: true, values: Values::Only(BTreeSet::new()) },
        }
    }

    fn anything() -> Self {
        Self { missing: true, values: Values::AllBut(BTreeSet::new()) }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        match (value, &self.values) {
            (None, _) => self.missing,
            (Some(value), Values::Only(values)) => values.contains(value),
            (Some(value), Values::AllBut(values)) => !values.contains(value),
        }
    }

    fn is_empty(&self) -> bool {
        !self.missing && matches!(&self.values, Values::Only(values) if values.is_empty())
    }

    fn intersection(&self, other: &Self) -> Self {
        let values = match (&self.values, &other.values) {
            (Values::Only(a), Values::Only(b)) => Values::Only(a & b),
            (Values::Only(a), Values::AllBut(b)) | (Values::AllBut(b), Values::Only(a)) => Values::Only(a - b),
            (Values::AllBut(a), Values::AllBut(b)) => Values::AllBut(a | b),
        };
        Self { missing: self.missing && other.missing, values }
    }

    fn includes(&self, other: &Self) -> bool {
        let values = match (&self.values, &other.values) {
            (Values::Only(ours), Values::Only(theirs)) => theirs.is_subset(ours),
            (Values::Only(_), Values::AllBut(_)) => false,
            (Values::AllBut(ours), Values::Only(theirs)) => theirs.is_disjoint(ours),
            (Values::AllBut(ours), Values::AllBut(theirs)) => ours.is_subset(theirs),
        };
        values && (self.missing || !other.missing)
    }
}
