//! Sums over children, and the health of a parent from that of its children.

use std::sync::Arc;

use kube_core::ResourceExt;
use tetrarch_crds::{
    AgentPool,
    shared::{AgentCount, ChildCount, WorkCount},
};

use crate::{
    conditions::{self, HasConditions, Health},
    reason::{Finding, Reason},
};

/// How many children there are and how many are Ready.
pub(super) fn children<'a, K: HasConditions + 'a>(all: impl IntoIterator<Item = &'a Arc<K>>) -> ChildCount {
    let mut count = ChildCount::default();
    for child in all {
        count.total += 1;
        count.ready += i32::from(conditions::is_true(child.conditions(), conditions::READY));
    }
    count
}

/// Agents and work of pools, as the pools' own statuses have them.
pub(super) fn pools<'a>(all: impl IntoIterator<Item = &'a Arc<AgentPool>>) -> (AgentCount, WorkCount) {
    all.into_iter().filter_map(|pool| pool.status.as_ref()).fold(Default::default(), |(agents, work), status| {
        let agent = AgentCount { ready: status.ready, desired: status.desired };
        (add_agents(&agents, &agent), add_work(&work, &status.work))
    })
}

pub(super) fn add_agents(a: &AgentCount, b: &AgentCount) -> AgentCount {
    AgentCount { ready: a.ready.saturating_add(b.ready), desired: a.desired.saturating_add(b.desired) }
}

pub(super) fn add_work(a: &WorkCount, b: &WorkCount) -> WorkCount {
    WorkCount { queued: a.queued.saturating_add(b.queued), in_flight: a.in_flight.saturating_add(b.in_flight) }
}

pub(super) fn add_children(a: &ChildCount, b: &ChildCount) -> ChildCount {
    ChildCount { ready: a.ready.saturating_add(b.ready), total: a.total.saturating_add(b.total) }
}

/// The first child by name that is not Ready, as a sentence with its own message, and whether it is still moving.
pub(super) fn first_unready<'a, K>(kind: &str, all: impl IntoIterator<Item = &'a Arc<K>>) -> Option<(String, bool)>
where
    K: HasConditions + ResourceExt + 'a,
{
    let unready = all.into_iter().filter(|child| !conditions::is_true(child.conditions(), conditions::READY));
    let child = unready.min_by_key(|child| child.name_any())?;
    let ready = conditions::find(child.conditions(), conditions::READY);
    let message = ready.map_or("has not been looked at yet", |condition| condition.message.as_str());
    let is_moving = ready.is_none() || conditions::is_true(child.conditions(), conditions::RECONCILING);
    Some((format!("{kind} {}: {message}", child.name_any()), is_moving))
}

/// Ready when all children are. A parent is never Stalled by a child: what is wrong is the child's own spec.
pub(super) fn health(summary: String, unready: Option<(String, bool)>) -> Health {
    match unready {
        None => Health::Ready(Finding::new(Reason::Ready, summary)),
        Some((told, is_moving)) => {
            let finding = Finding::new(Reason::ChildrenNotReady, format!("{summary}; {told}"));
            if is_moving { Health::Reconciling(finding) } else { Health::NotReady(finding) }
        }
    }
}

/// Such as `2 of 3 AgentPools`.
pub(super) fn counted(count: &ChildCount, kind: &str) -> String {
    format!("{} of {} {kind}", count.ready, count.total)
}
