//! A run: accepted once, then folded from its journal; says at any time what is to be done next.
//!
//! ```text
//!            journal entry                     time
//!                 │                             │
//!   Run ──────── apply ──> Run'  ──────────── next ──> [Append, Dispatch, Withdraw, WakeAt]
//! ```
//!
//! The state comes from `apply` alone, so a replay of the same entries gives the same state. What `next` remembers (which
//! actions it has already handed out) is only there to not repeat itself; [`Run::reissue`] forgets it.
//!
//! When a run stops early (a failure under `Stop`, a cancel, its deadline), it finishes at once: tasks in flight are
//! withdrawn from their queues, and results of those that an agent already works on are ignored. Waiting for them would
//! let one hanging agent hold a run that is lost anyway. A run that compensates waits for those that would have to be undone.

mod apply;
mod approval;
mod auto;
mod body;
mod child;
mod compensation;
mod control;
mod due;
mod flaw;
mod gate;
mod hand_over;
mod judge;
mod map;
mod nested;
mod next;
mod origin;
mod outputs;
mod plan;
mod reopen;
mod repeat;
mod resolve;
mod scatter;
mod state;
mod step;
mod stream;
mod summary;
mod tree;
mod waits_for;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use self::{next::Memo, plan::Plan, state::State};
use super::{
    definition::{AgentSelector, Definition},
    journal::{Entry, FinalPhase, RunEvent},
};
use crate::id::{Name, RunId, TaskPath};

pub use super::phase::StepPhase;
pub use approval::Question;
pub use child::Child;
pub use resolve::Doubt;
pub use summary::StepView;

/// Most items of one map step.
pub const MAX_ITEMS: usize = 100_000;

/// Why the parameters of a run do not fit its definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A parameter without a default got no value.
    #[error("parameter {0:?} has no value: give the run one, or write a default in spec.parameters")]
    Missing(String),
    /// A value for a parameter that does not exist.
    #[error("there is no parameter {0:?}: add it to spec.parameters, or correct the name")]
    Unknown(String),
}

/// The values of all parameters: those given, and the defaults of the others.
pub fn resolve_parameters(
    definition: &Definition,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, ParameterError> {
    if let Some(unknown) = given.keys().find(|name| !definition.parameters.contains_key(*name)) {
        return Err(ParameterError::Unknown(unknown.clone()));
    }
    definition
        .parameters
        .iter()
        .map(|(name, default)| {
            let value = given.get(name).or(default.as_ref());
            let value = value.ok_or_else(|| ParameterError::Missing(name.clone()))?;
            Ok((name.clone(), value.clone()))
        })
        .collect()
}

/// Something to be done for a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Append this event to the run's journal, on the condition that no event was appended since those that were folded
    /// when `next` listed it; several of one list follow each other. The condition must not be renewed later: a decision to
    /// finish the run that was taken before another owner finished it would end the run twice.
    Append(RunEvent),
    /// Put an attempt into the queue of a pool.
    Dispatch {
        /// Place of the task.
        path: TaskPath,
        /// The attempt, from 1.
        attempt: u32,
        /// Which agents may take it.
        agent: AgentSelector,
        /// Input for the agent.
        input: Value,
        /// Longest time of the attempt from the moment an agent takes it.
        timeout: Duration,
        /// No attempt starts after it: the end of the run's time, or of the step's when that is earlier.
        deadline: Timestamp,
    },
    /// Take an attempt out of the queue of its pool, when it still waits there. No answer is expected.
    Withdraw {
        /// Place of the task.
        path: TaskPath,
        /// The attempt.
        attempt: u32,
        /// The pool in whose queue it is.
        pool: Name,
    },
    /// Call [`Run::next`] again at this time, at the latest.
    WakeAt(Timestamp),
}

/// Tasks of one kind in a run that are due and have not been handed out: they ask for the same agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTasks<'a> {
    /// Which agents may take them.
    pub agent: &'a AgentSelector,
    /// Place of the first of them.
    pub first: TaskPath,
    /// How many.
    pub tasks: usize,
}

