//! The `Domain`: one tenant, which becomes a namespace with quotas, network policies, roles and a bus account.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::Policy,
    quota::{Escalation, Quota, Usage},
    shared::{
        AgentCount, Approved, ChildCount, Compliance, Conditions, NameRef, Subject, WorkCount, conditions_schema,
    },
};

/// A Domain is one tenant of an Orchestrator: a namespace of its own with its Supervisors, AgentPools and Workflows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tetrarch.dev",
    version = "v1alpha1",
    kind = "Domain",
    plural = "domains",
    shortname = "dom",
    category = "tetrarch",
    status = "DomainStatus",
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Orchestrator", type_ = "string", json_path = ".spec.orchestratorRef.name"),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".status.namespace"),
    printcolumn(name = "Supervisors", type_ = "integer", json_path = ".status.supervisors.total"),
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
pub struct DomainSpec {
    /// The Orchestrator that this Domain belongs to; it cannot be changed later.
    #[schemars(extend("x-kubernetes-validations" = [{"rule": "self == oldSelf", "message": "cannot be changed: create a new Domain under the other Orchestrator and move the manifests"}]))]
    pub orchestrator_ref: NameRef,
    /// Namespace that the Domain owns; it is created, and deleted with the Domain. Default: the Domain's name. An existing
    /// namespace is taken over only if it carries the label `tetrarch.dev/adopt: <name of the Domain>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-kubernetes-validations" = [
            {"rule": "self == oldSelf", "message": "cannot be changed: create a new Domain with the other namespace"},
            {"rule": "!self.startsWith('kube-') && self != 'default'", "message": "must not be a namespace of the cluster itself: choose a namespace of the Domain's own"}
        ])
    )]
    pub namespace: Option<String>,
    /// What everything in the Domain together may use. CPU and memory become a ResourceQuota of the namespace too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Policies of the Domain; they hold for it and everything below, and can only be tightened there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<Policy>,
    /// Capabilities of this Domain that other Domains may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["capability"]))]
    pub exports: Vec<Export>,
    /// Capabilities of other Domains that this Domain wants to use; each must be exported to it there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["capability", "from"]))]
    pub imports: Vec<Import>,
    /// People and programs that work with this Domain; they get Roles in its namespace.
    #[serde(default)]
    pub members: Members,
}

/// A capability that other Domains may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Name of the capability.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub capability: String,
    /// Names of the Domains that may use it.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub to: Vec<String>,
}

/// A capability of another Domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// Name of the capability.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub capability: String,
    /// Name of the Domain that has it.
    #[schemars(length(min = 1, max = 63))]
    pub from: String,
}

/// Who may do what in a Domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// May write Supervisors, AgentPools and Workflows of the Domain and read its pods and logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub admins: Vec<Subject>,
    /// May read the Domain's resources, pods and logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub viewers: Vec<Subject>,
    /// May approve what a policy holds back, and read what viewers may read. They cannot change what is approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub approvers: Vec<Subject>,
}

/// What the controller last saw of a Domain and everything below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The namespace that belongs to this Domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Supervisors of this Domain.
    #[serde(default)]
    pub supervisors: ChildCount,
    /// AgentPools of this Domain.
    #[serde(default)]
    pub pools: ChildCount,
    /// Agents in all pools of this Domain.
    #[serde(default)]
    pub agents: AgentCount,
    /// Tasks in all pools of this Domain.
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
