//! Books a claim: at every level there is room, or nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Amounts, Declared, Escalation, Key, Ledger, Refusal, Resource, Shortage, index,
    ledger::{Entry, MAX_ESCALATIONS, Pending, WhenExceeded},
    settle::end_of_claim,
};
use crate::policy::Level;

/// Changes of one object that can be on their way at once.
const MAX_CLAIMS: usize = 64;
/// Children that a refusal names.
const NAMED_CHILDREN: usize = 3;

/// A version of an object that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The object.
    pub key: Key,
    /// Its uid, which is known before it is stored.
    pub uid: String,
    /// The generation that is changed; none when the object is created, [`UNKNOWN_GENERATION`] when nobody has said which.
    pub base: Option<i64>,
    /// What the new version means for capacity.
    pub declared: Declared,
}

/// Stands for the generation that a change starts from where the request does not tell it, as a change of the `scale`
/// subresource does not. No object ever has it, so such a claim ends by its time only.
pub const UNKNOWN_GENERATION: i64 = i64::MAX;

/// Whether a change that starts from `base` takes the place of this generation of the same object.
fn replaces(base: Option<i64>, generation: i64) -> bool {
    base.is_some_and(|base| base == generation || base == UNKNOWN_GENERATION)
}

/// A booked claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Whether the ledger changed and must be stored before the request is admitted.
    pub is_written: bool,
    /// What went beyond quotas and was granted by levels above.
    pub escalations: Vec<Escalation>,
}

/// A node as it was before a claim.
#[derive(Clone)]
struct Before {
    key: Key,
    children: Amounts,
    bounds: [Option<u64>; 7],
}

/// Books a claim until its outcome is seen. A claim that makes nothing worse is never refused, even where more is booked than
/// there is. When it is refused the ledger is as before.
pub fn book(ledger: &mut Ledger, claim: Claim, now: Timestamp) -> Result<Grant, Refusal> {
    // As precise as the stored form.
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let Claim { key, uid, base, declared } = claim;
    if let Some(entry) = ledger.entries.get(&key) {
        let exists =
            |c: &super::ledger::Committed| c.uid == uid && Some(c.generation) == base && c.declared == declared;
        if entry.committed.as_ref().is_some_and(exists) {
            return Ok(Grant::default());
        }
        if entry.claims.len() >= MAX_CLAIMS {
            let claims = entry.claims.len();
            return Err(Shortage::TooManyClaims { object: key, claims }.into());
        }
    }
    let was_moving = ledger.index.has_moving();
    let until = end_of_claim(now);
    let unchanged = ledger.entries.get(&key).cloned();
    let path = path(ledger, &key, &declared);
    // Only the version that is replaced makes room. Whatever else is known of the object may be gone, or may never come.
    let replaced = Entry {
        committed: unchanged
            .as_ref()
            .and_then(|entry| entry.committed.clone())
            .filter(|committed| committed.uid == uid && replaces(base, committed.generation)),
        claims: Vec::new(),
    };
    ledger.change(&key, |entry| *entry = replaced.clone());
    let before = snapshot(ledger, path);
    ledger.change(&key, |entry| *entry = unchanged.clone().unwrap_or_default());
    ledger.change(&key, |entry| {
        // The same request again, because the outcome of the first write of the ledger was not known.
        entry.claims.retain(|held| !(held.uid == uid && held.base == base && held.declared == declared));
        entry.claims.push(Pending { uid: uid.clone(), base, until, declared });
    });
    let mut refused = refusal(ledger, &key, &before, &sums(ledger, &before));
    if (was_moving || ledger.index.has_moving()) && is_exceeded(ledger, &before) {
        // What moves is counted at both ends so far.
        let after = possible_sums(ledger, &before);
        let mut without = ledger.clone();
        without.change(&key, |entry| *entry = replaced);
        let possible = possible_sums(&without, &before);
        let before: Vec<Before> =
            before.iter().zip(possible).map(|(before, children)| Before { children, ..before.clone() }).collect();
        refused = refusal(ledger, &key, &before, &after);
    }
    if let Some(refusal) = refused {
        ledger.change(&key, |entry| *entry = unchanged.unwrap_or_default());
        return Err(refusal);
    }
    let escalations: Vec<Escalation> = escalated(ledger, &before)
        .into_iter()
        .map(|(exhausted, resource, amount, granted_by)| Escalation {
            object: key.clone(),
            uid: uid.clone(),
            base,
            exhausted,
            resource,
            amount,
            granted_by,
            at: now,
            is_settled: false,
        })
        .collect();
    ledger.escalations.extend(escalations.iter().cloned());
    let surplus = ledger.escalations.len().saturating_sub(MAX_ESCALATIONS);
    ledger.escalations.drain(..surplus);
    Ok(Grant { is_written: true, escalations })
}

