//! The runs that are known, in the order in which they were accepted, with what is under way for each.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;
use tetrarch_core::{
    fairness::Ticket,
    id::{Name, RunId, TaskId, TaskPath},
    priority::Class,
    workflow::{
        journal::RunEvent,
        run::{Run, RunPhase},
    },
};
use tetrarch_protocol::snapshot::WorkflowSnapshot;

use super::queues::Owner;
use crate::leases::{Held, partition};

/// Purged runs of other replicas that are kept in mind, so that the purge is finished when their replica dies over it.
const MAX_EXPIRED: usize = 10_000;

/// An attempt of a task.
pub type Attempt = (TaskPath, u32);

/// An attempt that lies in the journal without a result.
#[derive(Debug, Clone)]
pub struct Outstanding {
    /// The pool in whose queue it is.
    pub pool: Name,
    /// Sequence of its dispatch.
    pub sequence: u64,
    /// When it was dispatched.
    pub at: Timestamp,
}

/// A run and what is under way for it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts; no two of them exclude each other")]
pub struct Slot {
    /// The run as folded.
    pub run: Run,
    /// Sequence of its first event.
    pub accepted: u64,
    /// Sequence of its last event that is folded.
    pub folded_event: u64,
    /// Sequence of its last event that is stored, as far as we know; the condition of the next one.
    pub last_event: u64,
    /// Attempts without a result.
    pub outstanding: HashMap<Attempt, Outstanding>,
    /// Dispatches that are being written, with their pools.
    pub writing: HashMap<Attempt, Name>,
    /// Events to append, the first one first.
    pub appends: VecDeque<RunEvent>,
    /// While the first of them is being written: the sequence of the event before it, which tells its answer from others.
    pub appending: Option<u64>,
    /// Due tasks that wait for room, by the pool that they would go to.
    pub wanting: BTreeMap<Name, u64>,
    /// Due tasks for which there is no pool: what is said of the first of each kind, and how many there are.
    pub unroutable: Vec<(String, usize)>,
    /// Its turn in the line of its class.
    pub ticket: Ticket,
    /// Whether the run must list everything again that the journal does not show.
    pub must_reissue: bool,
    /// Whether its start is among `appends`.
    pub is_starting: bool,
    /// Whether its cancellation is among `appends`.
    pub is_cancelling: bool,
    /// Whether it is being purged.
    pub is_purging: bool,
    /// Whether dispatches or results of it may lie on the bus.
    pub holds_work: bool,
    /// Whether its outputs are being removed.
    pub is_removing: bool,
    /// What the bus said last when it refused a write.
    pub refusal: Option<String>,
    /// When it is to be looked at again.
    pub wake: Option<Timestamp>,
    /// What this version could not read in its journal: from there on the run is left alone.
    pub unreadable: Option<String>,
}

impl Slot {
    /// A run that was just accepted.
    pub fn new(run: Run, sequence: u64, ticket: Ticket) -> Self {
        Self {
            run,
            accepted: sequence,
            folded_event: sequence,
            last_event: sequence,
            outstanding: HashMap::new(),
            writing: HashMap::new(),
            appends: VecDeque::new(),
            appending: None,
            wanting: BTreeMap::new(),
            unroutable: Vec::new(),
            ticket,
            must_reissue: false,
            is_starting: false,
            is_cancelling: false,
            is_purging: false,
            holds_work: false,
            is_removing: false,
            refusal: None,
            wake: None,
            unreadable: None,
        }
    }

    /// Whether the run may list again what the journal does not show: only when every event that we wrote is folded. Before, it would
    /// list an event a second time, and the condition of the write would hold.
    pub fn can_reissue(&self) -> bool {
        self.appending.is_none() && self.folded_event >= self.last_event
    }

    /// Forgets what was planned, so that everything that the journal does not show is planned anew.
    pub fn reissue(&mut self) {
        self.must_reissue = false;
        self.is_starting = false;
        self.is_cancelling = false;
        self.appends.clear();
        self.run.reissue();
    }

    /// Notes that an event was folded.
    pub fn observe_event(&mut self, sequence: u64) {
        self.folded_event = sequence;
        self.last_event = self.last_event.max(sequence);
    }

    /// Whether what is known of the run is all that its journal says, and the run stays.
    pub fn is_settled(&self) -> bool {
        !self.must_reissue && !self.is_purging && self.unreadable.is_none()
    }

