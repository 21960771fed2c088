//! What the operator writes into the CONFIG bucket for supervisors: one key for each Supervisor and one for each Workflow.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tetrarch_core::{
    id::{Name, RunId},
    priority::ClassLimits,
    schedule::Concurrency,
    workflow::{
        approval::Decision,
        definition::{Definition, millis, millis_option},
        message::MessageTrigger,
        stamp::Stamp,
        trigger::Trigger,
    },
};

use crate::control::Control;

/// Key of a Supervisor's configuration.
pub fn supervisor_key(supervisor: &Name) -> String {
    format!("supervisor.{supervisor}")
}

/// Key of a Workflow's definition and requests.
pub fn workflow_key(supervisor: &Name, workflow: &Name) -> String {
    format!("workflow.{supervisor}.{workflow}")
}

/// Filter for all Workflows of a Supervisor.
pub fn workflows_of_supervisor(supervisor: &Name) -> String {
    format!("workflow.{supervisor}.*")
}

/// Value at [`supervisor_key`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupervisorSnapshot {
    /// Version of the envelope.
    pub version: u16,
    /// Pools of this Supervisor; each needs its consumers.
    pub pools: Vec<PoolSnapshot>,
    /// Limits of the four priority classes.
    pub classes: Vec<ClassLimits>,
    /// Where traces of runs go; none means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetrySnapshot>,
}

/// Where traces of runs go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelemetrySnapshot {
    /// Base address of a collector that takes OTLP over HTTP, such as `http://collector.observability:4318`.
    pub otlp_endpoint: String,
    /// So many of a hundred runs are traced.
    pub sampling_percent: u32,
}

/// A pool as a Supervisor needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSnapshot {
    /// Name of the AgentPool.
    pub name: Name,
    /// Capabilities with their proficiency 0 to 100.
    pub capabilities: Vec<(Name, u32)>,
    /// Tasks that one agent works on at once.
    pub concurrency: u32,
    /// Whether a task may be handed to an agent twice.
    pub idempotent: bool,
}

/// Value at [`workflow_key`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSnapshot {
    /// Version of the envelope.
    pub version: u16,
    /// The definition.
    pub definition: Definition,
    /// Runs that are wanted: the one of this generation when the Workflow starts on apply, and the requested one. A
    /// Supervisor that has seen a run id never starts it again.
    pub runs: Vec<RunRequest>,
    /// Runs that somebody asked to cancel.
    #[serde(default)]
    pub cancel: Vec<RunId>,
    /// What else is asked of runs that exist.
    #[serde(default, skip_serializing_if = "Control::is_empty")]
    pub control: Control,
    /// What people have decided about steps that wait for them. A decision about a question that nobody asks has no effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<StepDecision>,
    /// Upper bounds by policy. They hold for what starts from now on, runs that were accepted before included.
    #[serde(default)]
    pub limits: WorkflowLimits,
    /// When runs begin by themselves; none while there is no schedule, or it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSnapshot>,
    /// Ends of runs that begin runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerSnapshot>,
    /// Messages that begin runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageSnapshot>,
    /// Whether the Workflow object is being deleted: running runs are cancelled, finished ones purged.
    #[serde(default)]
    pub deleted: bool,
}

/// When runs begin by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleSnapshot {
    /// The five fields of cron.
    pub cron: String,
    /// Time zone that they are read in.
    pub time_zone: String,
    /// What happens when the run before has not ended.
    pub concurrency: Concurrency,
    /// How much later than at its time a run may begin.
    #[serde(with = "millis")]
    pub starting_deadline: Duration,
    /// Times up to this one begin no run.
    pub since: Timestamp,
    /// Beginning of the ids of the runs, unique for the Workflow object; see [`tetrarch_core::schedule::run_of`].
    pub prefix: String,
}

/// What begins runs when runs of other Workflows end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerSnapshot {
    /// The trigger.
    #[serde(flatten)]
    pub trigger: Trigger,
    /// What ended before begins nothing.
    pub since: Timestamp,
    /// Beginning of the ids of the runs, unique for the Workflow object.
    pub prefix: String,
}

/// What begins runs when messages come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSnapshot {
    /// The trigger.
    #[serde(flatten)]
    pub trigger: MessageTrigger,
    /// What came before begins nothing.
    pub since: Timestamp,
    /// Beginning of the ids of the runs, unique for the Workflow object.
    pub prefix: String,
}

/// Upper bounds on the times that a definition sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowLimits {
    /// Of one attempt at a task.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub task_timeout: Option<Duration>,
    /// Of one run from its start to its end. A run that has started keeps its end.
    #[serde(default, with = "millis_option", skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<Duration>,
}

/// What a person has decided about a step, as the webhook has stamped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDecision {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: Name,
    /// Which of the step's questions, from 1.
    pub attempt: u32,
    /// Generation of the Workflow that the run was accepted with.
    pub generation: i64,
    /// What was said, by whom, when and why.
    #[serde(flatten)]
    pub decision: Decision,
}

/// A wanted run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// Id of the run; deterministic, so that asking twice starts once.
    pub run: RunId,
    /// Values of parameters that differ from the defaults.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// Who or what asked, for the journal.
    pub cause: String,
    /// The person who asked, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}
