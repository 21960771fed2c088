//! Policy by position: what each level declares, and what follows for an object below it.
//!
//! A policy belongs to the level that wrote it and governs what is at and below that level; the governed object never
//! chooses. All parts of a policy are ordered so that a lower level can only tighten: of limits the smallest holds, of
//! allowances the intersection, of requirements and rules all. The merge is associative, commutative and idempotent, and
//! every value keeps the origins that have a say in it.
//!
//! What follows is kept for each action: a policy with the action `Deny` also contributes to `RequireApproval`,
//! `Warn` and `Audit`. So the constraints get stricter from `Deny` to `Audit`, and the consequence of a value is the strictest action
//! whose constraints it violates.

mod allowance;
mod compare;
mod constraints;
mod contradiction;
mod declared;
mod effective;
mod explain;
mod kind;
mod limit;
mod origin;
mod pattern;
mod requirement;
mod selector;

#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use compare::{Difference, Loosening, looser_than_ancestors};
pub use constraints::{Allowed, Bound, Constraints, Origins};
pub use contradiction::{Contradiction, Problem, contradictions};
pub use declared::{AppliesTo, Layer, Policy, Subject};
pub use effective::{Breach, Effective, effective};
pub use explain::{Explanation, Say, explain};
pub use kind::{Action, Kind, Level, Unknown};
pub use limit::Limit;
pub use origin::{Origin, Owner};
pub use pattern::{InvalidPattern, Pattern, Patterns};
pub use requirement::{Requirement, Rule};
pub use selector::{Expectation, Operator, Selector};
