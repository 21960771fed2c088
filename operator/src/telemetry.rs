//! What the operator tells about itself: logs, metrics and the endpoints that serve them.

pub mod admin;
pub mod log;
pub mod metrics;
