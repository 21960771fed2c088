//! Settles claims with what is seen as stored, and ends those of which nothing can come any more.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Declared, Key, Ledger,
    ledger::{Committed, Pending},
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

/// Takes up all objects that exist, and ends expired claims. What is not among them is gone, unless its creation is still
/// pending; so the list must be at least as new as the ledger. Says whether the ledger changed.
pub fn settle(ledger: &mut Ledger, objects: impl IntoIterator<Item = Observed>, now: Timestamp) -> bool {
    let mut seen = BTreeSet::new();
    let mut is_changed = false;
    for object in objects {
        seen.insert(object.key.clone());
        is_changed |= observe(ledger, object);
    }
    let gone: Vec<Key> = ledger.entries.keys().filter(|key| !seen.contains(*key)).cloned().collect();
    for key in gone {
        is_changed |= ledger.change(&key, |entry| entry.committed = None);
    }
    expire(ledger, now) | is_changed
}

/// Takes up one object that was seen. Older news than the ledger has is ignored. Says whether the ledger changed.
pub fn observe(ledger: &mut Ledger, object: Observed) -> bool {
    let Observed { key, uid, generation, declared } = object;
    let known = ledger.entries.get(&key).and_then(|entry| entry.committed.as_ref());
    if known.is_some_and(|known| known.uid == uid && known.generation > generation) {
        return false;
    }
    let is_resolved = |claim: &Pending| claim.uid == uid && claim.base.is_none_or(|base| generation > base);
    let resolved: Vec<Pending> = ledger
        .entries
        .get(&key)
        .into_iter()
        .flat_map(|e| e.claims.iter().filter(|c| is_resolved(c)).cloned())
        .collect();
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
        entry.committed = Some(Committed { uid: uid.clone(), generation, declared });
    })
}

/// Takes up that an object was deleted: what it had is free again. Says whether the ledger changed.
pub fn forget(ledger: &mut Ledger, key: &Key, uid: &str) -> bool {
    let is_changed = ledger.change(key, |entry| {
        entry.claims.retain(|claim| claim.uid != uid);
        entry.committed.take_if(|committed| committed.uid == uid);
    });
    drop_orphaned_escalations(ledger);
    is_changed
}

/// Ends claims of which nothing can come any more. Says whether the ledger changed.
pub fn expire(ledger: &mut Ledger, now: Timestamp) -> bool {
    let is_over = |claim: &Pending| claim.until <= now;
    let over: Vec<Key> = ledger
        .entries
        .iter()
        .filter(|(_, entry)| entry.claims.iter().any(is_over))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &over {
        ledger.change(key, |entry| entry.claims.retain(|claim| !is_over(claim)));
    }
    if !over.is_empty() {
        drop_orphaned_escalations(ledger);
    }
    !over.is_empty()
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
