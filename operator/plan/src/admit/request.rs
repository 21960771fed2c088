//! The protocol of requests about runs: who may make them, and which hand may write whose they are.
//!
//! A person writes one of the annotations of [`WAYS`]. The mutating review stamps who and when into `tetrarch.dev/requests`, one
//! stamp for each value that is new; the validating one asks whether they have the verb, and lets no other hand write the stamps.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tetrarch_core::workflow::stamp::Stamp;
use tetrarch_protocol::request::{Ask, Stamped};

use super::{
    finding::{Code, Finding},
    hold::Outcome,
    review::Manifest,
    situation::Situation,
    verdict::Check,
};
use crate::{
    names::{ANNOTATION_REQUESTS, ANNOTATION_RUN},
    request::{WAYS, Way, stamped},
};

/// Stamps that are kept on the object; those of what is still asked are never given up.
const KEPT: usize = 32;

/// How old a stamp may be when it is validated, and how far clocks of replicas may be apart.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

type Annotations = BTreeMap<String, String>;

/// Something that is newly asked.
struct Asked<'a> {
    way: &'static Way,
    ask: Ask,
    of: &'a str,
}

/// What a write asks that was not asked before.
fn asked<'a>(new: Option<&'a Annotations>, old: Option<&'a Annotations>) -> Vec<Asked<'a>> {
    let mut asked = Vec::new();
    for way in &WAYS {
        let (after, before) = (way.values(new), way.values(old));
        let get = |annotations: Option<&'a Annotations>| annotations?.get(way.with?);
        let is_another = get(new) != get(old);
        let added = after.iter().filter(|of| is_another || !before.contains(of));
        asked.extend(added.map(|of| Asked { way, ask: way.ask, of }));
        if let Some(undo) = way.undo {
            let taken = before.iter().filter(|of| !after.contains(of));
            asked.extend(taken.map(|of| Asked { way, ask: undo, of }));
        }
    }
    asked
}

