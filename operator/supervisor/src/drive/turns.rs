//! Hands out tasks by turns: each Workflow up to its share of a pool's queue, and its runs one after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use tetrarch_core::{
    id::{Name, RunId, TaskPath},
    workflow::{definition::AgentSelector, run::DueTasks},
};

use super::{Driver, queues::Owner};

/// The runs with tasks that wait for room, by Workflow, in the order of their turns.
#[derive(Debug, Default)]
pub struct Turns {
    lines: BTreeMap<Name, VecDeque<RunId>>,
    members: BTreeSet<RunId>,
}

impl Turns {
    /// A run has tasks that wait.
    fn join(&mut self, workflow: &Name, run: &RunId) {
        if self.members.insert(run.clone()) {
            self.lines.entry(workflow.clone()).or_default().push_back(run.clone());
        }
    }

    /// Forgets all runs.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.members.clear();
    }
}

/// Tasks of one kind that wait.
#[derive(Debug)]
pub struct Waiting {
    agent: AgentSelector,
    first: TaskPath,
    tasks: usize,
}

impl Waiting {
    /// These.
    pub fn of(due: &DueTasks<'_>) -> Self {
        Self { agent: due.agent.clone(), first: due.first.clone(), tasks: due.tasks }
    }
}

impl Driver {
    /// Notes which tasks of a run wait: for room in the queue of a pool, or for a pool.
    pub(super) fn observe_waiting(&mut self, id: &RunId, waiting: &[Waiting]) {
        let owns = self.owns(id);
        let Some(slot) = self.runs.get_mut(id) else { return };
        let mut by_pool: BTreeMap<Name, u64> = BTreeMap::new();
        let mut unroutable = Vec::new();
        if !slot.is_finished() {
            for Waiting { agent, first, tasks } in waiting {
                match self.queues.choose(agent) {
                    Ok((pool, _)) => *by_pool.entry(pool).or_default() += *tasks as u64,
                    Err(error) => unroutable.push((format!("task {first} waits: {error}"), *tasks)),
                }
            }
        }
        let before = std::mem::replace(&mut slot.wanting, by_pool);
        let owner = slot.owner(&self.config.workflows);
        for (pool, tasks) in &before {
            self.queues.want(pool, owner, *tasks, 0);
        }
        for (pool, tasks) in &slot.wanting {
            self.queues.want(pool, owner, 0, *tasks);
        }
        if owns && !slot.wanting.is_empty() {
            self.turns.join(owner.workflow, id);
        }
        if unroutable != slot.unroutable {
            self.changed.summaries.insert(slot.run.definition().workflow.clone());
            slot.unroutable = unroutable;
        }
    }

    /// Notes which tasks of the other replicas' runs wait: they want their shares, too.
    pub(super) fn observe_others(&mut self) {
        let others: Vec<RunId> =
            self.runs.unfinished().map(|slot| slot.run.id()).filter(|run| !self.owns(run)).cloned().collect();
        for run in others {
            let Some(slot) = self.runs.get_mut(&run) else { continue };
            if slot.unreadable.is_some() || slot.run.paused_since().is_some() {
                continue;
            }
            let mut waiting = Vec::new();
            slot.run.observe_due(&mut |tasks| waiting.push(Waiting::of(tasks)));
            self.observe_waiting(&run, &waiting);
        }
    }

    /// Hands out what there is room for. In one turn a run gets its part of the Workflow's room, so that no run of a Workflow
    /// starves another; turns go round until there is no room or nothing waits.
    pub(super) fn take_turns(&mut self, now: Timestamp) {
        if self.turns.members.is_empty() {
            return;
        }
        self.queues.begin_round(now);
        for (workflow, mut line) in std::mem::take(&mut self.turns.lines) {
            let mut dispatched = 1;
            while dispatched > 0 && !line.is_empty() {
                dispatched = 0;
                for _ in 0..line.len() {
                    let Some(run) = line.pop_front() else { break };
                    let (count, still_waits) = self.take_turn(&run, line.len() as u64 + 1, now);
                    dispatched += count;
                    if still_waits {
                        line.push_back(run);
                    } else {
                        self.turns.members.remove(&run);
                    }
                }
            }
            if !line.is_empty() {
                self.turns.lines.insert(workflow, line);
            }
        }
    }

    /// One turn of a run in a line of so many: the number of tasks it handed out, and whether others still wait.
    fn take_turn(&mut self, id: &RunId, line: u64, now: Timestamp) -> (usize, bool) {
        if !self.owns(id) {
            return (0, false);
        }
        let Some(slot) = self.runs.get_mut(id) else { return (0, false) };
        if !slot.is_open() {
            return (0, false);
        }
        let workflow = slot.run.definition().workflow.clone();
        let owner = Owner { workflow: &workflow, ..slot.owner(&self.config.workflows) };
        let queues = &mut self.queues;
        let mut waiting = Vec::new();
        let mut given: Vec<(AgentSelector, u64)> = Vec::new();
        let due = slot.run.next_within(now, &mut |tasks| {
            let before: u64 = given.iter().filter(|(agent, _)| agent == tasks.agent).map(|(_, count)| count).sum();
            let room = queues.room(tasks.agent, owner).saturating_sub(before).div_ceil(line);
            let grant = usize::try_from(room).unwrap_or(usize::MAX).min(tasks.tasks);
            given.push((tasks.agent.clone(), grant as u64));
            if grant < tasks.tasks {
                waiting.push(Waiting { tasks: tasks.tasks - grant, ..Waiting::of(tasks) });
            }
            grant
        });
        let dispatched = self.carry_out(id, due);
        self.observe_waiting(id, &waiting);
        let still_waits = self.runs.get(id).is_some_and(|slot| !slot.wanting.is_empty());
        (dispatched, still_waits)
    }
}
