//! What the leader does for capacity: it brings the ledgers in line with what exists, and shows how full every level is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tetrarch_core::{
    capacity::{Escalation, Key, Ledger, Resource, Usage, usages},
    policy::Level,
};
use tokio::time::{Instant, sleep, timeout};

use super::Capacity;
use crate::{queue::Queue, target::Target, telemetry::metrics::capacity::Gauge, world::World};

/// Shortest pause between two surveys of everything.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);

/// How much longer than a survey the pause after it is, so that large clusters are not surveyed all the time.
const PAUSE_FACTOR: u32 = 10;

/// Longest pause: what other replicas have claimed and nobody has stored is found then.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a new leader waits for its first survey.
const LONGEST_BEGIN: Duration = Duration::from_secs(3);

/// The ledgers as they were last surveyed, for status.
#[derive(Clone, Default)]
pub struct Ledgers(Arc<Mutex<BTreeMap<String, Arc<Ledger>>>>);

impl Ledgers {
    /// The ledger of an Orchestrator; none before the first survey.
    pub fn of(&self, orchestrator: &str) -> Option<Arc<Ledger>> {
        self.lock().get(orchestrator).cloned()
    }

    fn replace(&self, orchestrator: &str, ledger: Arc<Ledger>) -> Option<Arc<Ledger>> {
        self.lock().insert(orchestrator.to_owned(), ledger)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Ledger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Surveys for as long as this replica leads.
pub struct Surveyor<'a> {
    /// The desks.
    pub capacity: &'a Capacity,
    /// What exists.
    pub world: &'a World,
    /// Where ledgers are shown.
    pub ledgers: &'a Ledgers,
    /// Takes requests to write what is shown into status.
    pub queue: &'a Queue,
}

impl Surveyor<'_> {
    /// The first survey, for a while: so that whoever leads knows what is booked before it writes any status.
    pub async fn begin(&self) {
        timeout(LONGEST_BEGIN, self.round()).await.ok();
    }

    /// Surveys whenever something changed, and now and then.
    pub async fn run(&self) {
        self.remove_orphans().await;
        loop {
            let started = Instant::now();
            self.round().await;
            sleep((started.elapsed() * PAUSE_FACTOR).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
            timeout(LONGEST_PAUSE, self.world.sightings.changed()).await.ok();
        }
    }

    async fn round(&self) {
        let existing: BTreeSet<String> = self.world.orchestrators.state().iter().map(|o| o.name_any()).collect();
        for orchestrator in &existing {
            match self.capacity.survey(orchestrator).await {
                Ok(ledger) => self.show(orchestrator, &ledger),
                // The desk has said why.
                Err(unavailable) => tracing::debug!(%unavailable, "no survey"),
            }
        }
        let shown: Vec<String> = self.ledgers.lock().keys().cloned().collect();
        for gone in shown.iter().filter(|shown| !existing.contains(*shown)) {
            self.retire(gone).await;
        }
        let ledgers: Vec<Arc<Ledger>> = self.ledgers.lock().values().cloned().collect();
        let gauges: Vec<Gauge> = ledgers.iter().flat_map(|ledger| usages(ledger).flat_map(gauges_of)).collect();
        self.capacity.metrics().show(&gauges);
    }

    fn show(&self, orchestrator: &str, ledger: &Arc<Ledger>) {
        let before = self.ledgers.replace(orchestrator, ledger.clone());
        if before.as_ref() == Some(ledger) {
            return;
        }
        self.queue.wake_all(changed(before.as_deref(), ledger));
    }

    /// Ledgers of Orchestrators that were deleted while nobody led.
    async fn remove_orphans(&self) {
        match self.capacity.orchestrators().await {
            Ok(names) => {
                for name in names.iter().filter(|name| self.world.orchestrator(name).is_none()) {
                    self.retire(name).await;
                }
            }
            Err(error) => tracing::warn!(%error, "ledgers cannot be listed"),
        }
    }

    async fn retire(&self, orchestrator: &str) {
        match self.capacity.retire(orchestrator).await {
            Ok(()) => {
                self.ledgers.lock().remove(orchestrator);
            }
            Err(error) => {
                tracing::warn!(orchestrator, %error, "the ledger of a deleted Orchestrator cannot be removed");
            }
        }
    }
}

fn gauges_of((key, usages): (&Key, Vec<Usage>)) -> Vec<Gauge> {
    let level = match key.level {
        Level::Orchestrator => "orchestrator",
        Level::Domain => "domain",
        Level::Supervisor => "supervisor",
        Level::AgentPool => "agentpool",
        Level::Workflow => "workflow",
    };
    let object = if key.namespace.is_empty() { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) };
    let agents = usages.iter().find(|usage| usage.resource == Resource::Agents).map(|usage| usage.booked);
    let gauge = |level, usage: &Usage, share: u64| Gauge {
        level,
        object: object.clone(),
        resource: usage.resource.as_str(),
        booked: usage.booked / share,
        quota: usage.bound,
    };
    let mut gauges: Vec<Gauge> = usages.iter().map(|usage| gauge(level, usage, 1)).collect();
    if let (Level::AgentPool, Some(agents)) = (key.level, agents.filter(|agents| *agents > 0)) {
        gauges.extend(usages.iter().map(|usage| gauge("agent", usage, agents)));
    }
    gauges
}

