//! The one place that reads the time of day.

use jiff::Timestamp;

/// Tells the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Timestamp::now)
    }

    /// A clock of a test.
    pub const fn from_fn(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}