/// The object and everything above it, the lowest level first.
fn path(ledger: &Ledger, key: &Key, declared: &Declared) -> Vec<Key> {
    let mut path = vec![key.clone()];
    path.extend(index::parent(&ledger.entries, key, declared).cloned());
    let mut at = 0;
    while let Some(node) = path.get(at).cloned() {
        for (parent, _) in ledger.index.asked(&node) {
            if !path.contains(parent) {
                path.push(parent.clone());
            }
        }
        // Those that ask for nothing have parents as well.
        for version in ledger.entries.get(&node).into_iter().flat_map(Entry::versions) {
            if let Some(parent) = index::parent(&ledger.entries, &node, version).filter(|p| !path.contains(p)) {
                path.push(parent.clone());
            }
        }
        at += 1;
    }
    path.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.cmp(b)));
    path
}

fn snapshot(ledger: &Ledger, path: Vec<Key>) -> Vec<Before> {
    let before =
        |key: Key| Before { children: ledger.children(&key), bounds: bounds(ledger.entries.get(&key), key.level), key };
    path.into_iter().map(before).collect()
}

fn bounds(entry: Option<&Entry>, level: Level) -> [Option<u64>; 7] {
    Resource::ALL.map(|resource| entry.and_then(|entry| entry.bound(level, resource)))
}

/// What the children of each node ask for.
fn sums(ledger: &Ledger, path: &[Before]) -> Vec<Amounts> {
    path.iter().map(|before| ledger.children(&before.key)).collect()
}

/// The same, with what moves at the worst of its ends instead of at both.
fn possible_sums(ledger: &Ledger, path: &[Before]) -> Vec<Amounts> {
    let possible = ledger.index.possible(&ledger.entries);
    let worst = |key: &Key| possible.iter().fold(Amounts::NONE, |worst, index| worst.or_larger(index.sum(key)));
    path.iter().map(|before| worst(&before.key)).collect()
}

/// Whether anything on the path seems to have too little.
fn is_exceeded(ledger: &Ledger, path: &[Before]) -> bool {
    path.iter().any(|before| {
        let bounds = bounds(ledger.entries.get(&before.key), before.key.level);
        let children = ledger.children(&before.key);
        Resource::ALL.into_iter().any(|r| bounds[r as usize].is_some_and(|bound| children.get(r) > bound))
    })
}

/// The first level that has no room for what changed, from the object upwards. `sums` are what the children on the path ask
/// for now.
fn refusal(ledger: &Ledger, object: &Key, path: &[Before], sums: &[Amounts]) -> Option<Refusal> {
    path.iter().zip(sums).find_map(|(before, children)| {
        let bounds = bounds(ledger.entries.get(&before.key), before.key.level);
        Resource::ALL.into_iter().find_map(|resource| {
            let bound = bounds[resource as usize]?;
            let (was, is) = (before.children.get(resource), children.get(resource));
            let is_lower = before.bounds[resource as usize].is_none_or(|old| bound < old);
            let is_worse = is > was || (is_lower && before.key == *object);
            if is <= bound || !is_worse {
                return None;
            }
            let unsettled = is.saturating_sub(settled(ledger, &before.key).get(resource));
            let shortage = if before.key == *object {
                let largest = largest(ledger, object, resource);
                Shortage::BelowBooked { object: object.clone(), resource, bound, booked: is, largest, unsettled }
            } else {
                Shortage::NoRoom {
                    object: object.clone(),
                    level: before.key.clone(),
                    resource,
                    wanted: is - was,
                    free: bound.saturating_sub(was),
                    bound,
                    // What the refused claim itself asks for is not held by others.
                    unsettled: unsettled.saturating_sub(is - was),
                }
            };
            Some(shortage.into())
        })
    })
}

