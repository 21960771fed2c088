//! How full each level is, for status and metrics.

use super::{Key, Ledger, Resource, ledger::Entry};
use crate::policy::Level;

/// One resource of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of what.
    pub resource: Resource,
    /// What the node has for its children; none when a level above bounds it.
    pub bound: Option<u64>,
    /// What is booked: by the children, and for a pool by itself.
    pub booked: u64,
    /// What is left; none when a level above bounds it.
    pub free: Option<u64>,
    /// What is booked beyond the bound and was granted by a level above.
    pub escalated: u64,
}

/// The resources of one node that are bounded or booked.
pub fn usage(ledger: &Ledger, key: &Key) -> Vec<Usage> {
    ledger.entries.get(key).map(|entry| of(ledger, key, entry)).unwrap_or_default()
}

/// The resources of all nodes.
pub fn usages(ledger: &Ledger) -> impl Iterator<Item = (&Key, Vec<Usage>)> {
    ledger.entries.iter().map(|(key, entry)| (key, of(ledger, key, entry)))
}

fn of(ledger: &Ledger, key: &Key, entry: &Entry) -> Vec<Usage> {
    let booked = if key.level == Level::AgentPool {
        entry.versions().fold(super::Amounts::NONE, |largest, declared| largest.or_larger(declared.own))
    } else {
        ledger.children(key)
    };
    let one = |resource: Resource| {
        let (bound, booked) = (entry.quota(resource), booked.get(resource));
        let free = bound.map(|bound| bound.saturating_sub(booked));
        let escalated = bound.map_or(0, |bound| booked.saturating_sub(bound));
        (bound.is_some() || booked > 0).then_some(Usage { resource, bound, booked, free, escalated })
    };
    Resource::ALL.into_iter().filter_map(one).collect()
}
