//! The status of a Workflow: what the controller last saw of it and of its latest run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ScheduleStatus, TriggerStatus, approval::TimeoutDecision};
use crate::shared::{AnyJson, Approved, Compliance, Conditions, EffectiveValue, Subject, conditions_schema};

/// What the controller last saw of a Workflow and its latest run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Supervisor that drives the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
    /// The latest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStatus>,
    /// What waits for people, in all runs of the Workflow, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub waiting: Vec<WaitingStatus>,
    /// What is known of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
    /// What is known of the triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub triggers: Vec<TriggerStatus>,
    /// Whether this object complies with the policies, in numbers.
    #[serde(default)]
    pub compliance: Compliance,
    /// Policies in effect here: each value with the object that it comes from.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub effective_policy: Vec<EffectiveValue>,
    /// The approval that this object runs under, when a policy asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
}

/// Summary of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Id of the run, unique in its Domain.
    pub id: String,
    /// Who or what asked for it, such as `generation 3` or `request nightly by ada`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Where the run stands.
    pub phase: RunPhase,
    /// Why, in a sentence, when there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the run waits for now, in a sentence; left out when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How often the run was opened again after it had ended; left out for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<i64>,
    /// Ended steps of all steps, such as `7/9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// When the first step started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// When the outputs of the run were removed, as `spec.keepOutputsFor` says; left out as long as they are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_removed_at: Option<Time>,
    /// The steps in the order of the definition, at most 128.
    #[serde(default)]
    pub steps: Vec<StepStatus>,
    /// Output of the run when it is at most 8 KiB; `kubectl tetrarch get run -o json` has it at any size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<AnyJson>,
}

/// A step that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingStatus {
    /// What a decision names: `<run>/<step>/<attempt>/<generation>`.
    pub id: String,
    /// Who may decide, in words.
    #[serde(rename = "for")]
    pub whom: String,
    /// Who may decide; empty for whoever has the verb `approve` on the Workflow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Subject>,
    /// What is asked.
    pub message: String,
    /// When it was asked.
    pub since: Time,
    /// When the time for a decision is over.
    pub until: Time,
    /// What counts as said when nobody has decided by then.
    #[serde(default)]
    pub on_timeout: TimeoutDecision,
    /// Whether a decision needs a reason.
    #[serde(default)]
    pub require_reason: bool,
    /// How often people were reminded.
    #[serde(default)]
    pub reminded: i32,
}

/// Where a run or a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Accepted, not started.
    #[default]
    Pending,
    /// Has started and not ended.
    Running,
    /// Waits for a person; `status.waiting` says for whom, and until when.
    Waiting,
    /// Has failed, and what was done is being undone.
    Compensating,
    /// Ended well.
    Succeeded,
    /// Has failed, and everything that was done is undone.
    Compensated,
    /// Ended badly.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Its condition was false, or what it depends on did not end well.
    Skipped,
    /// It is not known whether an agent finished its work; a person has to look.
    OutcomeUnknown,
}

/// Summary of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Name of the step.
    pub name: String,
    /// Kind of the step: task, map, parallel, pipeline, scatter, loop, wait, approval, workflow or auto.
    pub kind: String,
    /// Where the step stands.
    pub phase: RunPhase,
    /// Why, in a sentence, when there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tasks of the step in all, as far as they are known.
    #[serde(default)]
    pub tasks: i64,
    /// Tasks that ended well.
    #[serde(default)]
    pub succeeded: i64,
    /// Tasks that ended badly.
    #[serde(default)]
    pub failed: i64,
    /// Attempts beyond the first of each task.
    #[serde(default)]
    pub retries: i64,
    /// The run of another Workflow, or of the step's plan, that the step stands for, once it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What a step of kind auto is to do, once that is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// When the step started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the step ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

/// The plan that a text was decomposed into.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// How large the work is: Atomic, Simple, Moderate, Complex or Enterprise.
    pub complexity: String,
    /// How the steps hang together: `Task`, `Pipeline`, `ForkJoin`, `MapReduce`, `ScatterGather`, `Saga` or `Dag`.
    pub pattern: String,
    /// Why this class and this pattern, in a sentence.
    pub reason: String,
    /// The steps, at most 32.
    #[serde(default)]
    pub steps: Vec<PlannedStepStatus>,
    /// How many steps are not listed; left out for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_steps: Option<i64>,
}

/// One step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStepStatus {
    /// Name of the step.
    pub name: String,
    /// What its agents can do.
    pub capability: String,
    /// Steps that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Where it stands.
    pub phase: RunPhase,
}
