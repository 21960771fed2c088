//! The stored form of the ledger: versioned, and short enough for thousands of objects in one place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    Amounts, Declared, Escalation, Key, Ledger, Quota, Resource, WhenExceeded,
    ledger::{Committed, Entry, Pending},
};

/// The only version so far.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// By the text of the key.
    entries: BTreeMap<String, StoredEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    escalations: Vec<StoredEscalation>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    /// Uid, generation, declared.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    committed: Option<(String, i64, StoredDeclared)>,
    /// Uid, base generation, end in milliseconds since 1970, declared.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<(String, Option<i64>, i64, StoredDeclared)>,
}

/// Amounts are in the order of the resources; nothing stands for what is missing at the end.
#[derive(Serialize, Deserialize)]
struct StoredDeclared {
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    own: Vec<u64>,
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    quota: Vec<Option<u64>>,
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    escalates: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredEscalation {
    object: String,
    uid: String,
    base: Option<i64>,
    exhausted: String,
    resource: Resource,
    amount: u64,
    granted_by: String,
    at: i64,
    settled: bool,
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.entries.iter().map(|(key, entry)| (key.to_text(), write_entry(entry)));
        let escalations = self.escalations.iter().map(|escalation| StoredEscalation {
            object: escalation.object.to_text(),
            uid: escalation.uid.clone(),
            base: escalation.base,
            exhausted: escalation.exhausted.to_text(),
            resource: escalation.resource,
            amount: escalation.amount,
            granted_by: escalation.granted_by.to_text(),
            at: escalation.at.as_millisecond(),
            settled: escalation.is_settled,
        });
        Stored { version: VERSION, entries: entries.collect(), escalations: escalations.collect() }
            .serialize(serializer)
    }
}

fn write_entry(entry: &Entry) -> StoredEntry {
    let pending = |claim: &Pending| {
        (claim.uid.clone(), claim.base, claim.until.as_millisecond(), write_declared(&claim.declared))
    };
    StoredEntry {
        committed: entry.committed.as_ref().map(|c| (c.uid.clone(), c.generation, write_declared(&c.declared))),
        pending: entry.claims.iter().map(pending).collect(),
    }
}

fn write_declared(declared: &Declared) -> StoredDeclared {
    let mut own = Resource::ALL.map(|resource| declared.own.get(resource)).to_vec();
    let mut quota = Resource::ALL.map(|resource| declared.quota.bounds.get(&resource).copied()).to_vec();
    own.truncate(own.iter().rposition(|amount| *amount > 0).map_or(0, |last| last + 1));
    quota.truncate(quota.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
    StoredDeclared {
        parents: declared.parents.iter().map(Key::to_text).collect(),
        own,
        quota,
        escalates: declared.quota.when_exceeded == WhenExceeded::Escalate,
    }
}

impl<'de> Deserialize<'de> for Ledger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        if stored.version != VERSION {
            let message =
                format!("the ledger has version {}, and this program reads version {VERSION}", stored.version);
            return Err(D::Error::custom(message));
        }
        let entries = stored.entries.into_iter().map(|(key, entry)| Ok((read_key(&key)?, read_entry(entry)?)));
        let entries: BTreeMap<Key, Entry> = entries.collect::<Result<_, D::Error>>()?;
        let escalations = stored.escalations.into_iter().map(|stored| {
            Ok(Escalation {
                object: read_key(&stored.object)?,
                uid: stored.uid,
                base: stored.base,
                exhausted: read_key(&stored.exhausted)?,
                resource: stored.resource,
                amount: stored.amount,
                granted_by: read_key(&stored.granted_by)?,
                at: Timestamp::from_millisecond(stored.at).map_err(D::Error::custom)?,
                is_settled: stored.settled,
            })
        });
        Ok(Self::of(entries, escalations.collect::<Result<_, D::Error>>()?))
    }
}

fn read_key<E: serde::de::Error>(text: &str) -> Result<Key, E> {
    text.parse().map_err(E::custom)
}

fn read_entry<E: serde::de::Error>(stored: StoredEntry) -> Result<Entry, E> {
    let committed = stored
        .committed
        .map(|(uid, generation, declared)| Ok(Committed { uid, generation, declared: read_declared(declared)? }));
    let claims = stored.pending.into_iter().map(|(uid, base, until, declared)| {
        let until = Timestamp::from_millisecond(until).map_err(E::custom)?;
        Ok(Pending { uid, base, until, declared: read_declared(declared)? })
    });
    Ok(Entry { committed: committed.transpose()?, claims: claims.collect::<Result<_, E>>()? })
}

fn read_declared<E: serde::de::Error>(stored: StoredDeclared) -> Result<Declared, E> {
    if stored.own.len() > Resource::ALL.len() || stored.quota.len() > Resource::ALL.len() {
        return Err(E::custom("the ledger knows more resources than this program"));
    }
    let bounds = Resource::ALL.into_iter().zip(stored.quota).filter_map(|(resource, bound)| Some((resource, bound?)));
    Ok(Declared {
        parents: stored.parents.iter().map(|parent| read_key(parent)).collect::<Result<_, E>>()?,
        own: Resource::ALL.into_iter().zip(stored.own).collect::<Amounts>(),
        quota: Quota {
            bounds: bounds.collect(),
            when_exceeded: if stored.escalates { WhenExceeded::Escalate } else { WhenExceeded::Refuse },
        },
    })
}