/// What the children of a node would ask for if nothing were pending. Only what is above a claim can differ.
fn settled(ledger: &Ledger, key: &Key) -> Amounts {
    let mut below: BTreeMap<&Key, BTreeSet<&Key>> = BTreeMap::new();
    let mut pending: Vec<&Key> =
        ledger.entries.iter().filter(|(_, entry)| !entry.claims.is_empty()).map(|(key, _)| key).collect();
    while let Some(child) = pending.pop() {
        for (parent, _) in ledger.index.asked(child) {
            if below.entry(parent).or_default().insert(child) {
                pending.push(parent);
            }
        }
    }
    settled_below(ledger, key, &below)
}

fn settled_below(ledger: &Ledger, key: &Key, below: &BTreeMap<&Key, BTreeSet<&Key>>) -> Amounts {
    let mut sum = ledger.children(key);
    for child in below.get(key).into_iter().flatten() {
        let asked = ledger.index.asked(child).iter().filter(|(parent, _)| parent == key);
        sum = asked.fold(sum, |sum, (_, amounts)| sum.minus(*amounts));
        let committed = ledger.entries.get(*child).and_then(|entry| entry.committed.as_ref());
        if let Some(committed) = committed
            && index::parent(&ledger.entries, child, &committed.declared) == Some(key)
        {
            sum = sum.plus(committed.declared.demand(settled_below(ledger, child, below)));
        }
    }
    sum
}

fn largest(ledger: &Ledger, key: &Key, resource: Resource) -> Vec<(Key, u64)> {
    let children = ledger.index.children(key).map(|(child, amounts)| (child.clone(), amounts.get(resource)));
    let mut children: Vec<(Key, u64)> = children.filter(|(_, amount)| *amount > 0).collect();
    children.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    children.truncate(NAMED_CHILDREN);
    children
}

/// What newly goes beyond quotas that escalate: whose, of what, how much, and which level has room.
fn escalated(ledger: &Ledger, path: &[Before]) -> Vec<(Key, Resource, u64, Key)> {
    let mut found = Vec::new();
    for (at, before) in path.iter().enumerate() {
        let Some(entry) = ledger.entries.get(&before.key) else { continue };
        let escalates = entry.versions().any(|declared| declared.quota.when_exceeded == WhenExceeded::Escalate);
        if !escalates || before.key.level == Level::Orchestrator {
            continue;
        }
        for resource in Resource::ALL {
            let Some(quota) = entry.quota(resource) else { continue };
            let (was, is) = (before.children.get(resource), ledger.children(&before.key).get(resource));
            let amount = is.saturating_sub(quota).saturating_sub(was.saturating_sub(quota));
            let mut above = path[at + 1..].iter().map(|before| &before.key).filter(|key| key.level < before.key.level);
            let has_room = |key: &&Key| {
                let quota = ledger.entries.get(*key).and_then(|entry| entry.quota(resource));
                quota.is_some_and(|quota| ledger.children(key).get(resource) <= quota)
            };
            let granted_by = above.clone().find(has_room).or_else(|| above.next_back());
            if let (true, Some(granted_by)) = (amount > 0, granted_by) {
                found.push((before.key.clone(), resource, amount, granted_by.clone()));
            }
        }
    }
    found
}
