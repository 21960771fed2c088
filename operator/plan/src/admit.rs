//! Admission: whether a write to the API server is let through, decided purely from the request and an index of the hierarchy.
//!
//! The shell reads a request ([`review::Review`]), asks [`decide`] or [`mutate`], makes the [`verdict::Check`]s that only the
//! API server can answer, makes the [`verdict::Booking`] and sends the answer of [`wire`]. Nothing in here knows a client.
//!
//! What a policy holds back for an approval is written on the object itself: the mutating review stamps
//! `tetrarch.dev/held` with the generation and the policies behind it, and `tetrarch.dev/approval` when somebody who may
//! has approved that generation. [`approval`] reads both; the validating review lets no other hand write them.

pub mod ancestor;
pub mod approval;
pub mod booking;
pub mod chain;
mod count;
mod decide;
mod decision;
pub mod examine;
pub mod finding;
mod hold;
pub mod index;
pub mod own;
pub mod place;
mod pods;
mod reference;
mod request;
pub mod review;
mod situation;
mod spec;
mod subtree;
pub mod verdict;
pub mod wire;

pub use decide::{decide, mutate};
pub use finding::{Code, Finding};
pub use index::Index;
pub use review::{Manifest, Operation, Review, User};
pub use verdict::{Booking, Check, Mutation, Verdict};