    /// Whether an event that does not come from the run itself may be appended.
    pub fn is_open(&self) -> bool {
        !self.is_finished() && self.is_settled()
    }

    /// Its priority class.
    pub fn class(&self) -> Class {
        self.run.definition().class
    }

    /// Whose its tasks are: the weight is the present one of the Workflow, however the run was accepted.
    pub fn owner(&self, workflows: &BTreeMap<Name, WorkflowSnapshot>) -> Owner<'_> {
        self.owner_in(workflows.get(&self.run.definition().workflow))
    }

    /// The same, with the present configuration of the Workflow.
    pub fn owner_in(&self, snapshot: Option<&WorkflowSnapshot>) -> Owner<'_> {
        let definition = self.run.definition();
        let weight = snapshot.map_or(definition.weight, |snapshot| snapshot.definition.weight);
        Owner { class: definition.class, workflow: &definition.workflow, weight }
    }

    /// Whether it ended.
    pub fn is_finished(&self) -> bool {
        matches!(self.run.phase(), RunPhase::Ended(_))
    }
}

/// All runs.
#[derive(Debug, Default)]
pub struct Runs {
    by_id: HashMap<RunId, Slot>,
    order: BTreeMap<u64, RunId>,
    unfinished: BTreeMap<u64, RunId>,
    latest: BTreeMap<Name, u64>,
    /// The runs that work for a run.
    children: BTreeMap<RunId, BTreeSet<RunId>>,
    /// Runs whose first event cannot be read, with the reason: not to be touched.
    unreadable: HashMap<RunId, String>,
    /// Runs that other replicas purge.
    expired: BTreeSet<RunId>,
}

impl Runs {
    /// The run with this id.
    pub fn get(&self, run: &RunId) -> Option<&Slot> {
        self.by_id.get(run)
    }

    /// The run with this id.
    pub fn get_mut(&mut self, run: &RunId) -> Option<&mut Slot> {
        self.by_id.get_mut(run)
    }

