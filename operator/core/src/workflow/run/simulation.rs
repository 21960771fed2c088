//! A simulated bus.
