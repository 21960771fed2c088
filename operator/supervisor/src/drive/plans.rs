//! What is known when a text is decomposed: what the pools can do, and how earlier plans ended.

use std::{collections::BTreeSet, sync::Arc};

use tetrarch_core::{
    decompose::{Complexity, Past, Pattern},
    workflow::{auto::Known, journal::FinalPhase, run::RunPhase},
};

use super::{
    Driver,
    runs::{Runs, Slot},
};

impl Driver {
    /// What is known now. It goes into the journal with the plan that is made of it.
    pub(super) fn known_for_plans(&self) -> Arc<Known> {
        let pools = self.config.supervisor.iter().flat_map(|supervisor| &supervisor.pools);
        let capabilities: BTreeSet<_> =
            pools.flat_map(|pool| &pool.capabilities).map(|(name, _)| name.clone()).collect();
        Arc::new(Known { capabilities: capabilities.into_iter().collect(), past: past(&self.runs) })
    }
}

/// How the runs of plans ended that are still kept. Those that somebody cancelled say nothing about their plans.
fn past(runs: &Runs) -> Vec<Past> {
    let mut past = Vec::new();
    for slot in runs.finished().filter(|slot| slot.run.is_of_plan()) {
        let RunPhase::Ended(phase) = slot.run.phase() else { continue };
        if let Some(plan) = plan_of(runs, slot).filter(|_| phase != FinalPhase::Cancelled) {
            let took = slot.run.started_at().zip(slot.run.ended_at()).map(|(start, end)| end.duration_since(start));
            let took_ms = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or_default());
            Past::note(&mut past, plan, phase == FinalPhase::Succeeded, took_ms);
        }
    }
    past
}

/// The class and the pattern of the plan that a run carries out.
fn plan_of(runs: &Runs, slot: &Slot) -> Option<(Pattern, Complexity)> {
    let parent = slot.run.parent()?;
    let plan = runs.get(&parent.run)?.run.plan_of(&parent.step)?;
    Some((plan.pattern, plan.complexity))
}
