//! What people can ask of the runs of a Workflow: by which annotation, with which right, and where it is written who did.

use std::collections::BTreeMap;

use tetrarch_core::workflow::stamp::Stamp;
use tetrarch_protocol::request::{Ask, Stamped};

use crate::names;

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What is asked.
    pub ask: Ask,
    /// The annotation whose values ask it, joined by commas.
    pub annotation: &'static str,
    /// An annotation that belongs to it: another value there asks again.
    pub with: Option<&'static str>,
    /// The verb that whoever asks must have on the Workflow.
    pub verb: &'static str,
    /// What is asked by taking a value away; none when that asks for nothing.
    pub undo: Option<Ask>,
}

/// Everything that can be asked.
pub const WAYS: [Way; 6] = [
    Way {
        ask: Ask::Run,
        annotation: names::ANNOTATION_RUN,
        with: Some(names::ANNOTATION_RUN_PARAMETERS),
        verb: "run",
        undo: None,
    },
    Way { ask: Ask::Cancel, annotation: names::ANNOTATION_CANCEL, with: None, verb: "cancel", undo: None },
    Way { ask: Ask::Terminate, annotation: names::ANNOTATION_TERMINATE, with: None, verb: "cancel", undo: None },
    Way { ask: Ask::Pause, annotation: names::ANNOTATION_PAUSE, with: None, verb: "pause", undo: Some(Ask::Resume) },
    Way { ask: Ask::Retry, annotation: names::ANNOTATION_RETRY, with: None, verb: "run", undo: None },
    Way {
        ask: Ask::Resolve,
        annotation: names::ANNOTATION_RESOLVE,
        with: Some(names::ANNOTATION_RESOLVE_OUTPUT),
        verb: "run",
        undo: None,
    },
];

impl Way {
    /// Whether this way asks, or takes back, what the ask says.
    pub fn is_of(&self, ask: Ask) -> bool {
        self.ask == ask || self.undo == Some(ask)
    }

    /// What the annotations ask in this way.
    pub fn values<'a>(&self, annotations: Option<&'a BTreeMap<String, String>>) -> Vec<&'a str> {
        annotations
            .and_then(|annotations| annotations.get(self.annotation))
            .map(|text| listed(text))
            .unwrap_or_default()
    }
}

/// The values in an annotation, joined by commas.
pub fn listed(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).collect()
}

/// What was asked lately, as the webhook has stamped it: nobody else can have written it.
pub fn stamped(annotations: Option<&BTreeMap<String, String>>) -> Vec<Stamped> {
    let text = annotations.and_then(|annotations| annotations.get(names::ANNOTATION_REQUESTS));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Who asked for something; none when it was asked before there were stamps.
pub fn stamp_of(stamped: &[Stamped], ask: Ask, of: &str) -> Option<Stamp> {
    stamped.iter().find(|asked| asked.ask == ask && asked.of == of).map(|asked| asked.stamp.clone())
}

/// What the journal says about why something was asked: `what`, and by whom.
pub fn cause(what: &str, stamp: Option<&Stamp>) -> String {
    match stamp {
        Some(stamp) => format!("{what} by {}", stamp.by),
        None => what.to_owned(),
    }
}
