//! The entries of a run's journal. The state of a run is the fold of its entries in stream order.
//!
//! Three subjects carry them: a dispatched task and its result are entries themselves (`Entry::Dispatched`,
//! `Entry::Result`), and `Entry::Run` holds what those two do not imply.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{Name, RunId, TaskPath},
    workflow::{
        approval::Decision, auto::Planned, child::Parent, definition::Definition, phase::StepPhase, stamp::Stamp,
        trigger::Origin,
    },
};

/// One entry of a run's journal, as folded.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Something that happened to the run as a whole or to a step without an agent.
    Run(RunEvent),
    /// An attempt was put into the queue of a pool.
    Dispatched {
        /// Place of the task.
        path: TaskPath,
        /// The attempt, from 1.
        attempt: u32,
        /// The pool whose queue it is in.
        pool: Name,
    },
    /// An attempt ended.
    Result {
        /// Place of the task.
        path: TaskPath,
        /// The attempt, from 1.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
}

/// What the other two kinds of entries do not imply. Written as JSON with a `type`; fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RunEvent {
    /// The run was accepted; always the first entry. It waits for a place in its class.
    Accepted {
        /// The definition, frozen for this run.
        definition: Box<Definition>,
        /// Values of the parameters, defaults filled in.
        parameters: BTreeMap<String, Value>,
        /// Who or what asked for it, such as `generation 3` or a request id.
        cause: String,
        /// The step of another run that this one works for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<Parent>>,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
        /// What began it, when that was a trigger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<Origin>>,
    },
    /// The run got its place and its clock runs.
    Started {
        /// End of the run's time.
        deadline: Timestamp,
    },
    /// A step was skipped.
    StepSkipped {
        /// The step.
        step: Name,
        /// Why.
        reason: String,
    },
    /// A step ended badly without (or beyond) a task's result: bad expression, step timeout, unknown agent.
    StepFailed {
        /// The step.
        step: Name,
        /// Why.
        reason: String,
    },
    /// The time that a step waits for has come.
    WaitOver {
        /// The step.
        step: Name,
    },
    /// Somebody decided about a step that waits for a person.
    Decided {
        /// The step.
        step: Name,
        /// Which of its questions, from 1.
        attempt: u32,
        /// What was said, by whom, when and why.
        decision: Decision,
    },
    /// Nobody decided about a step in time; what follows stands in its definition.
    DecisionTimedOut {
        /// The step.
        step: Name,
        /// Which of its questions, from 1.
        attempt: u32,
        /// Whether that counts as a yes.
        approved: bool,
    },
    /// A step begins a run of another workflow. That run is accepted once, whoever tries, because its id follows from this entry;
    /// its end comes back as the result of the attempt.
    ChildStarted {
        /// The step.
        step: Name,
        /// The attempt, from 1.
        attempt: u32,
        /// The run.
        run: RunId,
    },
    /// What a step is to do was planned: by the rules first, and then by the planner if there is one.
    Planned {
        /// The step.
        step: Name,
        /// How often its planner was asked.
        round: u32,
        /// The plan, with what was known when it was made.
        plan: Box<Planned>,
    },
    /// What the planner of a step replied is no plan.
    PlanRefused {
        /// The step.
        step: Name,
        /// How often its planner was asked.
        round: u32,
        /// What is wrong with it, each with its step and field.
        mistakes: Vec<String>,
    },
    /// Somebody asked to cancel the run.
    CancelRequested {
        /// Who or what.
        cause: String,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// Somebody asked that nothing new starts for now.
    Paused {
        /// Who or what.
        cause: String,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// Somebody asked that a paused run goes on.
    Resumed {
        /// Who or what.
        cause: String,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// Somebody asked to end the run at once, without undoing anything.
    TerminateRequested {
        /// Who or what.
        cause: String,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// A run that had not ended well was opened again: it waits for a place, and what is not done is done again.
    Reopened {
        /// The request, by which it is known when it comes a second time.
        request: String,
        /// Who or what asked for it.
        cause: String,
        /// Attempts that must not be repeated and of which nobody knows how they ended.
        #[serde(default)]
        unknown: Vec<AttemptRef>,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// Somebody has said how an attempt ended of which it was not known.
    Resolved {
        /// Place of the task.
        path: TaskPath,
        /// The attempt.
        attempt: u32,
        /// What was found out.
        resolution: Resolution,
        /// Who or what said it.
        cause: String,
        /// The person who asked, when one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<Stamp>,
    },
    /// A waiting task was withdrawn from its queue before an agent took it.
    Withdrawn {
        /// Place of the task.
        path: TaskPath,
        /// The attempt.
        attempt: u32,
    },
    /// The run is lost: no further step starts, and what was done is undone.
    CompensationStarted {
        /// How the run would have ended.
        phase: FinalPhase,
        /// Why, in a sentence.
        message: String,
    },
    /// The outputs of a run that has ended are given up: its dispatches, its results and its values in the store may be gone. What stays
    /// known of its steps stands here, and it is not opened again.
    OutputsRemoved {
        /// Steps that had ended.
        ended: u32,
        /// The steps in the order of the definition.
        steps: Vec<KeptStep>,
    },
    /// The run ended; the last entry, unless it is opened again or its outputs are removed.
    Finished {
        /// How.
        phase: FinalPhase,
        /// Why, in a sentence.
        message: String,
    },
}

/// An attempt at a task of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRef {
    /// Place of the task.
    pub path: TaskPath,
    /// The attempt.
    pub attempt: u32,
}

/// The final facts of a step whose outputs are removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptStep {
    /// The step.
    pub step: Name,
    /// How it ended.
    pub phase: StepPhase,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tasks in all.
    #[serde(default)]
    pub tasks: u64,
    /// Tasks ended well.
    #[serde(default)]
    pub succeeded: u64,
    /// Tasks ended badly.
    #[serde(default)]
    pub failed: u64,
    /// Attempts beyond the first of each task.
    #[serde(default)]
    pub retries: u64,
    /// The last attempt of its only task: the run that it stood for follows from it.
    #[serde(default)]
    pub last_attempt: u32,
    /// Whether it had a plan: the last one that the journal tells of.
    #[serde(default)]
    pub is_planned: bool,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// What a person has found out about an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Resolution {
    /// The work is done: the task has succeeded.
    Done {
        /// Its output; null when nobody has it.
        #[serde(default)]
        output: Value,
    },
    /// The work is not done: the task is handed out again.
    NotDone,
}

/// How a run can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinalPhase {
    /// Every step ended well or was skipped by its condition.
    Succeeded,
    /// A step failed, or the time ran out. Of a run that compensates: something could not be undone.
    Failed,
    /// A step failed, or the time ran out, and everything that was done is undone.
    Compensated,
    /// Somebody asked for it.
    Cancelled,
    /// It is not known whether some agent finished its work.
    OutcomeUnknown,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// The agent answered.
    Succeeded {
        /// Its answer.
        output: Value,
    },
    /// The agent says who goes on with the task.
    HandedOver {
        /// The capability of those who go on.
        to: Name,
        /// Their input; none means the one that this agent got.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
        /// Why, in the agent's words, bounded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The agent refused or failed, or could not be reached.
    Failed {
        /// What kind of failure.
        reason: FailureReason,
        /// What the agent or the sidecar said, bounded.
        message: String,
    },
    /// A sidecar died between the call and its report, and the step is not idempotent.
    Unknown {
        /// What is known.
        message: String,
    },
}

impl Outcome {
    /// Whether the agent itself has said how the attempt ended; otherwise it may have done its work.
    pub const fn is_agents_word(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::HandedOver { .. } => true,
            Self::Failed { reason, .. } => matches!(reason, FailureReason::AgentError | FailureReason::Rejected),
            Self::Unknown { .. } => false,
        }
    }
}

/// Kinds of failed attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureReason {
    /// The agent said so in its envelope, and says that a repetition may help.
    AgentError,
    /// The agent said so, and says that a repetition is useless. Never retried.
    Rejected,
    /// The answer was no valid envelope.
    InvalidResponse,
    /// The answer was too large.
    ResponseTooLarge,
    /// No answer within the attempt's time.
    Timeout,
    /// The agent could not be reached or closed the connection.
    Unreachable,
    /// The task kept killing agents and went to the dead letters. Never retried.
    DeadLettered,
    /// The run of another workflow that the step stands for ended badly.
    RunFailed,
    /// Somebody cancelled that run. Never retried.
    RunCancelled,
}

impl FailureReason {
    /// Whether another attempt may end differently.
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Rejected | Self::DeadLettered | Self::RunCancelled)
    }
}
