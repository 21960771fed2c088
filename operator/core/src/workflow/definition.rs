//! What a workflow is, after parsing: typed, validated, with all defaults filled in. Travels to the Supervisor as JSON.

mod map;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{approval::Approval, auto::AutoStep, child::SubWorkflow, hand_over::HandOver};
use crate::{fairness, id::Name, priority::Class};

pub use map::{MapStep, Nested, Reduce};

/// A validated workflow definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Name of the Workflow, unique in its Domain.
    pub workflow: Name,
    /// Generation of the Workflow object this was parsed from.
    pub generation: i64,
    /// Priority class of the runs and all their tasks.
    pub class: Class,
    /// Longest time of a run; none means the timeout of its class.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What happens when a step has failed for good.
    pub on_failure: FailurePolicy,
    /// What happens when nobody knows how an attempt ended that must not be repeated.
    #[serde(default, skip_serializing_if = "UnknownPolicy::is_default")]
    pub on_unknown: UnknownPolicy,
    /// Parameters with their default values; none must be given by the run.
    #[serde(default)]
    pub parameters: BTreeMap<String, Option<Value>>,
    /// The steps in the order they were written; names are unique, `after` is acyclic and refers to existing steps.
    pub steps: Vec<Step>,
    /// Template of the run's output; none means the outputs of the steps that no other step waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Finished runs that are kept with their journals.
    pub keep_runs: u32,
    /// How long a finished run is kept at most; none means for ever.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub keep_runs_for: Option<Duration>,
    /// How long the outputs of a finished run are kept at most; none means as long as the run.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub keep_outputs_for: Option<Duration>,
    /// Share of the Workflow where it competes with others, in proportion to theirs; at least 1.
    #[serde(default = "default_weight", skip_serializing_if = "is_default_weight")]
    pub weight: u32,
    /// Runs that may be active at once; none means as many as the class has places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<u32>,
}

const fn default_weight() -> u32 {
    fairness::WEIGHT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_default_weight(weight: &u32) -> bool {
    *weight == fairness::WEIGHT
}

impl Definition {
    /// Whether a run may come to undo what was done: because of its policy, or because of a gate.
    pub fn may_compensate(&self) -> bool {
        let asks = |step: &Step| step.gate.as_ref().is_some_and(|gate| gate.on_failure == GateFailure::Compensate);
        self.on_failure == FailurePolicy::Compensate || self.steps.iter().any(asks)
    }
}

/// What happens to a run when one of its steps has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailurePolicy {
    /// No further step starts, waiting tasks are withdrawn.
    Stop,
    /// Steps that do not depend on the failed one go on.
    Continue,
    /// No further step starts, what agents already work on is waited for, and then every step that was done and says how it is
    /// undone is undone, in the reverse order in which they were done (a saga: Garcia-Molina and Salem, 1987).
    Compensate,
}

/// What happens when nobody knows how an attempt ended that must not be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownPolicy {
    /// The step ends as not known, and the run with it as its failure policy says.
    #[default]
    Fail,
    /// The task waits until a person says how it ended; the rest of the run goes on.
    Ask,
}

impl UnknownPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::Fail
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Unique name.
    pub name: Name,
    /// Steps that must have ended well, or been skipped, before this one starts.
    #[serde(default)]
    pub after: Vec<Name>,
    /// CEL condition; when it is false the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Longest time of the whole step.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What the step does.
    pub kind: StepKind,
    /// What its output must be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The task that undoes the step after it was done; only of a step that is one task, in a run that compensates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Task>,
}

impl Step {
    /// The step whose outputs are the items of this one while it runs.
    pub fn streams_from(&self) -> Option<&Name> {
        match &self.kind {
            StepKind::Map(map) => map.items_from.as_ref(),
            _ => None,
        }
    }

    /// The steps that it waits for: those that must have ended, and the one that must have started.
    pub fn before(&self) -> impl Iterator<Item = &Name> {
        self.after.iter().chain(self.streams_from())
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepKind {
    /// One task.
    Task(Task),
    /// One task per item and a reduction.
    Map(Box<MapStep>),
    /// Named branches of stages, joined.
    Parallel(Vec<Branch>),
    /// Stages in order.
    Pipeline(Vec<Stage>),
    /// The same task to several agents, and a choice among their answers.
    Scatter(Box<ScatterStep>),
    /// One task, again and again until a condition holds.
    Loop(Box<LoopStep>),
    /// Nothing but time.
    Wait(Wait),
    /// A question to people; the output is their decision.
    Approval(Approval),
    /// A run of another workflow.
    Workflow(Box<SubWorkflow>),
    /// A run of the plan that a text is decomposed into.
    Auto(Box<AutoStep>),
}

/// How long a run waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// So long from the start of the step.
    For(#[serde(with = "millis")] Duration),
    /// Until a moment: a template that yields a text of RFC 3339; over at once when it is past.
    Until(Value),
}

/// What the output of a step must be like: of its schema, then of its expression, then of its judge, as far as there are any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// JSON Schema of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What the schema is called, such as `ticket 2`, when it has a name and a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_name: Option<String>,
    /// CEL condition that reads the output as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// An agent that gives the output a score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<Judge>>,
    /// What to say when it does not hold; none means what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What follows when it does not hold.
    pub on_failure: GateFailure,
    /// Who is asked when it does not hold; only of a gate that escalates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Approval>,
    /// The task that is done instead when the gate does not hold, or the attempts of the step's task are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<Task>>,
}

/// An agent that gives the output of a step a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judge {
    /// The task; its input reads the output as `output`, and its own output has a `score` from 0 to 100.
    pub task: Task,
    /// The score that is needed, 0 to 100.
    pub at_least: u32,
}

