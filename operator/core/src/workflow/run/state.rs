//! The state of a run: what its journal has told so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{StepPhase, approval::Ask, auto::Planning, control::Control, plan::Plan};
use crate::{
    expression::{References, Scope, Variable},
    id::Name,
    workflow::{
        auto::Planned, child::Parent, definition::AgentSelector, gather::Answer, journal::FinalPhase, trigger::Origin,
    },
};

/// A task of a run, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskKey {
    pub(super) step: usize,
    pub(super) part: Part,
}

/// Which task of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// The only one of a task step.
    Only,
    /// The one for an item of a map, for a target of a scatter, or for an iteration of a loop.
    Item(usize),
    /// The reducing one of a map.
    Reduce,
    /// The one that reduces a group of outputs, on a level of a tree.
    Group { level: usize, group: usize },
    /// A stage of a branch or of a pipeline.
    Stage { chain: usize, stage: usize },
    /// The one that judges the output of the step, by its number from 1.
    Judge(u32),
    /// The one that plans the step, by its number from 1.
    Plan(u32),
    /// The one that undoes the step.
    Compensate,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    /// Value of the variable `params`.
    pub(super) parameters: Value,
    pub(super) cause: String,
    /// The step of another run that this one works for.
    pub(super) parent: Option<Parent>,
    /// The run that this one follows.
    pub(super) origin: Option<Origin>,
    pub(super) accepted_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    /// End of the run's time, as long as it waits for nobody.
    pub(super) deadline: Option<Timestamp>,
    /// Steps that wait for a person.
    pub(super) questions: usize,
    /// Since when some step does.
    pub(super) asking_since: Option<Timestamp>,
    /// How long people were waited for before; the run's clock stood still.
    pub(super) waited: SignedDuration,
    /// Who asked to cancel.
    pub(super) cancelled: Option<String>,
    pub(super) finished: Option<Finish>,
    /// Since when nothing is known any more but the facts that were kept.
    pub(super) outputs_removed_at: Option<Timestamp>,
    /// What else people asked of it.
    pub(super) control: Control,
    /// Steps that were done and can be undone, in the order in which they were done.
    pub(super) done: Vec<usize>,
    /// A gate says that what was done has to be undone.
    pub(super) is_to_be_undone: bool,
    pub(super) compensation: Option<Compensation>,
    pub(super) steps: Vec<StepState>,
    /// Steps that have ended.
    pub(super) ended: usize,
    /// Steps that failed for good, in the order of the journal.
    pub(super) failed: Vec<usize>,
    /// Attempts that are in a queue or with an agent.
    pub(super) in_flight: BTreeSet<TaskKey>,
    pub(super) ignored: u64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finish {
    pub(super) phase: FinalPhase,
    pub(super) message: String,
    pub(super) at: Timestamp,
}

/// Where the undoing stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compensation {
    /// How the run would have ended, and why.
    pub(super) phase: FinalPhase,
    pub(super) message: String,
    /// End of the time for undoing: it gets as much as the run had.
    pub(super) deadline: Timestamp,
    /// The step that is being undone, and its task.
    pub(super) current: Option<(usize, TaskState)>,
    pub(super) undone: Vec<usize>,
    pub(super) remaining: Vec<Remainder>,
}

/// A step that people have to undo.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remainder {
    pub(super) step: usize,
    pub(super) why: String,
    pub(super) is_unknown: bool,
}

/// The state of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepState {
    pub(super) phase: StepPhase,
    pub(super) message: Option<String>,
    /// Steps before this one that have not ended well yet.
    pub(super) waits_for: usize,
    /// A step before this one that failed, or was skipped because of a failure.
    pub(super) blocked_by: Option<usize>,
    /// What the engine found out about the step and the journal does not show yet.
    pub(super) decision: Option<Decision>,
    /// An attempt of its only task ended without the agent's own word: it may have been done.
    pub(super) is_doubtful: bool,
    /// The last attempt of its only task that was dispatched; 0 for none.
    pub(super) last_attempt: u32,
    /// How often people were asked about it; never falls, so that no decision is taken for another question's.
    pub(super) asked: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) tasks: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) retries: u64,
    /// What expressions read as `steps.<name>` once the step has ended: its output and phase.
    pub(super) view: Value,
    /// The tasks while the step runs.
    pub(super) body: Body,
    /// The outputs of its items, when other maps stream from it.
    pub(super) stream: Vec<Slot>,
    /// The judgement of its output.
    pub(super) judging: Option<Judging>,
    /// How often its output was given to a judge.
    pub(super) judged: u32,
    /// What it is to do, when that had to be planned.
    pub(super) planned: Option<Arc<Planned>>,
}

