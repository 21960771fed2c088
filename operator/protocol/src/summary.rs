//! What supervisors write into the REPORT bucket for the operator: one key for each Workflow and one for each Supervisor.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tetrarch_core::{
    id::{Name, RunId},
    workflow::approval::Approval,
};

/// Key of the summary of a Workflow's latest run.
pub fn workflow_key(supervisor: &Name, workflow: &Name) -> String {
    format!("workflow.{supervisor}.{workflow}")
}

/// Key of a Supervisor's load.
pub fn supervisor_key(supervisor: &Name) -> String {
    format!("supervisor.{supervisor}")
}

/// Largest output, as JSON text in bytes, that a summary carries.
pub const MAX_OUTPUT: usize = 8 * 1024;

/// Value at [`workflow_key`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Version of the envelope.
    pub version: u16,
    /// The run.
    pub run: RunId,
    /// Who or what asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Runs that are wanted and were accepted, this one or earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<RunId>,
    /// The last time of the Workflow's schedule whose run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Timestamp>,
    /// Where it stands.
    pub phase: Phase,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it waits for now, in a sentence, when it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How often it was opened again after it had ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retried: u32,
    /// Ended steps.
    pub ended: u32,
    /// Steps in all.
    pub total: u32,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Since when its outputs are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_removed_at: Option<Timestamp>,
    /// The steps in the order of the definition.
    pub steps: Vec<StepSummary>,
    /// The output when it is small enough ([`MAX_OUTPUT`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What waits for people in all runs of the Workflow, at most [`MAX_WAITING`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingStep>,
    /// What is asked of runs of the Workflow and cannot be, each with its reason, at most [`MAX_REFUSED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// Most refused requests that a summary lists.
pub const MAX_REFUSED: usize = 8;

/// Most questions that a summary lists.
pub const MAX_WAITING: usize = 64;

/// A step that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingStep {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: Name,
    /// Which of the step's questions, from 1.
    pub attempt: u32,
    /// Generation of the Workflow that the run was accepted with.
    pub generation: i64,
    /// What is asked.
    pub message: String,
    /// When it was asked.
    pub since: Timestamp,
    /// When the time for a decision is over.
    pub until: Timestamp,
    /// Who may decide, and how.
    pub approval: Approval,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where a run or a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Not started.
    Pending,
    /// Started.
    Running,
    /// Started, and waits for a person.
    Waiting,
    /// A lost run, or a step of it, that is being undone.
    Compensating,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Not run.
    Skipped,
    /// Everything that was done is undone.
    Compensated,
    /// Not known.
    OutcomeUnknown,
}

impl Phase {
    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting | Self::Compensating)
    }
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSummary {
    /// Name of the step.
    pub name: Name,
    /// `task`, `map`, `parallel`, `pipeline`, `scatter`, `loop`, `wait`, `approval`, `workflow` or `auto`.
    pub kind: String,
    /// Where it stands.
    pub phase: Phase,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tasks in all, as far as known.
    pub tasks: u64,
    /// Tasks ended well.
    pub succeeded: u64,
    /// Tasks ended badly.
    pub failed: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// The run of another Workflow, or of its plan, that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What it is to do, once that is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Most steps of a plan that a summary lists.
pub const MAX_PLANNED: usize = 32;

/// The plan that a text was decomposed into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// How large the work is: `Atomic`, `Simple`, `Moderate`, `Complex` or `Enterprise`.
    pub complexity: String,
    /// How the steps hang together: `Task`, `Pipeline`, `ForkJoin`, `MapReduce`, `ScatterGather`, `Saga` or `Dag`.
    pub pattern: String,
    /// Why this class and this pattern, in a sentence.
    pub reason: String,
    /// The steps, at most [`MAX_PLANNED`].
    pub steps: Vec<PlannedStepSummary>,
    /// Steps that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStepSummary {
    /// Name of the step.
    pub name: Name,
    /// What its agents can do.
    pub capability: Name,
    /// Steps that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Name>,
    /// Where it stands.
    pub phase: Phase,
}

/// Value at [`supervisor_key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupervisorReport {
    /// Version of the envelope.
    pub version: u16,
    /// Runs that have started and not ended.
    pub active_runs: u64,
    /// Work of each pool.
    pub pools: BTreeMap<String, PoolReport>,
    /// By Workflow, its triggers by webhook for which there is no secret that can be used, each with what is wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub webhooks_without_secret: BTreeMap<Name, BTreeMap<Name, String>>,
}

/// Work of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolReport {
    /// Tasks that wait.
    pub queued: u64,
    /// Tasks that agents work on.
    pub in_flight: u64,
    /// Agents that sent a heartbeat lately and are healthy.
    pub agents: u32,
}
