//! What a run waits for now, in a sentence, as far as the run itself knows it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Run, RunPhase, StepPhase,
    state::{Body, Part, Status, TaskKey},
};
use crate::id::Name;

/// Steps, pools or runs that a sentence names before it counts the others.
const NAMED: usize = 3;

impl Run {
    /// What the run waits for; none when it has ended or has no place yet.
    pub fn waits_for(&self) -> Option<String> {
        if matches!(self.phase(), RunPhase::Ended(_) | RunPhase::Pending) && self.paused_since().is_none() {
            return None;
        }
        let state = &self.state;
        if let Some(said) = state.pause_message() {
            return Some(said);
        }
        let people = state.doubts_message(&self.plan).into_iter().chain(self.whom_it_waits_for());
        let undoing = state.progress_of_compensation(&self.plan);
        let others = [
            self.waits_for_agents(),
            self.waits_for_runs(),
            self.waits_for_items(),
            self.waits_for_repetition(),
            self.waits_for_time(),
        ];
        let said: Vec<String> = people.chain(undoing).chain(others.into_iter().flatten()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Tasks in queues and with agents, by pool.
    fn waits_for_agents(&self) -> Option<String> {
        let mut pools: BTreeMap<&Name, (usize, BTreeSet<usize>)> = BTreeMap::new();
        for key in self.state.in_flight.iter().filter(|key| !self.plan.is_run(**key)) {
            if let Some(Status::InFlight(pool)) = self.state.task(*key).map(|task| &task.status) {
                let (tasks, steps) = pools.entry(pool).or_default();
                *tasks += 1;
                steps.insert(key.step);
            }
        }
        let told = pools.into_iter().map(|(pool, (tasks, steps))| {
            let steps = listed(steps.into_iter().map(|step| self.plan.name(step).to_string()).collect());
            let tasks = if tasks == 1 { "1 task".to_owned() } else { format!("{tasks} tasks") };
            format!("{tasks} of AgentPool {pool} (step {steps})")
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| format!("waits for {}", listed(told)))
    }

    /// Runs of other workflows that steps stand for.
    fn waits_for_runs(&self) -> Option<String> {
        let told =
            |child: super::Child<'_>| format!("run {} of Workflow {} (step {})", child.run, child.workflow, child.step);
        let runs: Vec<String> = self.children().map(told).collect();
        (!runs.is_empty()).then(|| format!("waits for {}", listed(runs)))
    }

    /// Maps with nothing to do until the one that they stream from has done more.
    fn waits_for_items(&self) -> Option<String> {
        let waits = self.open_steps().filter_map(|(step, body)| {
            let Body::Map(map) = body else { return None };
            let source = self.plan.steps[step].stream_from?;
            let is_open = self.state.steps[source].phase != StepPhase::Succeeded;
            let is_idle = map.opened == map.closed && map.incoming.as_ref().is_some_and(|known| known.ready.is_empty());
            let told = || format!("step {} waits for items of step {}", self.plan.name(step), self.plan.name(source));
            (is_open && is_idle).then(told)
        });
        let waits: Vec<String> = waits.collect();
        (!waits.is_empty()).then(|| listed(waits))
    }

    /// The next repetition of a failed attempt, or the next iteration of a loop.
    fn waits_for_repetition(&self) -> Option<String> {
        let due = self.open_steps().flat_map(|(step, body)| {
            body.tasks().into_iter().filter_map(move |(part, task)| match task.status {
                Status::Due(Some(at)) => Some((at, TaskKey { step, part }, task.failures)),
                _ => None,
            })
        });
        let (at, key, failures) = due.min()?;
        Some(match (key.part, failures) {
            (Part::Item(iteration), 0) => {
                format!("iteration {iteration} of step {} begins after {}", self.plan.name(key.step), moment(at))
            }
            _ => format!("task {} is repeated after {} ({failures} failed so far)", self.plan.path(key), moment(at)),
        })
    }

    fn waits_for_time(&self) -> Option<String> {
        let waits = self.open_steps().filter_map(|(step, body)| match body {
            Body::Wait(until) => Some((*until, step)),
            _ => None,
        });
        let (until, step) = waits.min()?;
        Some(format!("step {} waits until {}", self.plan.name(step), moment(until)))
    }

    fn open_steps(&self) -> impl Iterator<Item = (usize, &Body)> {
        let steps = self.state.steps.iter().enumerate();
        steps.map(|(index, step)| (index, &step.body)).filter(|(_, body)| !matches!(body, Body::Closed))
    }
}

/// A moment as people are told it.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