/// An output that is being judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judging {
    pub(super) round: u32,
    pub(super) task: TaskState,
    pub(super) output: Value,
}

/// An end of a step that does not follow from a result and has to be written down.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    Skip(String),
    Fail(String),
}

/// The tasks of a running step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// Not started, or ended.
    Closed,
    Task(TaskState),
    Map(MapState),
    Chains(Vec<ChainState>),
    Scatter(ScatterState),
    Loop(LoopState),
    /// Until this moment.
    Wait(Timestamp),
    /// For a person.
    Asked(Box<Ask>),
    /// For a plan.
    Planning(Box<Planning>),
}

/// The tasks of a running map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MapState {
    /// Empty when they come from another step.
    pub(super) items: Vec<Value>,
    pub(super) tasks: Vec<TaskState>,
    /// The outer items of a nested map, in their order.
    pub(super) groups: Vec<Group>,
    /// What is known of the items that come from another step.
    pub(super) incoming: Option<Incoming>,
    /// Tasks that were opened so far, `maxParallel` at once; they open in order, or as their items come.
    pub(super) opened: usize,
    /// Tasks that ended for good.
    pub(super) closed: usize,
    /// The reducing task and its `results`, once all items are done.
    pub(super) reduce: Option<(TaskState, Value)>,
    /// The level of a tree that is being reduced.
    pub(super) tree: Option<TreeState>,
}

/// An outer item of a nested map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) outer: Value,
    /// The place of its first inner item among all of them; that of the next group when it has none.
    pub(super) first: usize,
}

/// Items of a map that come from another step, by their places.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Incoming {
    /// Those that are there and wait for their turn.
    pub(super) ready: BTreeSet<usize>,
    /// Those that will never be there.
    pub(super) holes: BTreeSet<usize>,
}

/// What became of an item of a map that others stream from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    /// It has not ended.
    Open,
    /// It failed, or there was none.
    Hole,
    /// Its output.
    Item(Value),
}

/// A level of a tree of reductions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TreeState {
    /// Its number, from 0.
    pub(super) level: usize,
    /// The tasks of its groups, each with its `results` as long as it needs them.
    pub(super) groups: Vec<(TaskState, Value)>,
    /// Groups that were opened so far; they open in order, `maxParallel` at once.
    pub(super) opened: usize,
    /// Groups of them whose task is not done.
    pub(super) running: usize,
    /// Groups that were reduced.
    pub(super) closed: usize,
}

/// The tasks of a running scatter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScatterState {
    pub(super) tasks: Vec<TaskState>,
    /// Answers in the order in which they came.
    pub(super) answers: Vec<Answer>,
    /// Targets that failed for good.
    pub(super) failed: usize,
}

/// The iteration of a loop that runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoopState {
    /// Its number, from 0.
    pub(super) index: usize,
    pub(super) task: TaskState,
    /// Output of the iteration before.
    pub(super) previous: Value,
}

/// A branch or a pipeline that runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChainState {
    /// The stage that runs.
    pub(super) stage: usize,
    pub(super) task: TaskState,
    /// Output of the stage before, and in the end of the last one.
    pub(super) previous: Value,
    pub(super) is_done: bool,
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskState {
    pub(super) status: Status,
    /// The last attempt that was dispatched; 0 for none.
    pub(super) attempt: u32,
    /// Failed attempts.
    pub(super) failures: u32,
    /// What the step's gate said of the attempt before.
    pub(super) verdict: Option<String>,
    /// Whether it is done by the gate's fallback from now on.
    pub(super) is_fallback: bool,
    /// With whom it goes on, when an agent has handed it over.
    pub(super) handed: Option<Box<Handed>>,
}

