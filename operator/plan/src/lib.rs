//! Pure decisions with Kubernetes shapes: names, parsing, building, reconciling, reporting. Knows no client.
//!
//! One reconcile is `observe` (the shell reads) > [`reconcile`] (here, total) > `enact` (the shell writes the
//! [`effect::Effect`]s in order and stops at the first failure) > [`report`] (here, the new status).
//! Time is an argument everywhere; the same input gives the same plan, byte for byte.

pub mod admit;
pub mod build;
pub mod conditions;
pub mod duration;
pub mod effect;
pub mod governance;
pub mod hierarchy;
pub mod image;
pub mod money;
pub mod names;
pub mod object;
pub mod outcome;
pub mod parse;
pub mod pod_diagnosis;
pub mod quantity;
pub mod reason;
pub mod reconcile;
pub mod report;
pub mod request;
pub mod rotation;
pub mod settings;
pub mod suite;
pub mod violation;
pub mod why;
