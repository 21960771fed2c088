//! The I/O shell of the Tetrarch operator: it observes, asks `tetrarch-plan` what to do, does it and reports.

pub mod trust;
