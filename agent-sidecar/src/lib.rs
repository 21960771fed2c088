//! One agent's session with the bus: pulls tasks by free slots, calls the agent over HTTP, reports results, drains.
//!
//! [`session`] decides, everything else does what it says.

pub mod session;
