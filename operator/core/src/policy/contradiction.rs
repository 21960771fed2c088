//! Policies that admit nothing, or do nothing: found when they are written.

use std::fmt;

use serde::Serialize;

use super::{
    Action, Allowance, Constraints, Kind, Layer, Limit, Origin, Owner, Pattern, Patterns, Policy, Requirement, compare,
};

/// A mistake in a policy, seen together with the policies that hold for everything it applies to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Contradiction {
    /// The policy.
    pub origin: Origin,
    /// Its action, which says how bad it is.
    pub action: Action,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Problem {
    /// No name is left that is allowed.
    EmptyAllowance {
        /// Of which allowance.
        allowance: Allowance,
        /// What each policy allows.
        declared: Vec<(Origin, Patterns)>,
    },
    /// A limit with which nothing works.
    LimitTooSmall {
        /// Which one.
        limit: Limit,
        /// Its value.
        value: u64,
    },
    /// Digests are required, but all allowed images are exact and have none.
    DigestNotAllowed {
        /// The allowed images.
        allowed: Patterns,
        /// Who requires and who allows.
        origins: Vec<Origin>,
    },
    /// A label is required that no selected object has.
    LabelNotSelected {
        /// The label.
        label: String,
    },
    /// The selector excludes everything.
    NothingSelected,
    /// No kind that the policy applies to has this.
    NoEffect {
        /// The field, such as `limits.runTimeout`.
        field: String,
        /// The kinds that have it.
        kinds: Vec<Kind>,
    },
}

impl Problem {
    /// The field of the policy that it is about.
    pub fn field(&self) -> String {
        match self {
            Self::EmptyAllowance { allowance, .. } => format!("allow.{allowance}"),
            Self::LimitTooSmall { limit, .. } => format!("limits.{limit}"),
            Self::DigestNotAllowed { .. } => "require.imageDigest".to_owned(),
            Self::LabelNotSelected { .. } => "require.labels".to_owned(),
            Self::NothingSelected => "appliesTo.selector".to_owned(),
            Self::NoEffect { field, .. } => field.clone(),
        }
    }

    /// Whether the policy admits nothing, in contrast to doing nothing.
    pub fn admits_nothing(&self) -> bool {
        !matches!(self, Self::NothingSelected | Self::NoEffect { .. })
    }
}

/// What follows behind the field, with the remedy.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyAllowance { allowance, declared } => {
                write!(f, "leaves no {} that is allowed:", allowance.noun())?;
                for (index, (origin, patterns)) in declared.iter().enumerate() {
                    write!(f, "{} {origin} allows {patterns}", if index > 0 { ";" } else { "" })?;
                }
                f.write_str(": write at least one pattern that all of them allow")
            }
            Self::LimitTooSmall { limit, value } => {
                let (value, least) = (limit.quantity(*value), limit.quantity(limit.least()));
                write!(f, "is {value}, with which nothing can run: write {least} or more")
            }
            Self::DigestNotAllowed { allowed, .. } => write!(
                f,
                "is required, but the allowed images are only {allowed}, which have no digest: allow them with their digest or as a prefix that ends in *"
            ),
            Self::LabelNotSelected { label } => write!(
                f,
                "holds {label:?}, but the selector of the policy selects only objects without it: change one of them"
            ),
            Self::NothingSelected => {
                f.write_str("excludes every object, because its conditions on one label exclude each other: change one")
            }
            Self::NoEffect { kinds, .. } => {
                let kinds = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
                write!(f, "has no effect on the kinds of appliesTo: add one of {kinds} there, or remove it")
            }
        }
    }
}

/// What is wrong with a policy, together with the policies of its chain that hold for everything it applies to at its
/// action. The chain may contain the policy itself.
pub fn contradictions(owner: &Owner, policy: &Policy, chain: &[&Layer]) -> Vec<Contradiction> {
    let origin = Origin::new(owner.clone(), policy.name.clone());
    let mut problems = own_problems(policy);
    let declared = Constraints::of(&origin, policy);
    for kind in policy.applies_to.kinds() {
        let all = compare::imposed_on(kind, policy, chain).meet(&declared);
        for problem in joint_problems(kind, policy, &all) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems
        .into_iter()
        .map(|problem| Contradiction { origin: origin.clone(), action: policy.action, problem })
        .collect()
}

fn own_problems(policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    let selector = &policy.applies_to.selector;
    if selector.is_impossible() {
        problems.push(Problem::NothingSelected);
    }
    let fields = policy.limits.keys().map(|limit| (format!("limits.{limit}"), limit.kinds()));
    let fields = fields.chain(policy.allow.keys().map(|name| (format!("allow.{name}"), name.kinds())));
    let fields = fields.chain(policy.require.iter().map(|r| (format!("require.{}", r.field()), r.kinds())));
    for (field, kinds) in fields {
        if !kinds.iter().any(|kind| policy.applies_to.has_kind(*kind)) {
            problems.push(Problem::NoEffect { field, kinds: kinds.to_vec() });
        }
    }
    for (limit, value) in policy.limits.iter().filter(|(limit, value)| **value < limit.least()) {
        problems.push(Problem::LimitTooSmall { limit: *limit, value: *value });
    }
    for requirement in &policy.require {
        if let Requirement::Label(label) = requirement
            && selector.excludes_label(label)
            && !selector.is_impossible()
        {
            problems.push(Problem::LabelNotSelected { label: label.clone() });
        }
    }
    problems
}

/// Problems to which the policy contributes; those of the others alone were told when they were written.
fn joint_problems(kind: Kind, policy: &Policy, all: &Constraints) -> Vec<Problem> {
    let mut problems = Vec::new();
    for allowance in policy.allow.keys().filter(|a| a.is_indispensable() && a.kinds().contains(&kind)) {
        if let Some(allowed) = all.allow.get(allowance).filter(|allowed| allowed.patterns().is_empty()) {
            let declared = allowed.declared().map(|(origin, patterns)| (origin.clone(), patterns.clone())).collect();
            problems.push(Problem::EmptyAllowance { allowance: *allowance, declared });
        }
    }
    let contributes =
        policy.require.contains(&Requirement::ImageDigest) || policy.allow.contains_key(&Allowance::Images);
    if let (true, Some(required), Some(images)) =
        (contributes, all.require.get(&Requirement::ImageDigest), all.allow.get(&Allowance::Images))
        && Allowance::Images.kinds().contains(&kind)
        && !images.patterns().is_empty()
        && !images.patterns().iter().any(can_have_digest)
    {
        let mut origins: Vec<Origin> =
            required.iter().chain(images.declared().map(|(origin, _)| origin)).cloned().collect();
        origins.sort();
        origins.dedup();
        problems.push(Problem::DigestNotAllowed { allowed: images.patterns().clone(), origins });
    }
    problems
}

fn can_have_digest(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Exact(image) => image.contains('@'),
        Pattern::Prefix(_) => true,
    }
}
