//! Who asked for something, as nobody but the webhook can have written it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who asked for something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Name of the user, as the API server has authenticated them.
    pub by: String,
    /// When, to the second.
    pub at: Timestamp,
}
