//! What the webhook asks of whoever books capacity.

use futures::future::BoxFuture;
use tetrarch_plan::admit::{Finding, verdict::Booking};

/// Books capacity: the last thing before a write is let through, and never for a dry run.
pub trait Books: Send + Sync {
    /// Books what a write needs, and says what is to be recorded of that; or why the write must be refused.
    fn book<'a>(&'a self, booking: &'a Booking) -> BoxFuture<'a, Result<Vec<Finding>, Finding>>;
}
