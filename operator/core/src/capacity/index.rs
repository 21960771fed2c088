//! What follows from the entries: who gives how much to which parent, and the sums. Kept up to date change by change.

use std::collections::BTreeMap;

use super::{Amounts, Declared, Key, Resource, ledger::Entry};

/// Sums of what children ask for. They have more bits than amounts, so that nothing is lost and all can be taken back.
type Sum = [u128; 7];

/// The derived part of a ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    sums: BTreeMap<Key, Sum>,
    /// What each object asks of each of its parents; of more than one only while it moves.
    asked: BTreeMap<Key, Vec<(Key, Amounts)>>,
}

/// The node to which a version belongs.
pub(super) fn parent<'d>(entries: &BTreeMap<Key, Entry>, key: &Key, declared: &'d Declared) -> Option<&'d Key> {
    declared.parents.iter().find(|parent| parent.level < key.level && entries.contains_key(parent))
}

/// Of objects that move, where they are assumed to be.
type Places = BTreeMap<Key, Key>;

/// More objects that move at once than these are assumed to be at both ends.
const MAX_MOVING: usize = 3;

impl Index {
    pub(super) fn of(entries: &BTreeMap<Key, Entry>) -> Self {
        Self::with_places(entries, &Places::new())
    }

    fn with_places(entries: &BTreeMap<Key, Entry>, places: &Places) -> Self {
        let mut index = Self::default();
        // The lowest levels are the last keys, so every sum is complete when its node is reached.
        for key in entries.keys().rev() {
            index.refresh(entries, key, places.get(key));
        }
        index
    }

    /// Objects of which one version has another parent than the other.
    fn moving(&self) -> impl Iterator<Item = (&Key, &[(Key, Amounts)])> {
        self.asked.iter().filter(|(_, asked)| asked.len() > 1).map(|(key, asked)| (key, asked.as_slice()))
    }

    /// Whether any object moves.
    pub(super) fn has_moving(&self) -> bool {
        self.moving().next().is_some()
    }

    /// One index for each way in which the moving objects can be at one of their ends: together they say how much can be
    /// asked at once of a node that is above both ends. Only this one when too many move.
    pub(super) fn possible(&self, entries: &BTreeMap<Key, Entry>) -> Vec<Self> {
        if self.moving().count() > MAX_MOVING {
            return vec![self.clone()];
        }
        let mut places = vec![Places::new()];
        for (key, ends) in self.moving() {
            let at = |place: &Places, end: &Key| {
                place.iter().chain([(key, end)]).map(|(k, e)| (k.clone(), e.clone())).collect()
            };
            places = places.iter().flat_map(|place| ends.iter().map(move |(end, _)| at(place, end))).collect();
        }
        places.iter().map(|places| Self::with_places(entries, places)).collect()
    }

    /// The sum of what the children of a node ask for.
    pub(super) fn sum(&self, key: &Key) -> Amounts {
        let sum = self.sums.get(key).copied().unwrap_or_default();
        Resource::ALL.iter().map(|r| (*r, u64::try_from(sum[*r as usize]).unwrap_or(u64::MAX))).collect()
    }

    /// What an object asks of each of its parents.
    pub(super) fn asked(&self, key: &Key) -> &[(Key, Amounts)] {
        self.asked.get(key).map_or(&[], Vec::as_slice)
    }

    /// The objects that ask something of a node, with how much.
    pub(super) fn children<'i>(&'i self, of: &'i Key) -> impl Iterator<Item = (&'i Key, Amounts)> {
        self.asked.iter().flat_map(move |(child, asked)| {
            asked.iter().filter(move |(parent, _)| parent == of).map(move |(_, amounts)| (child, *amounts))
        })
    }

    /// Takes up what changed in an entry, and what that changes above it.
    pub(super) fn update(&mut self, entries: &BTreeMap<Key, Entry>, key: &Key) {
        for parent in self.refresh(entries, key, None) {
            self.update(entries, &parent);
        }
    }

    /// Takes up what changed in an entry; the parents for which something changed.
    fn refresh(&mut self, entries: &BTreeMap<Key, Entry>, key: &Key, place: Option<&Key>) -> Vec<Key> {
        let mut asked: BTreeMap<Key, Amounts> = BTreeMap::new();
        let children = self.sum(key);
        for declared in entries.get(key).into_iter().flat_map(Entry::versions) {
            let parent = parent(entries, key, declared).filter(|parent| place.is_none_or(|place| place == *parent));
            if let Some(parent) = parent {
                let largest = asked.entry(parent.clone()).or_default();
                *largest = largest.or_larger(declared.demand(children));
            }
        }
        let asked: Vec<(Key, Amounts)> = asked.into_iter().collect();
        let before =
            if asked.is_empty() { self.asked.remove(key) } else { self.asked.insert(key.clone(), asked.clone()) };
        let before = before.unwrap_or_default();
        if before == asked {
            return Vec::new();
        }
        for (parent, amounts) in &before {
            self.adjust(parent, *amounts, u128::saturating_sub);
        }
        for (parent, amounts) in &asked {
            self.adjust(parent, *amounts, u128::saturating_add);
        }
        let mut parents: Vec<Key> = before.into_iter().chain(asked).map(|(parent, _)| parent).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    fn adjust(&mut self, key: &Key, amounts: Amounts, join: impl Fn(u128, u128) -> u128) {
        let sum = self.sums.entry(key.clone()).or_default();
        for (resource, amount) in amounts.iter() {
            let at = &mut sum[resource as usize];
            *at = join(*at, u128::from(amount));
        }
        if *sum == Sum::default() {
            self.sums.remove(key);
        }
    }
}
