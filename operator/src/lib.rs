//! The I/O shell of the Tetrarch operator: it observes, asks `tetrarch-plan` what to do, does it and reports.

pub mod bus;
pub mod clock;
pub mod leader;
pub mod queue;
pub mod target;
pub mod telemetry;
pub mod trust;
pub mod world;
