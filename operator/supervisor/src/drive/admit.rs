//! Lets runs in: accepts those that are wanted, gives them places in their classes, and cancels those that are unwanted.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tetrarch_bus::write::Written;
use tetrarch_core::{
    id::{Name, RunId},
    priority::{Class, ClassLimits},
    workflow::{definition::Definition, journal::RunEvent, run::RunPhase, stamp::Stamp, trigger::Follower},
};
use tetrarch_protocol::{control::Asked, snapshot::RunRequest};

use super::{Driver, Wanted, runs::Slot};
use crate::{
    consumers,
    writer::{self, Failure, Request},
};

/// Pause before a refused run is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(2);

/// The line of a class.
pub(super) struct Line<'a> {
    /// Active runs of the class.
    pub(super) active: usize,
    /// Those that wait.
    pub(super) waiting: Vec<(&'a Slot, Place)>,
}

/// A run that is to begin.
enum Wish<'w> {
    /// Somebody asked for it, or it follows from the generation or the time.
    Request(&'w RunRequest),
    /// Another run has ended.
    Follower(&'w Follower),
}

impl Wish<'_> {
    fn run(&self) -> &RunId {
        match self {
            Self::Request(request) => &request.run,
            Self::Follower(follower) => &follower.run,
        }
    }

    fn first_event(&self, definition: &Definition) -> RunEvent {
        match self {
            Self::Request(RunRequest { parameters, cause, stamp, .. }) => {
                writer::accepted(definition, parameters, cause, stamp.clone(), None)
            }
            Self::Follower(follower) => writer::accepted_by(definition, follower),
        }
    }
}

/// What a waiting run finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It can start.
    Free,
    /// So many runs of its Workflow are active, and more may not be.
    Limited { active: u32, max: u32 },
    /// The class has no place for it yet.
    Behind,
}

impl Driver {
    /// Appends the first event of every wanted run that was never seen. The condition of the write lets it happen once, whoever tries.
    pub(super) fn accept_wanted(&mut self, now: Timestamp) {
        let mut still_wanted = Vec::new();
        for (workflow, snapshot) in &self.config.workflows {
            if snapshot.deleted {
                continue;
            }
            let requested = snapshot.runs.iter().chain(self.triggers.wanted(workflow)).map(Wish::Request);
            for wish in requested.chain(self.completions.due(workflow).iter().map(Wish::Follower)) {
                let run = wish.run();
                if self.runs.unreadable(run).is_some() {
                    self.changed.summaries.insert(workflow.clone());
                }
                if !self.owns(run) || self.runs.is_known(run) {
                    continue;
                }
                still_wanted.push(run.clone());
                match self.wanted.get_mut(run) {
                    Some(Wanted { retry_at: None, .. }) => continue,
                    Some(Wanted { retry_at: Some(at), .. }) if *at > now => continue,
                    Some(wanted) => wanted.retry_at = None,
                    None => {
                        let wanted = Wanted { workflow: workflow.clone(), refusal: None, retry_at: None };
                        self.wanted.insert(run.clone(), wanted);
                    }
                }
                self.requests.push(Request::Append {
                    run: run.clone(),
                    expected: 0,
                    event: wish.first_event(&snapshot.definition),
                });
            }
        }
        self.wanted.retain(|run, _| still_wanted.contains(run));
    }

    /// What became of an acceptance whose run is not in the journal yet.
    pub(super) fn observe_acceptance(&mut self, run: &RunId, result: Result<Written, Failure>) {
        let Some(wanted) = self.wanted.get_mut(run) else { return };
        if let Err(failure) = result {
            tracing::warn!(%run, error = %failure, "run refused");
            wanted.refusal = Some(format!("the run is not accepted yet: {failure}"));
            wanted.retry_at = Timestamp::now().checked_add(AFTER_REFUSAL).ok();
            self.changed.summaries.insert(wanted.workflow.clone());
        }
    }

    /// Asks to cancel the runs that somebody does not want any more, and those of deleted Workflows.
    pub(super) fn cancel_unwanted(&mut self) {
        let mut unwanted: Vec<Asked> = Vec::new();
        for (workflow, snapshot) in &self.config.workflows {
            let by_nobody = |run: &RunId, cause: &str| Asked { run: run.clone(), cause: cause.to_owned(), stamp: None };
            // Whoever may write to one Workflow has no say in the runs of another.
            let is_own =
                |run: &&RunId| self.runs.get(run).is_some_and(|slot| slot.run.definition().workflow == *workflow);
            unwanted.extend(snapshot.cancel.iter().filter(is_own).map(|run| {
                let known = Asked::find(&snapshot.control.cancel, run).cloned();
                known.unwrap_or_else(|| by_nobody(run, "request"))
            }));
            if snapshot.deleted {
                let runs = self.runs.unfinished().filter(|slot| slot.run.definition().workflow == *workflow);
                unwanted.extend(runs.map(|slot| by_nobody(slot.run.id(), "the Workflow is being deleted")));
            }
        }
        for Asked { run, cause, stamp } in unwanted {
            self.cancel(&run, cause, stamp);
        }
    }

