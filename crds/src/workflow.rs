//! The `Workflow`: a definition of steps whose runs live on the bus, with a summary of the latest run in its status.

mod approval;
mod auto;
mod gate;
mod hand_over;
mod map;
mod repeated;
mod scatter;
mod schedule;
mod status;
mod sub_workflow;
mod trigger;

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    approval::{Approval, TimeoutDecision},
    auto::{AutoStep, Planner},
    gate::{Gate, GateFailure, HandoffSchema, Judge, SchemaRef},
    hand_over::HandOver,
    map::{BuiltinReducer, ItemsFrom, MapStep, NestedMap, Reduce},
    repeated::{ExhaustedPolicy, LoopStep},
    scatter::{Best, Consensus, FirstAnswer, Gather, LatePolicy, Quorum, ScatterStep, Weighted},
    schedule::{ConcurrencyPolicy, Schedule, ScheduleStatus},
    status::{PlanStatus, PlannedStepStatus, RunPhase, RunStatus, StepStatus, WaitingStatus, WorkflowStatus},
    sub_workflow::SubWorkflow,
    trigger::{Completion, EndPhase, EventTrigger, SecretKey, SignatureScheme, Trigger, TriggerStatus, WebhookTrigger},
};
use crate::{
    policy::Policy,
    shared::{AnyJson, DurationText, NameRef, Priority},
};

/// A Workflow is a definition of steps for agents; each of its runs is durable and is driven by its Supervisor.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tetrarch.dev",
    version = "v1alpha1",
    kind = "Workflow",
    plural = "workflows",
    shortname = "awf",
    category = "tetrarch",
    namespaced,
    status = "WorkflowStatus",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Run", type_ = "string", json_path = ".status.run.id"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.run.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.run.progress"),
    printcolumn(name = "Started", type_ = "date", json_path = ".status.run.startedAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.run.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSpec {
    /// The Supervisor in the same namespace that drives the runs. May be left out when the Orchestrator's depth is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_ref: Option<NameRef>,
    /// When a run starts: `OnApply` (one run for each generation) or `OnRequest` (only on request). Default `OnApply`.
    #[serde(default)]
    pub start: StartPolicy,
    /// Times at which runs begin by themselves, with the default values of the parameters. Write `start: OnRequest` when they are to be the only ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What else begins runs: the ends of runs of other Workflows, events and webhooks. Write `start: OnRequest` when these are to be the only ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub triggers: Vec<Trigger>,
    /// Values that expressions read as `params.<name>`; a requested run may give other ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
    /// Schemas of hand-overs between agents, which gates name with `schemaRef`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "version"]))]
    pub schemas: Vec<HandoffSchema>,
    /// Priority class of the runs and all their tasks. Default normal.
    #[serde(default)]
    pub priority: Priority,
    /// Longest time of a run from its start to its end. Default: the timeout of its priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// What happens when a step has failed for good. Default Stop.
    #[serde(default)]
    pub on_failure: FailurePolicy,
    /// What happens when nobody knows how an attempt ended that must not be repeated. With Ask the task waits until a person says whether it is done. Default Fail.
    #[serde(default)]
    pub on_unknown: UnknownPolicy,
    /// The steps. Steps without `after` start at once; each has exactly one kind.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub steps: Vec<Step>,
    /// Output of the run, any JSON with expressions. Default: an object with the output of each step that no other step waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<AnyJson>,
    /// Finished runs that are kept with their journals. Default 10.
    #[serde(default = "default_keep_runs")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_runs: i32,
    /// Longest time that a finished run is kept, such as `168h`; at most `720h`. Default: for as long as `keepRuns` allows. The latest run is kept whatever its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_runs_for: Option<DurationText>,
    /// Longest time that the outputs of a finished run are kept, such as `24h`; at most `keepRunsFor`, and `0s` removes them as soon as the run has ended and nobody waits for them. The run stays listed with its steps, and cannot be opened again. Default: as long as the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_outputs_for: Option<DurationText>,
    /// Share of this Workflow where several compete for the queue of a pool or for the places of a class, in proportion to the weights of the others: with 200 it gets twice what one with 100 gets. Default 100.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: i32,
    /// Runs of this Workflow that may be active at once; further ones wait. Default: as many as its priority class has places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_concurrent_runs: Option<i32>,
    /// Policies of this Workflow; they tighten those of the levels above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<Policy>,
}

/// When a run starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StartPolicy {
    /// One run for each generation of the Workflow.
    #[default]
    OnApply,
    /// Only when somebody asks for a run.
    OnRequest,
}

/// What happens to a run when one of its steps has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// No further step starts, waiting tasks are withdrawn, the run fails.
    #[default]
    Stop,
    /// Steps that do not depend on the failed one go on; the run fails at its end and keeps what was reached.
    Continue,
    /// No further step starts; what agents already work on is waited for; then every step that was done and has `compensate` is undone, the last one first (a saga). A cancel does the same.
    Compensate,
}

/// What happens when nobody knows how an attempt ended that must not be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnknownPolicy {
    /// The step ends as `OutcomeUnknown`, and `onFailure` says what becomes of the run.
    #[default]
    Fail,
    /// The task waits until a person says whether it is done; the rest of the run goes on, and so does its time.
    Ask,
}

