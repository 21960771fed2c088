//! Reports what changed: the latest run of each Workflow, and the load of the Supervisor.

use bytes::Bytes;
use serde::Serialize;
use tetrarch_core::{id::Name, priority::Class, workflow::run::RunPhase};
use tetrarch_protocol::{
    VERSION,
    summary::{RunSummary, SupervisorReport, supervisor_key, workflow_key},
};
use tokio::time::Instant;

use super::{Driver, admit::Place, control::refusal_to_reopen, runs::Slot};
use crate::report::{Report, bound, build_refusal, build_summary, tell_progress};

impl Driver {
    /// Hands over the reports that differ from the last ones. What finds no room is reported the next time.
    pub(super) fn report(&mut self) {
        if !self.is_caught_up || !self.is_configured {
            return;
        }
        let now = Instant::now();
        self.queues.observe_loads(self.loads.sum(now));
        self.observe_others();
        self.outputs.metrics.set_in_flight(self.queues.total());
        if self.leads() {
            // Also without a change of ours: agents fall silent.
            let report = SupervisorReport {
                version: VERSION,
                active_runs: self.runs.unfinished().filter(|slot| slot.run.phase() != RunPhase::Pending).count() as u64,
                pools: self.queues.report(),
                webhooks_without_secret: self.unready.clone(),
            };
            self.send(supervisor_key(&self.supervisor), &report);
        }
        self.changed.load = false;
        for workflow in std::mem::take(&mut self.changed.summaries) {
            let is_sent = match self.summary(&workflow) {
                Some(summary) => self.send(workflow_key(&self.supervisor, &workflow), &summary),
                None => true,
            };
            if !is_sent {
                self.changed.summaries.insert(workflow);
            }
        }
    }

    /// The summary of a Workflow, when it is ours to tell.
    fn summary(&self, workflow: &Name) -> Option<RunSummary> {
        let refused = self.wanted.iter().find(|(_, wanted)| wanted.workflow == *workflow && wanted.refusal.is_some());
        if let Some((run, refusal)) = refused.and_then(|(run, wanted)| Some((run, wanted.refusal.as_ref()?))) {
            return Some(self.with_wishes(workflow, build_refusal(run, refusal)));
        }
        if let Some(left) = self.left_alone(workflow) {
            return Some(left);
        }
        let slot = self.runs.latest(workflow).filter(|slot| self.owns(slot.run.id()) && !slot.is_purging)?;
        let mut summary = build_summary(&slot.run, self.waits_for(slot));
        summary.waits_for = waits_for_room(slot, summary.waits_for);
        self.tell_plans(&mut summary);
        let control = self.config.workflows.get(workflow).map(|snapshot| &snapshot.control);
        if let Some(why) = control.and_then(|control| refusal_to_reopen(&slot.run, control)) {
            summary.message = Some(bound(&summary.message.map_or(why.clone(), |message| format!("{message}; {why}"))));
        }
        Some(self.with_wishes(workflow, summary))
    }

    /// Where the steps of plans stand, and what their runs wait for.
    fn tell_plans(&self, summary: &mut RunSummary) {
        let plans = summary.steps.iter_mut().filter_map(|step| Some((step.plan.as_mut()?, step.run.as_ref()?)));
        for (plan, run) in plans {
            let Some(slot) = self.runs.get(run) else { continue };
            tell_progress(plan, &slot.run);
            let waits_for = waits_for_room(slot, self.waits_for(slot).or_else(|| slot.run.waits_for()));
            if let (Some(told), Some(waits)) = (&mut summary.waits_for, waits_for) {
                *told = bound(&format!("{told}: {waits}"));
            }
        }
    }

    /// The summary with what became of the runs that are wanted beside it, what waits for people, and what is asked in vain.
    fn with_wishes(&self, workflow: &Name, summary: RunSummary) -> RunSummary {
        let wanted = self.config.workflows.get(workflow).into_iter().flat_map(|snapshot| &snapshot.runs);
        let accepted = wanted.map(|request| &request.run).filter(|run| self.runs.is_known(run)).cloned().collect();
        let (scheduled, waiting) = (self.triggers.last(workflow), self.waiting_steps(workflow));
        RunSummary { accepted, scheduled, waiting, refused: self.refused_requests(workflow), ..summary }
    }