/// The stamps that are kept when these are added.
fn with(mut stamps: Vec<Stamped>, asked: &[Asked<'_>], stamp: &Stamp, new: Option<&Annotations>) -> Vec<Stamped> {
    stamps.retain(|before| !asked.iter().any(|asked| asked.way.is_of(before.ask) && asked.of == before.of));
    let added = asked.iter().map(|asked| Stamped { ask: asked.ask, of: asked.of.to_owned(), stamp: stamp.clone() });
    stamps.extend(added);
    let mut too_many = stamps.len().saturating_sub(KEPT);
    let is_asked = |stamped: &Stamped| {
        WAYS.iter().any(|way| way.ask == stamped.ask && way.values(new).contains(&stamped.of.as_str()))
    };
    stamps.retain(|stamped| {
        let is_dropped = too_many > 0 && !is_asked(stamped);
        too_many -= usize::from(is_dropped);
        !is_dropped
    });
    stamps
}

impl<'a> Situation<'a> {
    /// The annotations of a Workflow, after and before the write; none for another kind.
    fn of_workflow(&self) -> Option<[Option<&'a Annotations>; 2]> {
        let Manifest::Workflow(new) = self.new else { return None };
        Some([new.metadata.annotations.as_ref(), self.old.and_then(|old| old.metadata().annotations.as_ref())])
    }

    /// Stamps what is asked, and keeps what was.
    pub(super) fn mark_requests(&self, outcome: &mut Outcome) {
        let Some([new, old]) = self.of_workflow() else { return };
        let asked = asked(new, old);
        if asked.is_empty() {
            let (is_there, kept) = (has_stamps(new), old.and_then(|old| old.get(ANNOTATION_REQUESTS)));
            // What was written by hand stays as it is and is refused, unless the object comes from a copy of another one.
            if !is_there || self.old.is_none() {
                self.set(ANNOTATION_REQUESTS, kept.cloned(), &mut outcome.patch);
            }
            return;
        }
        self.check_right(&asked, outcome);
        let at = Timestamp::from_second(self.now.as_second()).unwrap_or(self.now);
        let stamp = Stamp { by: self.review.user.name.clone(), at };
        let all = with(stamped(old), &asked, &stamp, new);
        self.set(ANNOTATION_REQUESTS, Some(json!(all).to_string()), &mut outcome.patch);
        let own = |asked: &Asked<'_>| Stamped { ask: asked.ask, of: asked.of.to_owned(), stamp: stamp.clone() };
        outcome.asked = asked.iter().map(own).collect();
    }

    /// Validates the stamps: they are what the mutating review writes, or as they were.
    pub(super) fn check_requests(&self, outcome: &mut Outcome) {
        let Some([new, old]) = self.of_workflow() else { return };
        let asked = asked(new, old);
        if asked.is_empty() {
            let get = |annotations: Option<&'a Annotations>| annotations?.get(ANNOTATION_REQUESTS);
            if get(new) != get(old) {
                outcome.denials.push(by_hand());
            }
            return;
        }
        self.check_right(&asked, outcome);
        let stamps = stamped(new);
        // The time is that of the mutating review.
        let is_ours = stamps.last().is_some_and(|last| {
            let stamp = Stamp { by: self.review.user.name.clone(), at: last.stamp.at };
            self.now.duration_since(stamp.at).abs() <= FRESH && stamps == with(stamped(old), &asked, &stamp, new)
        });
        if !is_ours {
            outcome.denials.push(by_hand());
        }
    }

    /// Whoever asks needs the right to.
    fn check_right(&self, asked: &[Asked<'_>], outcome: &mut Outcome) {
        let mut known: Vec<(&str, Ask)> = Vec::new();
        for asked in asked {
            let key = (asked.way.annotation, asked.ask);
            if known.contains(&key) {
                continue;
            }
            known.push(key);
            outcome.checks.push(Check::to_ask(self.review, asked.way, asked.ask));
        }
    }
}

fn has_stamps(annotations: Option<&Annotations>) -> bool {
    annotations.is_some_and(|annotations| annotations.contains_key(ANNOTATION_REQUESTS))
}

fn by_hand() -> Finding {
    Finding::denied(
        Code::Permission,
        format!("metadata.annotations[{ANNOTATION_REQUESTS}]"),
        "is written by hand, but only the webhook writes it, with the user that it knows",
        format!("leave it out; to ask for something, write an annotation such as {ANNOTATION_RUN}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(key, value)| (format!("tetrarch.dev/{key}"), (*value).to_owned())).collect()
    }

    fn stamp(by: &str) -> Stamp {
        Stamp { by: by.to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    fn told(stamps: &[Stamped]) -> Vec<String> {
        stamps.iter().map(|asked| format!("{} {} {}", asked.stamp.by, asked.ask.as_str(), asked.of)).collect()
    }

    #[test]
    fn whoever_pauses_and_lets_go_on_is_stamped_in_turn() {
        let paused = annotations(&[("pause", "w-1, w-2")]);
        let first = with(Vec::new(), &asked(Some(&paused), None), &stamp("ada"), Some(&paused));
        assert_eq!(told(&first), ["ada pause w-1", "ada pause w-2"]);
        let left = annotations(&[("pause", "w-2")]);
        let then = with(first, &asked(Some(&left), Some(&paused)), &stamp("bob"), Some(&left));
        assert_eq!(told(&then), ["ada pause w-2", "bob resume w-1"]);
        let again = with(then, &asked(Some(&paused), Some(&left)), &stamp("eve"), Some(&paused));
        assert_eq!(told(&again), ["ada pause w-2", "eve pause w-1"]);
    }

    #[test]
    fn stamps_of_what_is_still_asked_are_never_given_up() {
        let mut old = annotations(&[("pause", "w-paused")]);
        let mut stamps = with(Vec::new(), &asked(Some(&old), None), &stamp("ada"), Some(&old));
        for request in 0..100 {
            let mut new = old.clone();
            new.insert("tetrarch.dev/run".to_owned(), format!("r{request}"));
            stamps = with(stamps, &asked(Some(&new), Some(&old)), &stamp("bob"), Some(&new));
            old = new;
        }
        assert_eq!(stamps.len(), KEPT);
        assert_eq!(
            (&told(&stamps)[0], &told(&stamps)[KEPT - 1]),
            (&"ada pause w-paused".into(), &"bob run r99".into())
        );
    }
}
