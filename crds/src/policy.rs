//! Policies as users write them, the same at every level; a lower level can only tighten.

use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    quota::Amount,
    shared::{DurationText, Priority, Subject},
};

/// One policy. It holds for the object that carries it and for everything below that object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Name of the policy, unique among the policies of its object.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Which objects the policy governs. Default: all kinds, whatever their labels.
    #[serde(default)]
    pub applies_to: AppliesTo,
    /// Upper bounds. Of several policies the smallest bound holds.
    #[serde(default)]
    pub limits: Limits,
    /// What may be used. Of several policies only what all of them allow may be used.
    #[serde(default)]
    pub allow: Allowances,
    /// What must be there. Of several policies all requirements hold.
    #[serde(default)]
    pub require: Requirements,
    /// CEL rules that must all be true of the governed objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub rules: Vec<Rule>,
    /// What happens to an object that the policy does not admit. Default Deny.
    #[serde(default)]
    pub action: Action,
    /// Who may approve what `RequireApproval` or `require.approvalFor` holds back. Default: the Domain's `members.approvers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub approvers: Vec<Subject>,
}

/// Which objects a policy governs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliesTo {
    /// Kinds that are governed. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub kinds: Vec<GovernedKind>,
    /// Labels that an object must have to be governed. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Kinds that policies govern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GovernedKind {
    /// Tenants.
    Domain,
    /// Runtimes that route tasks.
    Supervisor,
    /// Pools of agents.
    AgentPool,
    /// Definitions of work.
    Workflow,
    /// Pods in the namespace of a Domain.
    Pod,
}

/// Upper bounds; what is left out is not bounded by this policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Agents of one AgentPool (`spec.scaling.max`, or `spec.replicas`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub agents: Option<i32>,
    /// Tasks that one agent works on at once (`spec.concurrency`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub tasks_per_agent: Option<i32>,
    /// Tasks that one AgentPool works on at once: its agents times its `spec.concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent_tasks: Option<i32>,
    /// Time of one task of a Workflow, such as `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_timeout: Option<DurationText>,
    /// Time of one run of a Workflow, such as `4h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<DurationText>,
    /// How often agents may hand one task of a Workflow on (`handOver.limit` of the task); 0 lets nobody hand over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub hand_overs: Option<i32>,
    /// CPU of one agent, request and limit, such as `500m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_per_agent: Option<Quantity>,
    /// Memory of one agent, request and limit, such as `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_per_agent: Option<Quantity>,
    /// Tokens that one AgentPool may declare to use in a minute (`spec.budget.tokensPerMinute`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<i64>,
    /// Requests to models that one AgentPool may declare to send in an hour (`spec.budget.requestsPerHour`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests_per_hour: Option<i64>,
    /// Money that one AgentPool may declare to spend in a day (`spec.budget.spendPerDay`), in the currency of the Orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_per_day: Option<Amount>,
}

/// What may be used. An entry is exact, or a prefix that ends in `*`; what is left out is not restricted by this policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allowances {
    /// Images of agents, with their registry: `registry.example/team/*`. `nginx` stands for `docker.io/library/nginx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 512)))]
    pub images: Option<Vec<String>>,
    /// Regions (the node label `topology.kubernetes.io/region`) that agents may run in; their pods get the node affinity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub regions: Option<Vec<String>>,
    /// Other Domains that may appear in `exports` and `imports`. An empty list allows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub domains: Option<Vec<String>>,
    /// Priority classes that Workflows may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4))]
    pub priorities: Option<Vec<Priority>>,
}

/// What must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Labels that must be there, with any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 317)))]
    pub labels: Vec<String>,
    /// Images must be given by digest (`…@sha256:…`).
    #[serde(default)]
    pub image_digest: bool,
    /// Names of the Orchestrator's `signingKeys`; an agent's image must be signed with each of them (`spec.agent.signatures`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 63)))]
    pub signed_by: Vec<String>,
    /// CEL conditions; an object for which one is true is held back until somebody has approved its generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 4096)))]
    pub approval_for: Vec<String>,
    /// Record every decision about the governed objects, those that admit as well.
    #[serde(default)]
    pub audit: bool,
    /// Only pods of AgentPools and Supervisors may run in the namespace of the Domain.
    #[serde(default)]
    pub pools_only: bool,
}

/// A CEL rule. It reads `object`, `oldObject`, `operation`, `user`, `domain` and `now`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Condition that must be true, such as `object.spec.scaling.max <= 50`.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
    /// What to write instead, told to whoever breaks the rule.
    #[schemars(length(min = 1, max = 1024))]
    pub message: String,
}

/// What happens to an object that a policy does not admit, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Action {
    /// It is admitted and recorded.
    Audit,
    /// It is admitted with a warning to whoever writes it, and recorded.
    Warn,
    /// It is stored, but nothing of it runs until somebody has approved its generation.
    RequireApproval,
    /// It is refused.
    #[default]
    Deny,
}
