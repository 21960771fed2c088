//! The `Orchestrator`: the root of one hierarchy, its depth, its limits and its priority classes.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::Policy,
    quota::{Escalation, Quota, Usage},
    shared::{AgentCount, ChildCount, Compliance, Conditions, DurationText, Priority, WorkCount, conditions_schema},
};

/// An Orchestrator is the root of one hierarchy of Domains, Supervisors and AgentPools.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tetrarch.dev",
    version = "v1alpha1",
    kind = "Orchestrator",
    plural = "orchestrators",
    shortname = "orch",
    category = "tetrarch",
    status = "OrchestratorStatus",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Depth", type_ = "integer", json_path = ".spec.hierarchy.depth"),
    printcolumn(name = "Domains", type_ = "integer", json_path = ".status.domains.total"),
    printcolumn(name = "Pools", type_ = "integer", json_path = ".status.pools.total"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents.ready"),
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
pub struct OrchestratorSpec {
    /// Depth and breadth of the hierarchy.
    #[serde(default)]
    pub hierarchy: Hierarchy,
    /// How many runs of each priority class a Supervisor drives at once, and how long such a run may take when its
    /// Workflow does not say. Classes that are left out keep their defaults: critical 10 and 60m, high 5 and 30m, normal 3 and 15m, low 1 and 10m.
    #[serde(default = "default_priority_classes")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub priority_classes: Vec<PriorityClass>,
    /// What all Domains together may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Quota>,
    /// Currency of all amounts of money in this hierarchy, as in ISO 4217. Default USD.
    #[serde(default = "default_currency")]
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// Policies of the whole hierarchy; they hold for all Domains and everything below, and can only be tightened there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<Policy>,
    /// Where traces of runs go. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Public keys that images of agents may be required to be signed with (`require.signedBy`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub signing_keys: Vec<SigningKey>,
}

/// Where traces of runs go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// Base address of a collector that takes OTLP over HTTP, such as `http://collector.observability:4318`; spans are posted to its `/v1/traces`. The way to it is not encrypted: name a collector in the cluster, which can send on with TLS.
    #[schemars(length(max = 512), regex(pattern = r"^http://[a-zA-Z0-9.-]+(:[1-9][0-9]{0,4})?(/[-a-zA-Z0-9._~/]*)?$"))]
    pub otlp_endpoint: String,
    /// So many of a hundred runs are traced, 0 to 100. Default 100.
    #[serde(default = "default_sampling")]
    #[schemars(range(min = 0, max = 100))]
    pub sampling_percent: i32,
}

const fn default_sampling() -> i32 {
    100
}

/// A public key that signatures of images are checked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Name that policies use.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The key in PEM (`-----BEGIN PUBLIC KEY-----`), ECDSA on P-256 or Ed25519: what `cosign generate-key-pair` writes as cosign.pub.
    #[schemars(length(min = 1, max = 4096))]
    pub public_key: String,
}

fn default_currency() -> String {
    "USD".to_owned()
}

/// Depth and breadth of a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Hierarchy {
    /// Number of levels: 4 (Orchestrator, Domain, Supervisor, AgentPool) or 3, where every Domain has one implicit
    /// Supervisor named `default` and pools may leave out `supervisorRef`. Changing it restarts no agent. Default 4.
    #[schemars(range(min = 3, max = 4))]
    pub depth: i32,
    /// Largest number of Domains; younger ones above it are not accepted. Default 20.
    #[schemars(range(min = 1, max = 1000))]
    pub max_domains: i32,
    /// Largest number of Supervisors in one Domain; younger ones above it are not accepted. Default 20.
    #[schemars(range(min = 1, max = 1000))]
    pub max_supervisors_per_domain: i32,
    /// Largest sum of the maximal sizes of the pools of one Supervisor; younger pools above it are not accepted. Default 200.
    #[schemars(range(min = 1, max = 10000))]
    pub max_agents_per_supervisor: i32,
}

impl Default for Hierarchy {
    fn default() -> Self {
        Self { depth: 4, max_domains: 20, max_supervisors_per_domain: 20, max_agents_per_supervisor: 200 }
    }
}

/// Limits of one priority class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriorityClass {
    /// Which class.
    pub name: Priority,
    /// Runs of this class that one Supervisor drives at once; further ones wait and start by the weights of their Workflows.
    #[schemars(range(min = 1, max = 10000))]
    pub max_concurrent: i32,
    /// Longest time of a run of this class when its Workflow sets no timeout.
    pub timeout: DurationText,
}

/// The four classes with the limits that hold when none are written.
pub fn default_priority_classes() -> Vec<PriorityClass> {
    [
        (Priority::Critical, 10, "60m"),
        (Priority::High, 5, "30m"),
        (Priority::Normal, 3, "15m"),
        (Priority::Low, 1, "10m"),
    ]
    .into_iter()
    .map(|(name, max_concurrent, timeout)| PriorityClass { name, max_concurrent, timeout: timeout.into() })
    .collect()
}

/// What the controller last saw of an Orchestrator and everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrchestratorStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Domains of this Orchestrator.
    #[serde(default)]
    pub domains: ChildCount,
    /// Supervisors in all Domains.
    #[serde(default)]
    pub supervisors: ChildCount,
    /// AgentPools in all Domains.
    #[serde(default)]
    pub pools: ChildCount,
    /// Agents in all pools.
    #[serde(default)]
    pub agents: AgentCount,
    /// Tasks in all pools.
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
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
}
