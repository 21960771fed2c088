//! The admission webhook: every replica answers API servers about objects before they are stored.

pub mod admission;
pub mod app;
pub mod server;
pub mod wire;

pub use admission::{Admission, Answer, Phase};
