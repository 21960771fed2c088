//! The validating decision.

use jiff::Timestamp;

use super::{
    finding::Finding,
    index::Index,
    review::{Operation, Review, Target},
    spec,
    verdict::{Mutation, Verdict},
};

/// Decides about a write. Total: whatever was sent, there is an answer.
pub fn decide(review: &Review, _index: &Index, _now: Timestamp) -> Verdict {
    match (&review.target, review.operation) {
        (Target::Whole { new: Some(new), .. }, Operation::Create | Operation::Update) => {
            let denials = spec::violations(review.kind, new).into_iter().map(Finding::from).collect();
            Verdict { denials, ..Verdict::default() }
        }
        _ => Verdict::default(),
    }
}

/// Decides what is changed about a write before it is decided upon.
pub fn mutate(_review: &Review, _index: &Index, _now: Timestamp) -> Mutation {
    Mutation::default()
}