    /// The summary of a Workflow whose wanted run cannot even be begun to read.
    fn left_alone(&self, workflow: &Name) -> Option<RunSummary> {
        let wanted = self.config.workflows.get(workflow)?.runs.iter().filter(|wanted| self.owns(&wanted.run));
        let (run, why) = wanted.map(|wanted| &wanted.run).find_map(|run| Some((run, self.runs.unreadable(run)?)))?;
        Some(build_refusal(run, &tell_left_alone(why)))
    }

    /// What a run waits for, when it waits for something that people may want to know.
    fn waits_for(&self, slot: &Slot) -> Option<String> {
        if slot.is_finished() {
            return None;
        }
        if let Some(why) = &slot.unreadable {
            return Some(tell_left_alone(why));
        }
        if let Some(refusal) = &slot.refusal {
            return Some(refusal.clone());
        }
        if slot.run.paused_since().is_some() {
            return None;
        }
        if let Some(refusal) = self.children.waits_for(slot.run.id()) {
            return Some(refusal.clone());
        }
        if slot.run.phase() == RunPhase::Pending && slot.run.parent().is_none() {
            return self.waits_for_place(slot);
        }
        if let Some((message, _)) = slot.unroutable.first() {
            let others = slot.unroutable.iter().map(|(_, tasks)| tasks).sum::<usize>() - 1;
            return Some(if others == 0 { message.clone() } else { format!("{message} (and {others} other tasks)") });
        }
        let pools = || slot.outstanding.values().map(|outstanding| &outstanding.pool);
        if let Some(pool) = pools().filter(|pool| !self.queues.has(pool)).min() {
            return Some(format!(
                "tasks wait for AgentPool {pool}, which does not belong to this Supervisor any more: create it again, or cancel the run"
            ));
        }
        let pool = pools().filter(|pool| !self.queues.has_agents(pool)).min()?;
        Some(format!("tasks wait for AgentPool {pool}, which has no ready agent"))
    }

    fn waits_for_place(&self, slot: &Slot) -> Option<String> {
        let class: Class = slot.class();
        let Some(limits) = self.limits(class) else {
            return Some(match &self.config.supervisor {
                None => "waits for the configuration of its Supervisor".to_owned(),
                Some(_) => format!("waits: the Supervisor has no limits for priority class {class}"),
            });
        };
        let line = self.line(class);
        // Those that start now are not in line any more.
        let mut waiting = line.waiting.iter().filter(|(_, place)| *place != Place::Free);
        let count = waiting.clone().count();
        let before = waiting.clone().position(|(other, _)| other.accepted == slot.accepted)?;
        let (active, max, position) = (line.active, limits.max_concurrent, ordinal(before + 1));
        Some(match waiting.nth(before)?.1 {
            Place::Limited { active, max } => format!(
                "waits until another run of this Workflow ends: {active} of spec.maxConcurrentRuns {max} are active, {position} of {count} in class {class}"
            ),
            _ => {
                format!("waits for a place in class {class}: {position} of {count}, {active} of {max} runs are active")
            }
        })
    }

    fn send(&mut self, key: String, value: &impl Serialize) -> bool {
        let value: Bytes = match serde_json::to_vec(value) {
            Ok(value) => value.into(),
            Err(error) => {
                tracing::error!(key, %error, "a report cannot be encoded");
                return true;
            }
        };
        if self.reported.get(&key) == Some(&value) {
            return true;
        }
        let report = Report { key: key.clone(), value: Some(value.clone()) };
        let is_sent = self.outputs.reports.try_send(report).is_ok();
        if is_sent {
            self.reported.insert(key, value);
        }
        is_sent
    }
}

/// What else a run waits for: room in the queues of pools, which Workflows share.
fn waits_for_room(slot: &Slot, said: Option<String>) -> Option<String> {
    let (pool, tasks) = match slot.wanting.iter().find(|(_, tasks)| **tasks > 0) {
        Some(found) if slot.run.paused_since().is_none() => found,
        _ => return said,
    };
    let room = format!("{tasks} of its tasks wait for room in the queue of AgentPool {pool}");
    Some(said.map_or(room.clone(), |said| format!("{said}; {room}")))
}

fn tell_left_alone(why: &str) -> String {
    format!("the run is left alone as it is: {why}; run its Supervisor with the version that wrote it, or a later one")
}

/// As in "3rd of 7".
fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn positions_are_written_as_people_say_them() {
        let spoken = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(spoken, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
