//! Who goes first when there is not room for all: shares of a pool's queue, the line of runs that wait for a place, and how long a
//! more urgent class may go before.
//!
//! Three rules, each bounded, each without a clock:
//! - the queue of a pool holds only a [`window`] of tasks, and Workflows share it by weight ([`Level`]), so a task of one
//!   waits for at most a window of others, whatever their maps are like;
//! - runs wait for a place in the order of their [`Ticket`]s, so a Workflow that asks for many runs does not keep out one that asks for one;
//! - an agent that has served a more urgent class [`PATIENCE`] times while a less urgent one waited takes one task of that one.
//!
//! All of it is advice: what is right does not hang on it, only who waits. So replicas may see slightly different numbers.

mod line;
mod share;

#[cfg(test)]
mod tests;

pub use line::{Line, Ticket};
pub use share::{Demand, Level, MIN_WINDOW, level, window};

/// Weight of a Workflow that sets none.
pub const WEIGHT: u32 = 100;

/// Tasks of more urgent classes that an agent takes in a row while a less urgent class waits. The rule is that of `writes_starved` in the
/// deadline scheduler of Linux: a preference that is bounded by a count, so that it holds for tasks of any length.
pub const PATIENCE: u32 = 16;
