//! A value inline, or a reference into the Domain's object store when it is too large for one message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest value, as JSON text in bytes, that travels inline.
pub const MAX_INLINE: usize = 1024 * 1024 - 64 * 1024;

/// A value, inline or by reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Payload {
    /// The value itself.
    Inline(Value),
    /// The value is an object of the store.
    Blob(BlobRef),
}

/// A reference to an object of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobRef {
    /// Name of the object: `<run>/<path>/<attempt>/<in|out>`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}