/// A value that expressions read as `params.<name>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Name, usable in expressions.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// Value when a run gives none; a parameter without it must be given by the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyJson>,
}

/// One step of a Workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.task), has(self.map), has(self.parallel), has(self.pipeline), has(self.scatter), has(self.loop), has(self.wait), has(self.approval), has(self.workflow), has(self.auto)].filter(k, k).size() == 1",
     "message": "a step has exactly one kind: write one of task, map, parallel, pipeline, scatter, loop, wait, approval, workflow or auto"},
    {"rule": "!has(self.approval) || !has(self.timeout)",
     "message": "an approval has a time of its own: write approval.timeout instead of timeout"},
    {"rule": "!has(self.compensate) || has(self.task)",
     "message": "compensate undoes a step of kind task: split other steps into tasks that can be undone one by one, or leave it out"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Name of the step; expressions read `steps.<name>.output`, or `steps['<name>'].output` when it has a dash.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Steps that must have ended well (or been skipped) before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub after: Vec<String>,
    /// CEL condition; when it is false the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub when: Option<String>,
    /// Longest time of the whole step with all its attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// One task for one agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What the output must be like before anything follows from it (quality gate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The task that undoes a step of kind `task`, for a Workflow with `onFailure: Compensate` or with a gate of that. It may read the output of its own step; it must cope with
    /// nothing being there, because a step that ended without its agent's own word (such as by a timeout) is undone as well. When it fails for good, the run's
    /// message names the step as still to be undone by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Task>,
    /// One task for each item of a list, and a reduction of the results (MapReduce).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapStep>,
    /// Branches that run side by side and join (Fork-Join).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<ParallelStep>,
    /// Stages that each take the output of the one before as `previous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineStep>,
    /// The same task to several agents, and a choice among their answers (Scatter-Gather).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scatter: Option<ScatterStep>,
    /// One task, again and again until a condition holds, with a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#loop: Option<LoopStep>,
    /// Nothing but time, for a while or until a moment. No agent is kept meanwhile, and no replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitStep>,
    /// A person's decision. The step's output holds `approved`, `by`, `at` and `reason`; a no fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// A run of another Workflow of the same Supervisor; its output is the step's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<SubWorkflow>,
    /// A text that is decomposed into a plan of steps, which is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<AutoStep>,
}

/// How long a run waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.duration) != has(self.until)",
     "message": "a wait has one end: write either duration or until"}
]))]
#[serde(rename_all = "camelCase")]
pub struct WaitStep {
    /// So long from the start of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationText>,
    /// Until this moment, such as `2026-11-21T17:00:00Z`; `${…}` in it are CEL expressions over `params`, `steps` and `run`. A moment that is past is no wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub until: Option<String>,
}

/// One task for one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Which agents may take it.
    pub agent: AgentSelector,
    /// Input of the agent, any JSON; `${…}` in it are CEL expressions over `params`, `steps`, `run`, in a map `item` and `index` (and `outer` with `nested`), in a scatter `index`, in a pipeline `previous`, in a loop `index` and `previous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<AnyJson>,
    /// Longest time of one attempt, from the moment an agent takes it. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// How a failed attempt is repeated.
    #[serde(default)]
    pub retry: Retry,
    /// Whom its agents may hand it to, when their answer says so. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
}

/// Which agents may take a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.pool) != has(self.capability)", "message": "write either pool (an AgentPool by name) or capability (any pool that has it)"}
]))]
#[serde(rename_all = "camelCase")]
pub struct AgentSelector {
    /// An AgentPool of the same Supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub pool: Option<String>,
    /// Any AgentPool of the same Supervisor with this capability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub capability: Option<String>,
}

/// How a failed attempt is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Repetitions after the first attempt. Default 3.
    #[schemars(range(min = 0, max = 100))]
    pub limit: i32,
    /// Waiting time between attempts.
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self { limit: 3, backoff: Backoff::default() }
    }
}

/// Waiting time between attempts: `initial`, then `factor` times the one before, at most `max`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// Before the first repetition. Default 1s.
    pub initial: DurationText,
    /// Growth from one repetition to the next. Default 2.
    #[schemars(range(min = 1, max = 10))]
    pub factor: i32,
    /// Longest waiting time. Default 30s.
    pub max: DurationText,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: "1s".into(), factor: 2, max: "30s".into() }
    }
}

/// Branches that run side by side and join.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelStep {
    /// The branches; the step's output is an object with the output of each by name.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub branches: Vec<Branch>,
}

/// One branch of a parallel step: tasks that run one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Name of the branch.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Tasks in order; each reads the output of the one before as `previous`. The last one's output is the branch's.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub stages: Vec<Stage>,
}

/// Stages that each take the output of the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStep {
    /// The stages in order; the last one's output is the step's.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub stages: Vec<Stage>,
}

/// One stage: a named task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Name of the stage.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The task.
    pub task: Task,
}

fn default_weight() -> i32 {
    100
}

fn default_keep_runs() -> i32 {
    10
}