    /// Asks to cancel a run, unless it has ended or that was asked already.
    pub(super) fn cancel(&mut self, run: &RunId, cause: String, stamp: Option<Stamp>) {
        if !self.owns(run) {
            return;
        }
        let Some(slot) = self.runs.get_mut(run) else { return };
        if !slot.is_open() || slot.run.is_cancel_requested() || slot.is_cancelling {
            return;
        }
        slot.is_cancelling = true;
        slot.appends.push_back(RunEvent::CancelRequested { cause, stamp });
        self.append_next(run);
    }

    /// The end of a run that starts now.
    pub(super) fn deadline(&self, definition: &Definition, limits: &ClassLimits, now: Timestamp) -> Timestamp {
        let timeout = definition.timeout.unwrap_or(limits.timeout);
        let snapshot = self.config.workflows.get(&definition.workflow);
        let longest = snapshot.and_then(|snapshot| snapshot.limits.run_timeout);
        let timeout = longest.map_or(timeout, |longest| timeout.min(longest));
        now.checked_add(timeout).unwrap_or(Timestamp::MAX)
    }

    /// Starts runs that wait, in the order of their tickets, as far as their classes and Workflows have places.
    ///
    /// Each replica starts only its own runs, but counts all of them: a run starts when those before it would find places too. So replicas
    /// that decide at the same time never start more than there are places.
    pub(super) fn start_waiting(&mut self, now: Timestamp) {
        let mut starts = Vec::new();
        for class in Class::ALL {
            let line = self.line(class);
            self.outputs.metrics.set_runs(class, line.active, line.waiting.len());
            let Some(limits) = self.limits(class) else { continue };
            for (slot, place) in line.waiting {
                let may_start = slot.is_open() && !slot.is_starting && !slot.run.is_cancel_requested();
                if place == Place::Free && may_start && self.owns(slot.run.id()) {
                    let deadline = self.deadline(slot.run.definition(), &limits, now);
                    starts.push((slot.run.id().clone(), deadline));
                }
            }
        }
        for (run, deadline) in starts {
            let Some(slot) = self.runs.get_mut(&run) else { continue };
            slot.is_starting = true;
            slot.appends.push_back(RunEvent::Started { deadline });
            self.append_next(&run);
        }
    }

    /// The runs of a class that wait, those whose turn comes first before the others, with what each finds. A run in which
    /// nothing goes on before a person has decided takes no place of its class: it goes on at once when that has happened.
    /// Neither does one that works for a step of another run: it is in its place.
    pub(super) fn line(&self, class: Class) -> Line<'_> {
        let mut active = 0;
        let mut of_workflow: BTreeMap<&Name, u32> = BTreeMap::new();
        let mut waiting = Vec::new();
        for slot in self.runs.unfinished().filter(|slot| slot.run.parent().is_none()) {
            let is_of_class = slot.class() == class;
            if slot.run.phase() != RunPhase::Pending {
                active += usize::from(is_of_class && slot.run.phase() != RunPhase::Waiting);
                *of_workflow.entry(&slot.run.definition().workflow).or_default() += 1;
            } else if is_of_class && slot.run.paused_since().is_none() {
                // One that is paused lets the others pass.
                waiting.push(slot);
            }
        }
        waiting.sort_by_key(|slot| (slot.ticket, slot.accepted));
        let places = self.limits(class).map_or(0, |limits| limits.max_concurrent as usize);
        let mut free = places.saturating_sub(active);
        let mut find_place = |slot: &Slot, of_workflow: &mut BTreeMap<_, u32>| {
            let definition = slot.run.definition();
            let snapshot = self.config.workflows.get(&definition.workflow);
            let max = snapshot.map_or(definition.max_concurrent_runs, |current| current.definition.max_concurrent_runs);
            let active = of_workflow.get(&definition.workflow).copied().unwrap_or_default();
            match max {
                Some(max) if active >= max => Place::Limited { active, max },
                _ if free == 0 => Place::Behind,
                _ => {
                    free -= 1;
                    Place::Free
                }
            }
        };
        let waiting = waiting
            .into_iter()
            .map(|slot| {
                let place = find_place(slot, &mut of_workflow);
                if place == Place::Free {
                    *of_workflow.entry(&slot.run.definition().workflow).or_default() += 1;
                }
                (slot, place)
            })
            .collect();
        Line { active, waiting }
    }

    /// The limits of a class.
    pub(super) fn limits(&self, class: Class) -> Option<ClassLimits> {
        self.config.supervisor.as_ref()?.classes.iter().find(|limits| limits.class == class).copied()
    }

    /// Tells which consumers there must be.
    pub(super) fn want_consumers(&mut self) {
        let Some(snapshot) = self.config.supervisor.as_ref().filter(|_| self.leads()) else {
            self.outputs.wanted.send_replace(None);
            return;
        };
        let mut wanted = consumers::Wanted { restarts: self.restarts, ..consumers::Wanted::default() };
        for pool in &snapshot.pools {
            for class in Class::ALL {
                // A new consumer hands out what has no result yet, and nothing that is done.
                let first = self
                    .runs
                    .unfinished()
                    .filter(|slot| slot.class() == class)
                    .flat_map(|slot| slot.outstanding.values())
                    .filter(|outstanding| outstanding.pool == pool.name)
                    .map(|outstanding| outstanding.sequence)
                    .min();
                wanted.queues.insert((pool.name.clone(), class), first.unwrap_or(self.last_sequence + 1));
            }
        }
        self.outputs.wanted.send_replace(Some(wanted));
    }
}