    /// All runs, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&RunId, &mut Slot)> {
        self.by_id.iter_mut()
    }

    /// Adds a run that was accepted.
    pub fn insert(&mut self, slot: Slot) {
        let (run, accepted) = (slot.run.id().clone(), slot.accepted);
        self.expired.remove(&run);
        self.order.insert(accepted, run.clone());
        self.unfinished.insert(accepted, run.clone());
        if let Some(parent) = slot.run.parent() {
            self.children.entry(parent.run.clone()).or_default().insert(run.clone());
        }
        // Runs of their own are what a Workflow is asked about first.
        let workflow = &slot.run.definition().workflow;
        let is_child = |slot: &Slot| slot.run.parent().is_some();
        if !is_child(&slot) || self.latest(workflow).is_none_or(is_child) {
            self.latest.insert(workflow.clone(), accepted);
        }
        self.by_id.insert(run, slot);
    }

    /// Notes that a run ended.
    pub fn finish(&mut self, accepted: u64) {
        self.unfinished.remove(&accepted);
    }

    /// Notes that a run that had ended goes on. It is the one that is reported of its Workflow, until a younger one is accepted.
    pub fn reopen(&mut self, run: &RunId) {
        let Some(slot) = self.by_id.get(run) else { return };
        self.unfinished.insert(slot.accepted, run.clone());
        self.latest.insert(slot.run.definition().workflow.clone(), slot.accepted);
    }

    /// Forgets a run.
    pub fn remove(&mut self, run: &RunId) -> Option<Slot> {
        self.expired.remove(run);
        let slot = self.by_id.remove(run)?;
        self.order.remove(&slot.accepted);
        self.unfinished.remove(&slot.accepted);
        if let Some(parent) = slot.run.parent()
            && let Some(children) = self.children.get_mut(&parent.run)
        {
            children.remove(run);
            if children.is_empty() {
                self.children.remove(&parent.run);
            }
        }
        let workflow = &slot.run.definition().workflow;
        if self.latest.get(workflow) == Some(&slot.accepted) {
            self.latest.remove(workflow);
            let others = self.order.iter().rev().filter_map(|(accepted, id)| Some((*accepted, self.by_id.get(id)?)));
            let of_workflow = others.filter(|(_, other)| other.run.definition().workflow == *workflow);
            // Of those of their own the last one, else the last one at all.
            if let Some((before, _)) = of_workflow.min_by_key(|(_, other)| other.run.parent().is_some()) {
                self.latest.insert(workflow.clone(), before);
            }
        }
        Some(slot)
    }

    /// Forgets a run that another replica purges.
    pub fn expire(&mut self, run: &RunId) -> Option<Slot> {
        let slot = self.remove(run);
        if self.expired.len() < MAX_EXPIRED {
            self.expired.insert(run.clone());
        }
        slot
    }

    /// The expired runs of these partitions; they are ours to purge now.
    pub fn take_expired(&mut self, partitions: &Held) -> Vec<RunId> {
        let (ours, others) = std::mem::take(&mut self.expired)
            .into_iter()
            .partition::<BTreeSet<_>, _>(|run| partitions.contains(&partition(run)));
        self.expired = others;
        ours.into_iter().collect()
    }

    /// Notes a run that must not be touched.
    pub fn set_unreadable(&mut self, run: RunId, why: String) {
        self.unreadable.entry(run).or_insert(why);
    }

    /// Why a run is not to be touched of which not even the first event can be read.
    pub fn unreadable(&self, run: &RunId) -> Option<&str> {
        self.unreadable.get(run).map(String::as_str)
    }

    /// Whether this run id was ever seen.
    pub fn is_known(&self, run: &RunId) -> bool {
        self.by_id.contains_key(run) || self.unreadable.contains_key(run) || self.expired.contains(run)
    }

    /// All runs of a Workflow, in no order.
    pub fn ids_of(&self, workflow: &Name) -> impl Iterator<Item = &RunId> {
        let of_workflow = |slot: &&Slot| slot.run.definition().workflow == *workflow;
        self.by_id.values().filter(of_workflow).map(|slot| slot.run.id())
    }

    /// The runs that work for a run, as far as they are known.
    pub fn children_of(&self, run: &RunId) -> Vec<RunId> {
        self.children.get(run).into_iter().flatten().cloned().collect()
    }

    /// Whether any run works for another one.
    pub fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    /// Whether a run waits for the result of this task, which is a run.
    pub fn is_waiting_for(&self, task: &TaskId) -> bool {
        let mut waits =
            self.by_id.get(&task.run).into_iter().flat_map(|slot| slot.run.children().chain(slot.run.left_children()));
        waits.any(|child| child.attempt == task.attempt && child.path() == task.path)
    }

    /// Whether another run needs the output of this one: it waits for its end, or hears of it when it is opened again.
    pub fn is_needed(&self, slot: &Slot) -> bool {
        let Some(parent) = slot.run.parent() else { return false };
        let Some(parent) = self.by_id.get(&parent.run) else { return self.unreadable.contains_key(&parent.run) };
        let mut waits = parent.run.children().chain(parent.run.left_children());
        parent.unreadable.is_some() || waits.any(|child| child.run == *slot.run.id())
    }

    /// Whether another run waits for the end of this one.
    pub fn is_awaited(&self, slot: &Slot) -> bool {
        let parent = slot.run.parent().and_then(|parent| self.by_id.get(&parent.run));
        parent.is_some_and(|parent| parent.run.children().any(|child| child.run == *slot.run.id()))
    }

    /// Runs that have not ended, in the order of acceptance.
    pub fn unfinished(&self) -> impl Iterator<Item = &Slot> {
        self.unfinished.values().filter_map(|run| self.by_id.get(run))
    }

    /// Runs that have ended, the latest first.
    pub fn finished(&self) -> impl Iterator<Item = &Slot> {
        self.order.values().rev().filter_map(|run| self.by_id.get(run)).filter(|slot| slot.is_finished())
    }

    /// The run of a Workflow that was accepted last; one that works for another run only when there is no other.
    pub fn latest(&self, workflow: &Name) -> Option<&Slot> {
        self.by_id.get(self.order.get(self.latest.get(workflow)?)?)
    }

    /// The Workflows that have runs.
    pub fn workflows(&self) -> impl Iterator<Item = &Name> {
        self.latest.keys()
    }

    /// All runs of a Workflow, in no order.
    pub fn of_workflow(&self, workflow: &Name) -> impl Iterator<Item = &RunId> {
        self.by_id.iter().filter(move |(_, slot)| slot.run.definition().workflow == *workflow).map(|(run, _)| run)
    }

    /// Runs with tasks for which there is no pool.
    pub fn waiting_for_pools(&self) -> Vec<RunId> {
        let waiting =
            self.unfinished.values().filter(|run| self.by_id.get(*run).is_some_and(|slot| !slot.unroutable.is_empty()));
        waiting.cloned().collect()
    }
}
