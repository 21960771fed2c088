//! The ledger: for each object the version that exists and the versions that may come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Amounts, Key, Resource, index::Index};
use crate::policy::Level;

/// Escalations that are remembered; the oldest are forgotten.
pub(super) const MAX_ESCALATIONS: usize = 64;

/// What happens when the children of a node ask for more than its quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WhenExceeded {
    /// The child is refused.
    #[default]
    Refuse,
    /// The level above is asked for the rest.
    Escalate,
}

/// What a node gives to its children.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quota {
    /// The bounds; what is missing is bounded by the next level above that bounds it.
    pub bounds: BTreeMap<Resource, u64>,
    /// What happens beyond them.
    pub when_exceeded: WhenExceeded,
}

impl Quota {
    /// The bound of a resource at a level, when it is one that refuses. Above an Orchestrator there is nobody to ask.
    fn refusing(&self, level: Level, resource: Resource) -> Option<u64> {
        let refuses = self.when_exceeded == WhenExceeded::Refuse || level == Level::Orchestrator;
        self.bounds.get(&resource).copied().filter(|_| refuses)
    }
}

/// What one version of an object means for capacity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// The nodes that can be its parent, the nearest first: the first one that is in the ledger is. So a pool names its
    /// Supervisor and its Domain, and counts for the Domain while the Supervisor does not exist yet.
    pub parents: Vec<Key>,
    /// What it needs itself, beside its quota: a pool's agents, a Supervisor's own pods.
    pub own: Amounts,
    /// What it gives to its children; empty for a pool.
    pub quota: Quota,
}

impl Declared {
    /// What it asks of its parent when its children ask for so much.
    pub(super) fn demand(&self, children: Amounts) -> Amounts {
        let reserved: Amounts = self.quota.bounds.iter().map(|(resource, bound)| (*resource, *bound)).collect();
        reserved.or_larger(children).plus(self.own)
    }
}

/// A version that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) declared: Declared,
}

/// A version that may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) uid: String,
    /// The generation that is changed; none when the object is created.
    pub(super) base: Option<i64>,
    pub(super) until: Timestamp,
    pub(super) declared: Declared,
}

/// An object: at least one of both is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) committed: Option<Committed>,
    pub(super) claims: Vec<Pending>,
}

impl Entry {
    /// All versions that exist or may come.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Declared> {
        self.committed.iter().map(|c| &c.declared).chain(self.claims.iter().map(|c| &c.declared))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_none() && self.claims.is_empty()
    }

    /// The smallest bound that refuses, over all versions.
    pub(super) fn bound(&self, level: Level, resource: Resource) -> Option<u64> {
        self.versions().filter_map(|declared| declared.quota.refusing(level, resource)).min()
    }

    /// The smallest quota, whether it refuses or escalates, over all versions.
    pub(super) fn quota(&self, resource: Resource) -> Option<u64> {
        self.versions().filter_map(|declared| declared.quota.bounds.get(&resource).copied()).min()
    }
}

/// The record of an allocation that went beyond a quota and was granted by a level above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The object that needed more.
    pub object: Key,
    /// Its uid, which tells versions of one name apart.
    pub uid: String,
    /// The generation that was changed; none when the object was created.
    pub base: Option<i64>,
    /// The level whose quota did not suffice.
    pub exhausted: Key,
    /// Of what.
    pub resource: Resource,
    /// How much beyond the quota, in the base unit.
    pub amount: u64,
    /// The level that had room.
    pub granted_by: Key,
    /// When.
    pub at: Timestamp,
    /// Whether the change was seen as stored; before that it may still fail.
    pub is_settled: bool,
}

impl Escalation {
    /// What tells it apart from all others.
    pub fn id(&self) -> (&str, Option<i64>, &Key, Resource) {
        (&self.uid, self.base, &self.exhausted, self.resource)
    }
}

/// The ledger of one Orchestrator.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(super) entries: BTreeMap<Key, Entry>,
    pub(super) escalations: Vec<Escalation>,
    pub(super) index: Index,
    /// Whether what is derived waits for the end of many changes.
    is_in_bulk: bool,
}

/// Equal when they say the same; what is derived does not count.
impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.escalations == other.escalations
    }
}

impl Eq for Ledger {}

impl Ledger {
    /// Objects in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Claims whose outcome is not known.
    pub fn claims(&self) -> usize {
        self.entries.values().map(|entry| entry.claims.len()).sum()
    }

    /// When the next claim expires.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.entries.values().flat_map(|entry| &entry.claims).map(|claim| claim.until).min()
    }

    /// Objects with claims whose outcome is not known.
    pub fn open(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().filter(|(_, entry)| !entry.claims.is_empty()).map(|(key, _)| key)
    }

    /// Objects that exist, with their uids.
    pub fn committed(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.committed.as_ref()?.uid.as_str())))
    }

    /// The uid of an object that exists.
    pub fn uid(&self, key: &Key) -> Option<&str> {
        self.entries.get(key)?.committed.as_ref().map(|committed| committed.uid.as_str())
    }

    /// Whether a version of an object with this uid exists, or may come while none exists.
    pub fn expects(&self, key: &Key, uid: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| match &entry.committed {
            Some(committed) => committed.uid == uid,
            None => entry.claims.iter().any(|claim| claim.uid == uid),
        })
    }

    /// The recorded escalations, the oldest first.
    pub fn escalations(&self) -> &[Escalation] {
        &self.escalations
    }

    /// Whether an object is in it.
    pub fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// What the children of a node ask for together.
    pub(super) fn children(&self, key: &Key) -> Amounts {
        self.index.sum(key)
    }

    /// A ledger with these entries.
    pub(super) fn of(entries: BTreeMap<Key, Entry>, escalations: Vec<Escalation>) -> Self {
        let index = Index::of(&entries);
        Self { entries, escalations, index, is_in_bulk: false }
    }

    /// Does many changes and derives what follows from them once. Says whether anything changed.
    pub(super) fn in_bulk(&mut self, changes: impl FnOnce(&mut Self) -> bool) -> bool {
        self.is_in_bulk = true;
        let is_changed = changes(self);
        self.is_in_bulk = false;
        if is_changed {
            self.index = Index::of(&self.entries);
        }
        is_changed
    }

    /// Changes an entry and everything that is derived from it. An entry that is left empty is removed.
    /// Says whether anything changed.
    pub(super) fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) -> bool {
        let before = self.entries.get(key).cloned();
        let mut after = before.clone().unwrap_or_default();
        change(&mut after);
        if before.as_ref().map_or(after.is_empty(), |before| *before == after) {
            return false;
        }
        if self.is_in_bulk {
            self.put(key, after);
            return true;
        }
        // A node that comes or goes may be the parent of others.
        let is_structural = before.is_none() != after.is_empty();
        if is_structural && key.level != Level::AgentPool {
            self.put(key, after);
            self.index = Index::of(&self.entries);
        } else {
            self.put(key, after);
            self.index.update(&self.entries, key);
        }
        true
    }

    fn put(&mut self, key: &Key, entry: Entry) {
        if entry.is_empty() {
            self.entries.remove(key);
        } else {
            self.entries.insert(key.clone(), entry);
        }
    }
}
