//! How full a level is, as the ledger has it.

use tetrarch_core::{
    capacity::{Escalation, Key, Ledger, Resource, Usage, usage},
    policy::Level,
};
use tetrarch_crds::{
    AgentPool, Orchestrator,
    quota::{self as written, PoolUsage, Quota, WhenExceeded},
};

use crate::{
    parse::demand,
    reason::{Finding, Reason},
};

/// Most escalations that a status lists.
const LISTED: usize = 16;

/// What a status tells of a level's capacity.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    pub(super) usage: Vec<written::Usage>,
    pub(super) escalations: Vec<written::Escalation>,
    /// What is booked beyond a quota that does not allow it.
    pub(super) overbooked: Option<Finding>,
}

impl Capacity {
    /// What the status said before.
    pub(super) fn as_before(usage: &[written::Usage], escalations: &[written::Escalation]) -> Self {
        Self { usage: usage.to_vec(), escalations: escalations.to_vec(), overbooked: None }
    }
}

/// What the ledger says about a level; none without a ledger, as when the leadership has just changed. Money is in the currency of the Orchestrator.
pub(super) fn capacity(
    ledger: Option<&Ledger>,
    key: &Key,
    quota: Option<&Quota>,
    orchestrator: Option<&Orchestrator>,
) -> Option<Capacity> {
    let ledger = ledger?;
    let when_exceeded = quota.map(|quota| quota.when_exceeded).unwrap_or_default();
    // Above the Orchestrator there is nobody to ask.
    let escalates = when_exceeded == WhenExceeded::Escalate && key.level != Level::Orchestrator;
    let usages = usage(ledger, key);
    let currency = orchestrator.map_or("", |orchestrator| orchestrator.spec.currency.as_str());
    let concerns = |escalation: &&Escalation| {
        escalation.is_settled && (escalation.exhausted == *key || escalation.granted_by == *key)
    };
    Some(Capacity {
        usage: usages.iter().map(|usage| told(usage, escalates, currency)).collect(),
        escalations: ledger
            .escalations()
            .iter()
            .rev()
            .filter(concerns)
            .take(LISTED)
            .map(|escalation| record(escalation, currency))
            .collect(),
        overbooked: if escalates { None } else { overbooked(&usages, key.level, currency) },
    })
}

/// What is booked for a pool as it is stored, and for each of its agents. The ledger may know of changes that are under way.
pub(super) fn of_pool(pool: &AgentPool, orchestrator: Option<&Orchestrator>) -> Vec<PoolUsage> {
    let currency = orchestrator.map_or("", |orchestrator| orchestrator.spec.currency.as_str());
    let booked = demand::pool(pool);
    let agents = booked.get(Resource::Agents).max(1);
    let one = |(resource, amount): (Resource, u64)| PoolUsage {
        resource: resource.as_str().to_owned(),
        booked: text(resource, amount, currency),
        per_agent: text(resource, amount / agents, currency),
    };
    booked.iter().map(one).collect()
}

fn told(usage: &Usage, escalates: bool, currency: &str) -> written::Usage {
    let text = |amount: u64| text(usage.resource, amount, currency);
    written::Usage {
        resource: usage.resource.as_str().to_owned(),
        quota: usage.bound.map(text),
        booked: text(usage.booked),
        escalated: (escalates && usage.escalated > 0).then(|| text(usage.escalated)),
    }
}

fn record(escalation: &Escalation, currency: &str) -> written::Escalation {
    written::Escalation {
        object: escalation.object.to_string(),
        resource: escalation.resource.as_str().to_owned(),
        amount: text(escalation.resource, escalation.amount, currency),
        granted_by: escalation.granted_by.to_string(),
        at: super::time(escalation.at),
    }
}

fn overbooked(usages: &[Usage], level: Level, currency: &str) -> Option<Finding> {
    let field = if level == Level::Orchestrator { "spec.capacity" } else { "spec.quota" };
    let told = usages.iter().filter_map(|usage| {
        let bound = usage.bound.filter(|bound| usage.booked > *bound)?;
        let resource = usage.resource;
        Some(format!(
            "{field}.{resource}: gives {}, but {} is booked below: raise it, or make what is below smaller",
            text(resource, bound, currency),
            text(resource, usage.booked, currency),
        ))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| Finding::new(Reason::CapacityExceeded, told.join("; ")))
}

fn text(resource: Resource, amount: u64, currency: &str) -> String {
    let quantity = resource.quantity(amount);
    match resource {
        Resource::SpendPerDay if !currency.is_empty() => format!("{quantity} {currency}"),
        _ => quantity.to_string(),
    }
}
