//! Settles claims with what is seen as stored, and ends those of which nothing can come any more.
//!
//! Time alone never ends a claim: it may have been stored without the watch having shown it yet. Only a consistent read that
//! began after its end does.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    CLAIM_SECONDS, Declared, Key, Ledger,
    ledger::{Committed, Entry, Pending},
};

/// A version of an object that was seen as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The object.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// What it means for capacity.
    pub declared: Declared,
}

/// Takes up all objects that exist according to a consistent read that began at `as_of`. What is not among them is gone,
/// unless its creation is still pending; and what was claimed so long ago that it would be among them ends. Says whether the
/// ledger changed.
pub fn settle(ledger: &mut Ledger, objects: impl IntoIterator<Item = Observed>, as_of: Timestamp) -> bool {
    ledger.in_bulk(|ledger| {
        let mut unseen: BTreeSet<Key> = ledger.entries.keys().cloned().collect();
        let mut is_changed = false;
        for object in objects {
            let key = object.key.clone();
            unseen.remove(&key);
            is_changed |= look_up(ledger, &key, Some(object), as_of);
        }
        for key in unseen {
            is_changed |= look_up(ledger, &key, None, as_of);
        }
        is_changed
    })
}

/// Objects with claims that nobody can store any more, but may have been stored without being seen. Each is to be read
/// consistently and handed to [`look_up`].
pub fn overdue(ledger: &Ledger, now: Timestamp) -> Vec<Key> {
    let is_overdue = |entry: &Entry| entry.claims.iter().any(|claim| claim.until <= now);
    ledger.entries.iter().filter(|(_, entry)| is_overdue(entry)).map(|(key, _)| key.clone()).collect()
}

/// Takes up what one consistent read of an object, begun at `as_of`, has found. Claims that ended before are over now,
/// because their outcome would have been found. Says whether the ledger changed.
pub fn look_up(ledger: &mut Ledger, key: &Key, found: Option<Observed>, as_of: Timestamp) -> bool {
    let uid = found.as_ref().map(|object| object.uid.clone());
    let seen = found.is_some_and(|object| observe(ledger, object, as_of));
    let cleaned = ledger.change(key, |entry| {
        // What is changed must exist; what is created may still come.
        let is_possible = |claim: &Pending| claim.base.is_none() || Some(&claim.uid) == uid.as_ref();
        entry.claims.retain(|claim| claim.until > as_of && is_possible(claim));
        if uid.is_none() {
            entry.committed = None;
        }
    });
    drop_orphaned_escalations(ledger);
    seen | cleaned
}

/// Takes up one object from a watch, which may be late. Older news than the ledger has is ignored; and when the object has
/// another uid than the known one, both count until one is known to be gone. Says whether the ledger changed.
pub fn observe(ledger: &mut Ledger, object: Observed, now: Timestamp) -> bool {
    let Observed { key, uid, generation, declared } = object;
    let known = ledger.entries.get(&key).and_then(|entry| entry.committed.clone());
    if known.as_ref().is_some_and(|known| known.uid == uid && known.generation > generation) {
        return false;
    }
    let other = known.filter(|known| known.uid != uid);
    let is_resolved = |claim: &Pending| {
        let is_same = claim.base == Some(generation) && claim.declared == declared;
        claim.uid == uid && (claim.base.is_none_or(|base| generation > base) || is_same)
    };
    let claims = ledger.entries.get(&key).into_iter().flat_map(|entry| &entry.claims);
    let resolved: Vec<Pending> = claims.filter(|claim| is_resolved(claim)).cloned().collect();
    // The claim that was stored makes its escalations true, the others never happened.
    for claim in resolved.iter().filter(|claim| claim.declared == declared) {
        for escalation in &mut ledger.escalations {
            if escalation.object == key && escalation.uid == uid && escalation.base == claim.base {
                escalation.is_settled = true;
            }
        }
    }
    for claim in &resolved {
        ledger.escalations.retain(|e| e.is_settled || e.object != key || e.uid != uid || e.base != claim.base);
    }
    ledger.change(&key, |entry| {
        entry.claims.retain(|claim| !is_resolved(claim));
        entry.claims.extend(other.map(|known| Pending {
            uid: known.uid,
            base: Some(known.generation),
            until: end_of_claim(now),
            declared: known.declared,
        }));
        entry.committed = Some(Committed { uid: uid.clone(), generation, declared: declared.clone() });
    })
}

/// Takes up from a watch that an object was deleted: what it had is free again. Says whether the ledger changed.
pub fn forget(ledger: &mut Ledger, key: &Key, uid: &str) -> bool {
    let is_changed = ledger.change(key, |entry| {
        entry.claims.retain(|claim| claim.uid != uid);
        entry.committed.take_if(|committed| committed.uid == uid);
    });
    drop_orphaned_escalations(ledger);
    is_changed
}

/// When a claim of now ends, as precise as the stored form.
pub(super) fn end_of_claim(now: Timestamp) -> Timestamp {
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    now.saturating_add(SignedDuration::from_secs(CLAIM_SECONDS)).unwrap_or(Timestamp::MAX)
}

/// Escalations of claims that ended without being seen as stored never happened.
fn drop_orphaned_escalations(ledger: &mut Ledger) {
    let entries = &ledger.entries;
    ledger.escalations.retain(|escalation| {
        escalation.is_settled
            || entries.get(&escalation.object).is_some_and(|entry| {
                entry.claims.iter().any(|claim| claim.uid == escalation.uid && claim.base == escalation.base)
            })
    });
}
