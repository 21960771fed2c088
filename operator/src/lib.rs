//! The I/O shell of the Tetrarch operator: it observes, asks `tetrarch-plan` what to do, does it and reports.

pub mod args;
pub mod bus;
pub mod capacity;
pub mod check;
pub mod clock;
pub mod context;
pub mod controllers;
pub mod enact;
pub mod leader;
pub mod observe;
pub mod queue;
pub mod run;
pub mod target;
pub mod telemetry;
pub mod trust;
pub mod webhook;
pub mod world;
