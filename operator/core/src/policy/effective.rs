//! What holds for one object: the constraints of its chain, one for each action.

use super::{
    Action, Allowance, Allowed, Bound, Constraints, Layer, Limit, Origin, Origins, Requirement, Rule, Subject,
};

/// The constraints of one object, for each action. Those of a stricter action are contained in those of a milder one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective(pub(super) [Constraints; 4]);

/// The strictest action at which something is violated, with the constraint that it violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach<C> {
    /// What happens to the object.
    pub action: Action,
    /// The constraint at that action.
    pub constraint: C,
}

/// What a chain of layers means for an object. The order of the chain does not matter.
pub fn effective<'l>(chain: impl IntoIterator<Item = &'l Layer>, subject: &Subject<'_>) -> Effective {
    let mut merged = Effective::default();
    for layer in chain {
        for (origin, policy) in layer.with_origins() {
            if policy.applies_to.matches(subject) {
                merged.tighten(&Constraints::of(&origin, policy), policy.action);
            }
        }
    }
    merged
}

impl Effective {
    /// What holds at an action: the constraints of all policies with this action or a stricter one.
    pub fn at(&self, action: Action) -> &Constraints {
        &self.0[action as usize]
    }

    /// Each action with its constraints, the strictest first.
    pub fn strictest_first(&self) -> impl Iterator<Item = (Action, &Constraints)> {
        Action::ALL.into_iter().rev().map(|action| (action, self.at(action)))
    }

    /// What holds when both hold. Associative, commutative and idempotent, origins included.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self(Action::ALL.map(|action| self.at(action).meet(other.at(action))))
    }

    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        self.at(Action::Audit).is_empty()
    }

    /// What a number is clamped to at run time: the bound at Deny. What milder actions bound may have been approved.
    pub fn clamp(&self, limit: Limit) -> Option<&Bound> {
        self.at(Action::Deny).limits.get(&limit)
    }

    /// The strictest action at which the value, in the base unit of the limit, is too large.
    pub fn exceeded(&self, limit: Limit, value: u64) -> Option<Breach<&Bound>> {
        self.strictest(|constraints| constraints.limits.get(&limit).filter(|bound| value > bound.value()))
    }

    /// The strictest action at which the name is not allowed.
    pub fn excluded(&self, allowance: Allowance, name: &str) -> Option<Breach<&Allowed>> {
        self.strictest(|constraints| {
            constraints.allow.get(&allowance).filter(|allowed| !allowed.patterns().matches(name))
        })
    }

    /// Every requirement with the strictest action that stands behind it, and who requires it there.
    pub fn requirements(&self) -> impl Iterator<Item = (&Requirement, Breach<&Origins>)> {
        self.at(Action::Audit).require.keys().filter_map(|requirement| Some((requirement, self.required(requirement)?)))
    }

    /// The strictest action that stands behind a requirement, and who requires it there.
    pub fn required(&self, requirement: &Requirement) -> Option<Breach<&Origins>> {
        self.strictest(|constraints| constraints.require.get(requirement))
    }

    /// Every rule with the strictest action that stands behind it, and who wrote it there.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, Breach<&Origins>)> {
        self.at(Action::Audit)
            .rules
            .keys()
            .filter_map(|rule| Some((rule, self.strictest(|constraints| constraints.rules.get(rule))?)))
    }

    fn strictest<'e, C>(&'e self, violated: impl Fn(&'e Constraints) -> Option<C>) -> Option<Breach<C>> {
        self.strictest_first()
            .find_map(|(action, constraints)| Some(Breach { action, constraint: violated(constraints)? }))
    }

    fn tighten(&mut self, constraints: &Constraints, action: Action) {
        for held in &mut self.0[..=action as usize] {
            *held = held.meet(constraints);
        }
    }
}

impl Breach<&Origins> {
    /// Who is named for it.
    pub fn origin(&self) -> Option<&Origin> {
        self.constraint.first()
    }
}
