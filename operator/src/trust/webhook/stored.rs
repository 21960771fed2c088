//! The webhook's authorities and certificate as entries of their Secret, and what one step of the rotation makes of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tetrarch_plan::{
    names,
    rotation::{Next, State, Step},
};

use super::{CERTIFICATE_ENTRY, KEY_ENTRY, SECRET, server_names};
use crate::trust::certificate::{self, Error, Facts, Pair, Server};

const AUTHORITY: [&str; 2] = ["ca.crt", "ca.key"];
const NEXT_AUTHORITY: [&str; 2] = ["next-ca.crt", "next-ca.key"];
const RETIRED: &str = "retired-ca.crt";

const PUBLISHED_AT: &str = "tetrarch.dev/next-authority-published-at";
const RETIRED_UNTIL: &str = "tetrarch.dev/retired-authorities-until";

/// What the Secret holds. It has no `Debug`: the keys are secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The authority that signs.
    current: Option<Pair>,
    /// The one that will sign next.
    next: Option<Pair>,
    /// Since when the next one is published.
    published: Option<Timestamp>,
    /// Certificates of authorities that are only trusted, PEM.
    retired: String,
    /// Until when they are.
    retired_until: Option<Timestamp>,
    /// The certificate that is served.
    served: Option<Pair>,
    /// The version that was read; none before the first write.
    pub version: Option<String>,
    /// The Secret's type, which can never change.
    kind: Option<String>,
}

fn facts(pair: Option<&Pair>) -> Option<Facts> {
    certificate::read(&pair?.certificate).ok()
}

impl Stored {
    /// Reads a Secret. Entries that cannot be read count as absent, so they are made anew.
    pub fn of(secret: &Secret) -> Self {
        let entry = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
        let pair = |[certificate, key]: [&str; 2]| Some(Pair { certificate: entry(certificate)?, key: entry(key)? });
        let time = |key: &str| secret.metadata.annotations.as_ref()?.get(key)?.parse().ok();
        Self {
            current: pair(AUTHORITY),
            next: pair(NEXT_AUTHORITY),
            published: time(PUBLISHED_AT),
            retired: entry(RETIRED).unwrap_or_default(),
            retired_until: time(RETIRED_UNTIL),
            served: pair([CERTIFICATE_ENTRY, KEY_ENTRY]),
            version: secret.metadata.resource_version.clone(),
            kind: secret.type_.clone(),
        }
    }