/// A task that an agent has handed over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Handed {
    /// Who goes on.
    pub(super) to: AgentSelector,
    /// Their input; none means that of the task.
    pub(super) input: Option<Value>,
    /// How often it was handed over.
    pub(super) count: u32,
    /// The attempt that handed it over last.
    pub(super) by: u32,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// Its turn has not come.
    Closed,
    /// Its next attempt is to be dispatched, not before the given time when it is a repetition.
    Due(Option<Timestamp>),
    /// In the queue of this pool or with one of its agents.
    InFlight(Name),
    /// Ended well.
    Succeeded(Value),
    /// Ended badly for good.
    Failed,
    /// Nobody knows how its last attempt ended, for this reason.
    Unknown(String),
}

impl TaskState {
    pub(super) const CLOSED: Self =
        Self { status: Status::Closed, attempt: 0, failures: 0, verdict: None, is_fallback: false, handed: None };
    pub(super) const DUE: Self =
        Self { status: Status::Due(None), attempt: 0, failures: 0, verdict: None, is_fallback: false, handed: None };
}

impl StepState {
    /// A step that waits for so many others.
    pub(super) const fn pending(waits_for: usize) -> Self {
        Self {
            phase: StepPhase::Pending,
            message: None,
            waits_for,
            blocked_by: None,
            decision: None,
            is_doubtful: false,
            last_attempt: 0,
            asked: 0,
            started_at: None,
            ended_at: None,
            tasks: 0,
            succeeded: 0,
            failed: 0,
            retries: 0,
            view: Value::Null,
            body: Body::Closed,
            stream: Vec::new(),
            judging: None,
            judged: 0,
            planned: None,
        }
    }
}

impl State {
    pub(super) fn accepted(
        plan: &Plan,
        parameters: BTreeMap<String, Value>,
        cause: String,
        accepted_at: Timestamp,
    ) -> Self {
        let steps =
            plan.steps.iter().zip(&plan.definition.steps).map(|(_, step)| StepState::pending(step.before().count()));
        Self {
            parameters: Value::Object(Map::from_iter(parameters)),
            cause,
            parent: None,
            origin: None,
            accepted_at,
            started_at: None,
            deadline: None,
            questions: 0,
            asking_since: None,
            waited: SignedDuration::ZERO,
            cancelled: None,
            finished: None,
            outputs_removed_at: None,
            control: Control::default(),
            done: Vec::new(),
            is_to_be_undone: false,
            compensation: None,
            steps: steps.collect(),
            ended: 0,
            failed: Vec::new(),
            in_flight: BTreeSet::new(),
            ignored: 0,
        }
    }

    pub(super) fn task(&self, key: TaskKey) -> Option<&TaskState> {
        if key.part == Part::Compensate {
            let current = self.compensation.as_ref()?.current.as_ref();
            return current.filter(|(step, _)| *step == key.step).map(|(_, task)| task);
        }
        if let Part::Judge(round) = key.part {
            let judging = self.steps.get(key.step)?.judging.as_ref();
            return judging.filter(|judging| judging.round == round).map(|judging| &judging.task);
        }
        self.steps.get(key.step)?.body.task(key.part)
    }

    pub(super) fn task_mut(&mut self, key: TaskKey) -> Option<&mut TaskState> {
        if key.part == Part::Compensate {
            let current = self.compensation.as_mut()?.current.as_mut();
            return current.filter(|(step, _)| *step == key.step).map(|(_, task)| task);
        }
        if let Part::Judge(round) = key.part {
            let judging = self.steps.get_mut(key.step)?.judging.as_mut();
            return judging.filter(|judging| judging.round == round).map(|judging| &mut judging.task);
        }
        self.steps.get_mut(key.step)?.body.task_mut(key.part)
    }

    /// The variables that every expression reads, as far as this one needs them.
    pub(super) fn scope<'s>(&'s self, plan: &'s Plan, references: &'s References) -> Scope<'s> {
        let scope = Scope::default()
            .with(Variable::Params, std::borrow::Cow::Borrowed(&self.parameters))
            .with(Variable::Run, std::borrow::Cow::Borrowed(&plan.run));
        references.steps.iter().fold(scope, |scope, name| match plan.step(name).and_then(|step| self.steps.get(step)) {
            Some(step) if step.phase.is_ended() => scope.with_step(name, &step.view),
            _ => scope,
        })
    }
}