/// What follows when the gate of a step does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateFailure {
    /// The step fails.
    Fail,
    /// The attempt counts as failed and is repeated as far as the task's `retry` allows; the next one can read the verdict.
    Retry,
    /// The step succeeds and says so.
    Continue,
    /// A person looks at what is wrong and decides whether the step succeeds or fails.
    Escalate,
    /// The gate's fallback is done instead.
    Fallback,
    /// The step fails, and the run undoes what was done.
    Compensate,
}

/// One task for one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Which agents may take it.
    pub agent: AgentSelector,
    /// Template of the input: JSON in which strings of the form `${…}` are expressions.
    pub input: Value,
    /// Longest time of one attempt from the moment an agent takes it.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// Repetitions after a failed attempt.
    pub retry: Retry,
    /// Whom its agents may hand it to; none means nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
}

/// Which agents may take a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgentSelector {
    /// One pool by name.
    Pool(Name),
    /// Any pool with this capability.
    Capability(Name),
}

/// Repetitions after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Repetitions after the first attempt.
    pub limit: u32,
    /// Before the first repetition.
    #[serde(with = "millis")]
    pub initial: Duration,
    /// Growth from one repetition to the next.
    pub factor: u32,
    /// Longest waiting time.
    #[serde(with = "millis")]
    pub max: Duration,
}

impl Retry {
    /// Waiting time before the attempt that follows `failed` failed ones: `initial * factor^(failed - 1)`, at most `max`.
    pub fn delay(&self, failed: u32) -> Duration {
        let growth = self.factor.saturating_pow(failed.saturating_sub(1));
        self.initial.saturating_mul(growth).min(self.max)
    }
}

/// The same task to several agents, and a choice among their answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScatterStep {
    /// The task that every target gets.
    pub task: Task,
    /// How many targets.
    pub to: u32,
    /// What becomes of the answers.
    pub gather: Gather,
    /// What becomes of answers that come when the gathering is decided.
    pub late: Late,
}

/// What becomes of the answers of a scatter. Expressions read the answer as `output`; without `compare`, answers agree when they are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Gather {
    /// The first answer is chosen.
    First,
    /// So many answers are enough; the most frequent one is chosen.
    Quorum {
        /// Answers that are needed.
        at_least: u32,
        /// CEL: what must be equal for answers to agree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compare: Option<String>,
    },
    /// All targets are waited for; the answer with the highest score is chosen.
    Best {
        /// CEL: the score of an answer.
        score: String,
        /// Answers that are needed.
        at_least: u32,
        /// CEL: what must be equal for answers to agree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compare: Option<String>,
    },
    /// All targets are waited for; of answers that agree the weights are added, and the heaviest are chosen.
    Weighted {
        /// CEL: the weight of an answer, 0 or more.
        weight: String,
        /// Answers that are needed.
        at_least: u32,
        /// CEL: what must be equal for answers to agree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compare: Option<String>,
    },
    /// So many answers must agree; they are chosen.
    Consensus {
        /// Answers that must agree.
        at_least: u32,
        /// CEL: what must be equal for answers to agree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compare: Option<String>,
    },
}

impl Gather {
    /// Its name in a manifest.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Quorum { .. } => "quorum",
            Self::Best { .. } => "best",
            Self::Weighted { .. } => "weighted",
            Self::Consensus { .. } => "consensus",
        }
    }

    /// Answers that are needed; of a consensus, those that must agree.
    pub const fn at_least(&self) -> u32 {
        match self {
            Self::First => 1,
            Self::Quorum { at_least, .. }
            | Self::Best { at_least, .. }
            | Self::Weighted { at_least, .. }
            | Self::Consensus { at_least, .. } => *at_least,
        }
    }

    /// The expression of what must be equal for answers to agree.
    pub fn compare(&self) -> Option<&str> {
        match self {
            Self::First => None,
            Self::Quorum { compare, .. }
            | Self::Best { compare, .. }
            | Self::Weighted { compare, .. }
            | Self::Consensus { compare, .. } => compare.as_deref(),
        }
    }

    /// The expression of a number for each answer, with the name of its field.
    pub fn score(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Best { score, .. } => Some(("score", score)),
            Self::Weighted { weight, .. } => Some(("weight", weight)),
            Self::First | Self::Quorum { .. } | Self::Consensus { .. } => None,
        }
    }
}

/// What becomes of answers that come when a gathering is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Late {
    /// The step ends at once; tasks that still wait are withdrawn, answers that still come are ignored.
    Withdraw,
    /// The step ends when every target has ended, and its results hold all answers.
    Collect,
}

/// One task, again and again until a condition holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoopStep {
    /// The task of each iteration.
    pub task: Task,
    /// CEL condition that reads the output of an iteration as `output`; no iteration follows one for which it holds.
    pub until: String,
    /// Most iterations.
    pub max_iterations: u32,
    /// Pause between the end of an iteration and the next one.
    #[serde(with = "millis")]
    pub interval: Duration,
    /// What follows when the condition does not hold after the last iteration.
    pub on_exhausted: Exhausted,
}

/// What follows when the condition of a loop does not hold after its last iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhausted {
    /// The step fails.
    Fail,
    /// The step succeeds with the last output and says so.
    Continue,
}

/// One branch of a parallel step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Name, unique in its step.
    pub name: Name,
    /// Stages in order.
    pub stages: Vec<Stage>,
}

/// A named task of a branch or a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Name, unique in its branch or pipeline.
    pub name: Name,
    /// The task.
    pub task: Task,
}

/// Durations as whole milliseconds on the wire.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads whole milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// Optional durations as whole milliseconds on the wire.
pub mod millis_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes whole milliseconds or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    /// Reads whole milliseconds or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<u64>::deserialize(deserializer).map(|millis| millis.map(Duration::from_millis))
    }
}
