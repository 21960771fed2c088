//! The `AgentPool`: identical agents behind one durable queue, as a Deployment with a sidecar and an autoscaler.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::Policy,
    quota::{Budget, PoolUsage},
    shared::{
        AnyJson, Approved, Compliance, Conditions, DurationText, EffectiveValue, NameRef, WorkCount, conditions_schema,
    },
};

/// An AgentPool is a set of identical agents that pull tasks from one durable queue.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tetrarch.dev",
    version = "v1alpha1",
    kind = "AgentPool",
    plural = "agentpools",
    shortname = "apool",
    category = "tetrarch",
    namespaced,
    status = "AgentPoolStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Supervisor", type_ = "string", json_path = ".status.supervisor"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desired"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.ready"),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.work.queued"),
    printcolumn(name = "InFlight", type_ = "integer", json_path = ".status.work.inFlight"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.agent.image", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.replicas) && has(self.scaling)) || (self.replicas >= self.scaling.min && self.replicas <= self.scaling.max)",
     "message": "spec.replicas is outside spec.scaling.min and spec.scaling.max: leave replicas out, the autoscaler owns the number while scaling is set"}
]))]
#[serde(rename_all = "camelCase")]
pub struct AgentPoolSpec {
    /// The Supervisor in the same namespace that gives this pool its work. May be left out when the Orchestrator's depth is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_ref: Option<NameRef>,
    /// The agent's container and how tasks are handed to it.
    pub agent: Agent,
    /// What the agents can do; steps ask for a capability or for a pool by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub capabilities: Vec<Capability>,
    /// Tasks that one agent works on at once. Default 1.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: i32,
    /// Number of agents while `scaling` is not set; this is what `kubectl scale` writes. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Autoscaling by CPU and memory; while it is set the HorizontalPodAutoscaler owns the number of agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// What happens to the work of an agent that is to stop.
    #[serde(default)]
    pub drain: Drain,
    /// What the agents of this pool use of models, booked at every level above.
    #[serde(default)]
    pub budget: Budget,
    /// Policies of this pool; they tighten those of the levels above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<Policy>,
}

/// The agent's container and its protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Image of the agent, such as `registry.example/classifier:1.4`.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Signatures of the image, checked when a policy requires them (`require.signedBy`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub signatures: Vec<ImageSignature>,
    /// When the image is pulled, as in a container: `Always`, `IfNotPresent` or `Never`. Default: `Always` for the tag `latest`, else `IfNotPresent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Arguments of the container; the image's own when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<String>,
    /// How the sidecar hands a task to the agent.
    #[serde(default)]
    pub protocol: Protocol,
    /// Environment of the agent's container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Compute of the agent's container. CPU and memory requests are needed for autoscaling by them. Default: requests of 50m CPU and 64Mi memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Overlay on the pod template for what is not named here (tolerations, affinity, volumes, further containers …), merged as a
    /// strategic merge patch; the container named `agent` is the agent's, and the sidecar cannot be changed by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<AnyJson>,
}

/// A signature of an image: what `cosign sign --output-payload --output-signature` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSignature {
    /// Name of the Orchestrator's signing key.
    #[schemars(length(min = 1, max = 63))]
    pub key: String,
    /// The signed payload in base64: cosign's simple signing document, which names the image's digest.
    #[schemars(length(min = 1, max = 8192))]
    pub payload: String,
    /// The signature over the payload in base64.
    #[schemars(length(min = 1, max = 1024))]
    pub signature: String,
}

/// When the image is pulled, as in a container: `Always`, `IfNotPresent` or `Never`. Default: `Always` for the tag `latest`, else `IfNotPresent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never; the node must have it.
    Never,
}

/// How the sidecar hands a task to the agent over the pod's own loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Protocol {
    /// The protocol. Default Http: one POST of a JSON envelope per task, described in docs/agent-protocol.md.
    #[serde(rename = "type")]
    pub kind: ProtocolType,
    /// Port that the agent listens on. Default 8080.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path that tasks are posted to. Default /tasks.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^/"))]
    pub path: String,
    /// Path that answers 200 when the agent can take tasks. Default /health.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^/"))]
    pub health_path: String,
    /// Whether a task may be handed to an agent twice. If not, a task whose agent vanished in the middle ends as
    /// `OutcomeUnknown` and is never silently repeated. Default false.
    pub idempotent: bool,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            kind: ProtocolType::Http,
            port: 8080,
            path: "/tasks".to_owned(),
            health_path: "/health".to_owned(),
            idempotent: false,
        }
    }
}

/// The protocols that a sidecar speaks to an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProtocolType {
    /// A JSON envelope by HTTP POST.
    #[default]
    Http,
}

/// Something that the agents of a pool can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// Name that steps ask for.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// How good the agents are at it, 0 to 100; among equally busy pools the most proficient one is chosen. Default 50.
    #[serde(default = "default_proficiency")]
    #[schemars(range(min = 0, max = 100))]
    pub proficiency: i32,
}

/// Autoscaling of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.min <= self.max", "message": "min is larger than max: write a min that is at most max"}
]))]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Smallest number of agents. Default 2.
    #[serde(default = "default_min")]
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
    /// Largest number of agents. Default 50.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// What the autoscaler aims for.
    #[serde(default)]
    pub targets: ScalingTargets,
    /// How long a need must last before the number changes.
    #[serde(default)]
    pub cooldown: Cooldown,
}

/// What the autoscaler aims for, averaged over the ready agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingTargets {
    /// CPU use in percent of the request. Default 70.
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: i32,
    /// Memory use in percent of the request. Default 80.
    #[schemars(range(min = 1, max = 100))]
    pub memory_percent: i32,
}

impl Default for ScalingTargets {
    fn default() -> Self {
        Self { cpu_percent: 70, memory_percent: 80 }
    }
}

/// Stabilisation windows of the autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cooldown {
    /// Window before agents are added, at most 1h. Default 300s.
    pub up: DurationText,
    /// Window before agents are taken away, at most 1h. Default 600s.
    pub down: DurationText,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self { up: "300s".into(), down: "600s".into() }
    }
}

/// What happens to the work of an agent that is to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// Time that an agent has to finish what it works on; untouched tasks go back to the queue at once. At most 1h. Default 300s.
    pub timeout: DurationText,
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout: "300s".into() }
    }
}

fn default_concurrency() -> i32 {
    1
}

fn default_proficiency() -> i32 {
    50
}

fn default_min() -> i32 {
    2
}

fn default_max() -> i32 {
    50
}

/// What the controller last saw of a pool and its work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPoolStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Supervisor that gives this pool its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
    /// Agents that exist, ready or not.
    #[serde(default)]
    pub replicas: i32,
    /// Agents that are wanted.
    #[serde(default)]
    pub desired: i32,
    /// Agents that are ready to take tasks.
    #[serde(default)]
    pub ready: i32,
    /// Label selector of the agents' pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Tasks of this pool as last reported on the bus.
    #[serde(default)]
    pub work: WorkCount,
    /// Capacity that is booked for this pool, and for each of its agents.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub capacity: Vec<PoolUsage>,
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
