//! Compares policies: what exactly is looser, and who says otherwise.

use std::fmt;

use serde::Serialize;

use super::{
    Action, Allowance, Constraints, Effective, Kind, Layer, Limit, Origin, Owner, Patterns, Policy, Requirement, Rule,
};

/// One respect in which something is looser than something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Difference {
    /// A larger limit, or none.
    Limit {
        /// Which one.
        limit: Limit,
        /// The looser value; none when the limit is missing.
        looser: Option<u64>,
        /// Who declares the looser value.
        looser_origin: Option<Origin>,
        /// The stricter value.
        stricter: u64,
        /// Who declares the stricter value.
        stricter_origin: Origin,
    },
    /// A wider allowance, or none.
    Allowance {
        /// Which one.
        allowance: Allowance,
        /// The wider set; none when the allowance is missing.
        looser: Option<Patterns>,
        /// Who declares the wider set.
        looser_origins: Vec<Origin>,
        /// The patterns of the wider set that go beyond the narrower one; empty when the allowance is missing.
        beyond: Patterns,
        /// The narrower set.
        stricter: Patterns,
        /// Who declares the narrower set.
        stricter_origins: Vec<Origin>,
    },
    /// A missing requirement.
    Requirement {
        /// Which one.
        requirement: Requirement,
        /// Who declares it.
        stricter_origin: Option<Origin>,
    },
    /// A missing rule.
    Rule {
        /// Which one.
        rule: Rule,
        /// Who declares it.
        stricter_origin: Option<Origin>,
    },
}

impl Difference {
    /// The field of a policy that it is about, such as `limits.agents`.
    pub fn field(&self) -> String {
        match self {
            Self::Limit { limit, .. } => format!("limits.{limit}"),
            Self::Allowance { allowance, .. } => format!("allow.{allowance}"),
            Self::Requirement { requirement, .. } => format!("require.{}", requirement.field()),
            Self::Rule { .. } => "rules".to_owned(),
        }
    }
}

/// What follows behind the field: `is 80, but policy … already allows at most 50 agents: write 50 or less, or leave it out`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, looser, stricter, stricter_origin, .. } => {
                match looser {
                    Some(value) => write!(f, "is {}", limit.quantity(*value))?,
                    None => f.write_str("is not limited")?,
                }
                let (phrase, value) = (limit.phrase(*stricter), limit.quantity(*stricter));
                write!(f, ", but {stricter_origin} already allows at most {phrase}: write {value} or less")?;
                if looser.is_some() { f.write_str(", or leave it out") } else { Ok(()) }
            }
            Self::Allowance { looser, beyond, stricter, stricter_origins, .. } => {
                match looser {
                    Some(_) => write!(f, "allows {beyond}")?,
                    None => f.write_str("is not restricted")?,
                }
                f.write_str(", but ")?;
                list(f, stricter_origins)?;
                let s = if stricter_origins.len() == 1 { "s" } else { "" };
                write!(f, " already allow{s} only {stricter}: write nothing beyond that")?;
                if looser.is_some() { f.write_str(", or leave it out") } else { Ok(()) }
            }
            Self::Requirement { requirement, stricter_origin } => missing(f, requirement, stricter_origin.as_ref()),
            Self::Rule { rule, stricter_origin } => missing(f, &format!("{:?}", rule.text()), stricter_origin.as_ref()),
        }
    }
}

fn missing(f: &mut fmt::Formatter<'_>, what: &dyn fmt::Display, origin: Option<&Origin>) -> fmt::Result {
    match origin {
        Some(origin) => write!(f, "lacks {what}, which {origin} requires: add it"),
        None => write!(f, "lacks {what}: add it"),
    }
}

fn list(f: &mut fmt::Formatter<'_>, origins: &[Origin]) -> fmt::Result {
    for (index, origin) in origins.iter().enumerate() {
        if index > 0 {
            f.write_str(if index + 1 == origins.len() { " and " } else { ", " })?;
        }
        write!(f, "{origin}")?;
    }
    Ok(())
}

impl Constraints {
    /// Every respect in which these are looser than the others; none means that they are at least as strict.
    pub fn looser_than(&self, other: &Self) -> Vec<Difference> {
        let limits = other.limits.iter().filter_map(|(limit, theirs)| {
            let ours = self.limits.get(limit);
            ours.is_none_or(|ours| ours.value() > theirs.value()).then(|| Difference::Limit {
                limit: *limit,
                looser: ours.map(super::Bound::value),
                looser_origin: ours.map(|ours| ours.origin().clone()),
                stricter: theirs.value(),
                stricter_origin: theirs.origin().clone(),
            })
        });
        let allow = other.allow.iter().filter_map(|(allowance, theirs)| {
            let ours = self.allow.get(allowance);
            let beyond: Patterns =
                ours.map(|ours| theirs.patterns().beyond(ours.patterns()).cloned().collect()).unwrap_or_default();
            (ours.is_none() || !beyond.is_empty()).then(|| Difference::Allowance {
                allowance: *allowance,
                looser: ours.map(|ours| ours.patterns().clone()),
                looser_origins: ours.into_iter().flat_map(super::Allowed::declared).map(|(o, _)| o.clone()).collect(),
                beyond,
                stricter: theirs.patterns().clone(),
                stricter_origins: theirs.declared().map(|(origin, _)| origin.clone()).collect(),
            })
        });
        let require = other.require.iter().filter(|(requirement, _)| !self.require.contains_key(requirement)).map(
            |(requirement, origins)| Difference::Requirement {
                requirement: requirement.clone(),
                stricter_origin: origins.first().cloned(),
            },
        );
        let rules =
            other.rules.iter().filter(|(rule, _)| !self.rules.contains_key(rule)).map(|(rule, origins)| {
                Difference::Rule { rule: rule.clone(), stricter_origin: origins.first().cloned() }
            });
        limits.chain(allow).chain(require).chain(rules).collect()
    }