/// The levels whose status shows something else now.
fn changed(before: Option<&Ledger>, after: &Ledger) -> Vec<Target> {
    let mut gone: BTreeMap<&Key, Vec<Usage>> = before.into_iter().flat_map(usages).collect();
    let mut changed = BTreeSet::new();
    for (key, usages) in usages(after) {
        if gone.remove(key).is_none_or(|before| before != usages) {
            changed.insert(key);
        }
    }
    let is_known = |escalation: &Escalation| before.is_some_and(|before| before.escalations().contains(escalation));
    for escalation in after.escalations().iter().filter(|escalation| !is_known(escalation)) {
        changed.extend([&escalation.exhausted, &escalation.granted_by]);
    }
    changed.into_iter().chain(gone.into_keys()).filter_map(target).collect()
}

fn target(key: &Key) -> Option<Target> {
    match key.level {
        Level::Orchestrator => Some(Target::Orchestrator(key.name.clone())),
        Level::Domain => Some(Target::Domain(key.name.clone())),
        Level::Supervisor => Some(Target::Supervisor(key.namespace.clone(), key.name.clone())),
        Level::AgentPool | Level::Workflow => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tetrarch_core::capacity::{Amounts, Declared, Observed, Resource, settle};

    use super::*;

    fn ledger(agents: u64) -> Ledger {
        ledger_with(Amounts::NONE.with(Resource::Agents, agents))
    }

    fn ledger_with(of_pool: Amounts) -> Ledger {
        let object = |key: Key, parents: Vec<Key>, own: Amounts| Observed {
            uid: key.to_text(),
            key,
            generation: 1,
            declared: Declared { parents, own, ..Declared::default() },
        };
        let mut ledger = Ledger::default();
        let objects = [
            object(Key::orchestrator("acme"), vec![], Amounts::NONE),
            object(Key::domain("d"), vec![Key::orchestrator("acme")], Amounts::NONE),
            object(Key::domain("e"), vec![Key::orchestrator("acme")], Amounts::NONE),
            object(Key::pool("d", "p"), vec![Key::domain("d")], of_pool),
        ];
        settle(&mut ledger, objects, Timestamp::UNIX_EPOCH);
        ledger
    }

    #[test]
    fn a_pool_is_shown_as_a_whole_and_by_agent() {
        let cpu = |amounts: Amounts| amounts.with(Resource::Cpu, 1500);
        let ledger = ledger_with(cpu(Amounts::NONE.with(Resource::Agents, 3)));
        let gauges: Vec<Gauge> = usages(&ledger).flat_map(gauges_of).collect();
        let told = |level: &str, resource: &str| {
            let gauge = gauges.iter().find(|gauge| gauge.level == level && gauge.resource == resource).unwrap();
            (gauge.object.as_str(), gauge.booked)
        };
        assert_eq!(told("agentpool", "cpu"), ("d/p", 1500));
        assert_eq!(told("agent", "cpu"), ("d/p", 500));
        assert_eq!(told("agent", "agents"), ("d/p", 1));
        assert_eq!(told("orchestrator", "cpu"), ("acme", 1500));
    }

    #[test]
    fn a_pool_that_grows_wakes_the_levels_above_it_and_nobody_else() {
        let woken = changed(Some(&ledger(1)), &ledger(2));
        assert_eq!(woken, [Target::Orchestrator("acme".to_owned()), Target::Domain("d".to_owned())]);
        assert!(changed(Some(&ledger(2)), &ledger(2)).is_empty());
    }
}
