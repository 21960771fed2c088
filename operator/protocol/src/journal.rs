//! How run events are stored, which versions of stored bodies can be read, and one line of a printed journal, as
//! `tetrarch-supervisor journal <run>` writes it: a stored message of the work stream, as it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tetrarch_core::workflow::journal::RunEvent;

use crate::VERSION;

/// Body of `run.…`: the event, with the version beside its `type`. Events without a version are of version 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunEnvelope<'e> {
    /// Version of the envelope.
    pub version: u16,
    /// What happened.
    #[serde(flatten)]
    pub event: &'e RunEvent,
}

/// The version of a stored body when it is newer than [`VERSION`]: such a body must not be read, for it may mean something that this
/// version does not know. None for a body that can be read, or is no envelope at all.
pub fn newer_version(body: &[u8]) -> Option<u16> {
    #[derive(Deserialize)]
    struct Envelope {
        version: u16,
    }
    // Every envelope is written with its version first; nearly all are ours.
    const OURS: &[u8] = b"{\"version\":1,";
    const { assert!(VERSION == 1, "OURS must name the version") };
    if body.starts_with(OURS) {
        return None;
    }
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    (envelope.version > VERSION).then_some(envelope.version)
}

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_event_carries_its_version_and_reads_as_the_event() {
        let event = RunEvent::CancelRequested { cause: "by ada".to_owned(), stamp: None };
        let stored = serde_json::to_value(RunEnvelope { version: VERSION, event: &event }).unwrap();
        assert_eq!(stored, json!({"version": 1, "type": "cancelRequested", "cause": "by ada"}));
        assert_eq!(serde_json::from_value::<RunEvent>(stored).unwrap(), event);
    }

    #[test]
    fn only_bodies_of_a_newer_version_are_told_apart() {
        let versions = [
            (&b"{\"version\":1,\"type\":\"x\"}"[..], None),
            (b"{ \"version\": 1 }", None),
            (b"{\"type\":\"started\"}", None),
            (b"garbage", None),
            (b"{\"version\":2,\"type\":\"x\"}", Some(2)),
            (b"{\"type\":\"x\",\"version\":9}", Some(9)),
        ];
        for (body, expected) in versions {
            assert_eq!(newer_version(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