    /// Whether nothing that these admit is refused by the others.
    pub fn is_at_least_as_strict_as(&self, other: &Self) -> bool {
        self.looser_than(other).is_empty()
    }
}

impl Effective {
    /// Every respect in which this is looser than the other, each at the strictest action at which it is.
    pub fn looser_than(&self, other: &Self) -> Vec<(Action, Difference)> {
        let mut found: Vec<(Action, Difference)> = Vec::new();
        for (action, constraints) in self.strictest_first() {
            for difference in constraints.looser_than(other.at(action)) {
                if !found.iter().any(|(_, known)| *known == difference) {
                    found.push((action, difference));
                }
            }
        }
        found
    }

    /// Whether nothing that this admits is refused by the other, at any action.
    pub fn is_at_least_as_strict_as(&self, other: &Self) -> bool {
        self.looser_than(other).is_empty()
    }
}

/// A value in a policy that could never have an effect, because the levels above are stricter on everything it applies to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Loosening {
    /// The action at which both are compared: that of the policy.
    pub action: Action,
    /// What is looser.
    pub difference: Difference,
}

/// What a policy declares looser than the levels above already impose, at its action, on everything that it applies to.
/// What it does not declare it inherits, so that is never looser.
pub fn looser_than_ancestors(owner: &Owner, policy: &Policy, ancestors: &[&Layer]) -> Vec<Loosening> {
    let origin = Origin::new(owner.clone(), policy.name.clone());
    let imposed: Vec<(Kind, Constraints)> =
        policy.applies_to.kinds().map(|kind| (kind, imposed_on(kind, policy, ancestors))).collect();
    let declared = Constraints::of(&origin, policy);
    let mut found = Vec::new();
    for (limit, bound) in &declared.limits {
        // Useful as soon as it tightens one kind, so the loosest of the kinds decides.
        let bounds = applicable(&imposed, limit.kinds(), |above| above.limits.get(limit));
        let loosest = bounds.and_then(|bounds| bounds.into_iter().max_by_key(|bound| bound.value()));
        if let Some(above) = loosest.filter(|above| bound.value() > above.value()) {
            found.push(Difference::Limit {
                limit: *limit,
                looser: Some(bound.value()),
                looser_origin: Some(origin.clone()),
                stricter: above.value(),
                stricter_origin: above.origin().clone(),
            });
        }
    }
    for (allowance, allowed) in &declared.allow {
        let sets = applicable(&imposed, allowance.kinds(), |above| above.allow.get(allowance)).unwrap_or_default();
        let is_looser = sets.iter().all(|above| !above.patterns().includes(allowed.patterns()));
        if let Some(above) = sets.first().filter(|_| is_looser) {
            found.push(Difference::Allowance {
                allowance: *allowance,
                looser: Some(allowed.patterns().clone()),
                looser_origins: vec![origin.clone()],
                beyond: above.patterns().beyond(allowed.patterns()).cloned().collect(),
                stricter: above.patterns().clone(),
                stricter_origins: above.declared().map(|(origin, _)| origin.clone()).collect(),
            });
        }
    }
    found.into_iter().map(|difference| Loosening { action: policy.action, difference }).collect()
}

/// What layers impose, at the action of a policy, on all objects of a kind that the policy applies to.
pub(super) fn imposed_on(kind: Kind, policy: &Policy, layers: &[&Layer]) -> Constraints {
    let mut imposed = Constraints::default();
    for (origin, above) in layers.iter().flat_map(|layer| layer.with_origins()) {
        let covers = above.applies_to.has_kind(kind) && above.applies_to.selector.includes(&policy.applies_to.selector);
        if above.action >= policy.action && covers {
            imposed = imposed.meet(&Constraints::of(&origin, above));
        }
    }
    imposed
}

/// What is imposed on each of the kinds; none when nothing is imposed on one of them, or none of them is meant.
fn applicable<'c, T>(
    imposed: &'c [(Kind, Constraints)],
    kinds: &[Kind],
    part: impl Fn(&'c Constraints) -> Option<T>,
) -> Option<Vec<T>> {
    let meant = imposed.iter().filter(|(kind, _)| kinds.contains(kind));
    let parts = meant.map(|(_, constraints)| part(constraints)).collect::<Option<Vec<T>>>()?;
    (!parts.is_empty()).then_some(parts)
}
