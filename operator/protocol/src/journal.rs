//! One line of a printed journal, as `tetrarch-supervisor journal <run>` writes it: a stored message of the work stream, as it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A stored message that belongs to one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its place in the stream; entries of a run are folded in this order.
    pub sequence: u64,
    /// When the server stored it.
    pub at: Timestamp,
    /// Its subject, see [`crate::subject`].
    pub subject: String,
    /// Its body; values that are stored by reference stay references.
    pub body: Value,
}