/// How many of these tasks may be handed out now.
pub type Grant<'a> = &'a mut dyn FnMut(&DueTasks<'_>) -> usize;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPhase {
    /// Accepted; waits for a place in its class.
    Pending,
    /// Started.
    Running,
    /// Started, and nothing goes on until a person has decided.
    Waiting,
    /// Lost: what was done is being undone.
    Compensating,
    /// Ended.
    Ended(FinalPhase),
}

/// One run of a workflow.
#[derive(Debug, Clone)]
pub struct Run {
    id: RunId,
    plan: Arc<Plan>,
    state: State,
    memo: Memo,
}

impl Run {
    /// The run that an `Accepted` entry begins. A definition or parameters that cannot be run give a run that finishes as
    /// failed at once, so nothing accepted is lost.
    pub fn accept(
        id: RunId,
        definition: Definition,
        parameters: &BTreeMap<String, Value>,
        cause: String,
        at: Timestamp,
    ) -> Self {
        let resolved = resolve_parameters(&definition, parameters);
        let plan = Plan::compile(&id, definition, resolved.as_ref().err().map(ToString::to_string));
        let state = State::accepted(&plan, resolved.unwrap_or_default(), cause, at);
        Self { id, plan: Arc::new(plan), state, memo: Memo::default() }
    }

    /// The run that a journal tells of; none when it does not begin with `Accepted`.
    pub fn replay(id: RunId, journal: impl IntoIterator<Item = (Entry, Timestamp)>) -> Option<Self> {
        let mut journal = journal.into_iter();
        let (Entry::Run(RunEvent::Accepted { definition, parameters, cause, parent, origin, .. }), at) =
            journal.next()?
        else {
            return None;
        };
        let accepted = Self::accept(id, *definition, &parameters, cause, at).under(parent.map(|parent| *parent));
        let mut run = accepted.begun_by(origin.map(|origin| *origin));
        for (entry, at) in journal {
            run.apply(&entry, at);
        }
        Some(run)
    }

    /// Folds one journal entry into the state. Total: entries that change nothing any more (duplicates, late results,
    /// results of withdrawn attempts, everything after the end) are counted in [`Run::ignored`].
    ///
    /// `at` is the time at which the entry was written, the same on every replica.
    pub fn apply(&mut self, entry: &Entry, at: Timestamp) {
        apply::apply(&self.plan, &mut self.state, &mut self.memo, entry, at);
    }

    /// The actions that are due now and have not been handed out yet. A run that is accepted and not started has none,
    /// unless it was cancelled or cannot be run at all.
    ///
    /// When an action could not be carried out (lost leadership, a refused write), call [`Run::reissue`].
    pub fn next(&mut self, now: Timestamp) -> Vec<Action> {
        self.next_within(now, &mut |due| due.tasks)
    }

    /// The same with no more tasks than are granted. The others stay due, and cost no more than their places: their inputs are made when
    /// they are handed out. `grant` is asked once for the tasks of each kind; of several kinds, the one that was served last is asked last.
    pub fn next_within(&mut self, now: Timestamp, grant: Grant<'_>) -> Vec<Action> {
        next::next(&self.plan, &self.state, &mut self.memo, now, grant)
    }

    /// Tells of the tasks that are due and have not been dispatched by anybody, without handing out anything: for replicas that follow
    /// a run and do not act on it.
    pub fn observe_due(&mut self, observe: &mut dyn FnMut(&DueTasks<'_>)) {
        due::observe(&self.plan, &self.state, &mut self.memo, observe);
    }

    /// Forgets which actions were handed out: `next` lists again everything that the journal does not show as done.
    pub fn reissue(&mut self) {
        self.memo = Memo::rebuilt(&self.plan, &self.state, std::mem::take(&mut self.memo));
    }
}

/// One step of a replay or of a live run: folds an entry and lists what is due then.
pub fn advance(mut run: Run, entry: &Entry, at: Timestamp, now: Timestamp) -> (Run, Vec<Action>) {
    run.apply(entry, at);
    let actions = run.next(now);
    (run, actions)
}
