//! The `Supervisor`: a runtime that routes tasks to its AgentPools and drives workflow runs.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::Policy,
    quota::{Escalation, Quota, Usage},
    shared::{AgentCount, Approved, ChildCount, Compliance, Conditions, WorkCount, conditions_schema},
};

/// A Supervisor routes the tasks of a Domain to its AgentPools and drives the runs of its Workflows.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tetrarch.dev",
    version = "v1alpha1",
    kind = "Supervisor",
    plural = "supervisors",
    shortname = "sup",
    category = "tetrarch",
    namespaced,
    status = "SupervisorStatus",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Pools", type_ = "integer", json_path = ".status.pools.total"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents.ready"),
    printcolumn(name = "Runs", type_ = "integer", json_path = ".status.activeRuns"),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.work.queued"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SupervisorSpec {
    /// Replicas of the runtime; every replica follows all runs, and each run is driven by one of them at a time. Default 2.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: i32,
    /// Compute of one replica. Default: requests of 50m CPU and 64Mi memory, a limit of 512Mi memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// What the AgentPools of this Supervisor together may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Policies of the Supervisor; they hold for it and everything below, and can only be tightened there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<Policy>,
}

impl Default for SupervisorSpec {
    fn default() -> Self {
        Self { replicas: default_replicas(), resources: None, quota: None, policies: Vec::new() }
    }
}

fn default_replicas() -> i32 {
    2
}

/// What the controller last saw of a Supervisor and its pools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SupervisorStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Replicas of the runtime that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Runs that are neither finished nor waiting to start.
    #[serde(default)]
    pub active_runs: i64,
    /// AgentPools of this Supervisor.
    #[serde(default)]
    pub pools: ChildCount,
    /// Agents in all pools of this Supervisor.
    #[serde(default)]
    pub agents: AgentCount,
    /// Tasks in all pools of this Supervisor.
    #[serde(default)]
    pub work: WorkCount,
    /// Whether this object and everything below complies with the policies, in numbers.
    #[serde(default)]
    pub compliance: Compliance,
    /// Capacity: quota, what is booked by everything below, and what was granted from above.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub capacity: Vec<Usage>,
    /// The latest allocations that a level above has granted, newest first.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub escalations: Vec<Escalation>,
    /// The approval that this object runs under, when a policy asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
}