    /// The Secret to write.
    pub fn to_secret(&self) -> Secret {
        let mut entries = BTreeMap::new();
        let pairs =
            [(AUTHORITY, &self.current), (NEXT_AUTHORITY, &self.next), ([CERTIFICATE_ENTRY, KEY_ENTRY], &self.served)];
        for ([certificate, key], pair) in pairs {
            if let Some(pair) = pair {
                entries.insert(certificate, &pair.certificate);
                entries.insert(key, &pair.key);
            }
        }
        if !self.retired.is_empty() {
            entries.insert(RETIRED, &self.retired);
        }
        let times = [(PUBLISHED_AT, self.published), (RETIRED_UNTIL, self.retired_until)];
        let labels = [(names::LABEL_MANAGED_BY, names::MANAGED_BY), ("app.kubernetes.io/part-of", names::MANAGED_BY)];
        Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                resource_version: self.version.clone(),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                annotations: Some(
                    times.into_iter().filter_map(|(key, time)| Some((key.to_owned(), time?.to_string()))).collect(),
                ),
                ..ObjectMeta::default()
            },
            data: Some(
                entries.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.clone().into()))).collect(),
            ),
            type_: Some(self.kind.clone().unwrap_or_else(|| "Opaque".to_owned())),
            ..Secret::default()
        }
    }

    /// What the rotation is decided on.
    pub fn state(&self) -> State {
        let (current, served) = (facts(self.current.as_ref()), facts(self.served.as_ref()));
        let signed = current.as_ref().zip(served.as_ref()).is_some_and(|(ca, leaf)| ca.subject == leaf.issuer);
        State {
            current: current.map(|facts| facts.validity()),
            next: facts(self.next.as_ref()).map(|facts| Next { validity: facts.validity(), published: self.published }),
            retired_until: self.retired_until,
            certificate: served.map(|facts| facts.validity()),
            signed_by_current: signed,
        }
    }

    /// All authorities that are to be trusted, PEM; empty before the first one is made.
    pub fn bundle(&self) -> String {
        let authorities = [&self.current, &self.next].into_iter().flatten().map(|pair| pair.certificate.as_str());
        authorities.chain([self.retired.as_str()]).collect()
    }

    /// Keeps on trusting what was trusted before this Secret was made, until then.
    pub fn adopt(&mut self, bundle: &str, until: Timestamp) {
        let readable = CertificateDer::pem_slice_iter(bundle.as_bytes()).all(|found| found.is_ok());
        if self.bundle().is_empty() && readable && !bundle.is_empty() {
            bundle.clone_into(&mut self.retired);
            self.retired_until = Some(until);
        }
    }

    /// What it is after a step. `mark` tells the name of a new authority from those of all others.
    pub fn after(mut self, step: Step, namespace: &str, now: Timestamp, mark: u32) -> Result<Self, Error> {
        let sign = |authority: &Option<Pair>, validity| {
            let authority = authority.as_ref().ok_or_else(|| Error::Read("there is no authority".to_owned()))?;
            let server = Server { name: SECRET, names: server_names(namespace), client: false };
            certificate::make_server(authority, server, validity).map(Some)
        };
        match step {
            Step::MakeAuthority(validity) => {
                let name = format!("tetrarch webhook authority {} {mark:08x}", validity.from.strftime("%F %T"));
                self.next = Some(certificate::make_authority(&name, validity)?);
                self.published = None;
            }
            Step::NotePublished => self.published = Some(now),
            Step::Promote { retired_until, certificate } => {
                self.served = sign(&self.next, certificate)?;
                if let Some(before) = std::mem::replace(&mut self.current, self.next.take()) {
                    self.retired.push_str(&before.certificate);
                }
                self.retired_until = retired_until;
                self.published = None;
                if retired_until.is_none() {
                    self.retired.clear();
                }
            }
            Step::Sign(validity) => self.served = sign(&self.current, validity)?,
            Step::DropRetired => {
                self.retired.clear();
                self.retired_until = None;
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tetrarch_plan::rotation::{Lifetimes, next_step};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn lifetimes() -> Lifetimes {
        Lifetimes::new(Duration::from_mins(1), Duration::from_mins(10)).unwrap()
    }

    fn settle(mut stored: Stored, now: Timestamp) -> Stored {
        while let Some(step) = next_step(&stored.state(), now, &lifetimes(), true) {
            stored = Stored::of(&stored.after(step, "here", now, 1).unwrap().to_secret());
        }
        stored
    }

    fn count(bundle: &str) -> usize {
        CertificateDer::pem_slice_iter(bundle.as_bytes()).count()
    }

    #[test]
    fn a_secret_that_is_written_and_read_back_goes_on_where_it_was() {
        let first = settle(Stored::default(), at(0));
        assert!(Stored::of(&first.to_secret()) == Stored { kind: Some("Opaque".to_owned()), ..first.clone() });
        assert_eq!(count(&first.bundle()), 1);
        // The certificate is replaced, its authority stays.
        let renewed = settle(first.clone(), at(40));
        assert!(renewed.served != first.served);
        assert!(renewed.bundle() == first.bundle());
        // The next authority is trusted before it signs, the one before after it did.
        let announced = settle(settle(renewed, at(380)), at(400));
        assert_eq!(count(&announced.bundle()), 2);
        assert!(announced.current == first.current);
        let promoted = settle(announced, at(406));
        assert_eq!(count(&promoted.bundle()), 2);
        assert!(promoted.current != first.current);
        let cleaned = settle(promoted, at(470));
        assert_eq!(count(&cleaned.bundle()), 1);
    }

    #[test]
    fn a_secret_that_was_deleted_does_not_end_trust_in_what_is_still_served() {
        let lost = settle(Stored::default(), at(0)).bundle();
        let mut stored = Stored::default();
        stored.adopt(&lost, at(60));
        let stored = settle(stored, at(1));
        assert!(stored.bundle().contains(&lost));
        assert_eq!(count(&settle(stored, at(60)).bundle()), 1);
    }

    #[test]
    fn entries_that_cannot_be_read_are_made_anew() {
        let mut secret = settle(Stored::default(), at(0)).to_secret();
        for value in secret.data.as_mut().unwrap().values_mut() {
            *value = ByteString(b"nonsense".to_vec());
        }
        let healed = settle(Stored::of(&secret), at(1));
        assert!(healed.state().signed_by_current);
    }
}
