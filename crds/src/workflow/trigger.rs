//! What else begins runs of a Workflow by itself: the ends of runs of other Workflows, events and webhooks.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::AnyJson;

/// Something that begins runs, each exactly once; a trigger has exactly one kind. What happened before the trigger was written or changed begins nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "[has(self.completion), has(self.event), has(self.webhook)].filter(k, k).size() == 1",
     "message": "a trigger has exactly one kind: write completion, event or webhook"}
]))]
pub struct Trigger {
    /// Name, unique among the triggers of the Workflow.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Each run of another Workflow that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,
    /// Each event about a topic that somebody publishes on the bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventTrigger>,
    /// Each delivery that somebody signs and sends to `/hooks/<workflow>/<trigger>` of the Supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookTrigger>,
    /// CEL condition; when it is false nothing begins. With `completion` it reads `run` (`id`, `workflow`, `phase`, `message` and `parameters` of the run that ended) and `output` (its output, or null), otherwise `event` (`id`, `body`, and `headers` with their names in lower case). Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Values of the parameters that differ from the defaults, any JSON; `${…}` in them are CEL expressions that read what `when` reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub parameters: BTreeMap<String, AnyJson>,
}

/// The end of a run of another Workflow. Runs that work for a step of a run count as part of that one and begin nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// The other Workflow, of the same Supervisor. Workflows must not begin each other in a cycle.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub workflow: String,
    /// How it has to end. Default only Succeeded.
    #[serde(default = "default_phases")]
    #[schemars(length(min = 1, max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub phases: Vec<EndPhase>,
}

/// Events that somebody publishes on the bus for this Supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTrigger {
    /// What they are about: the last part of the subject `event.<supervisor>.<topic>`. Several Workflows may name the same one.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub topic: String,
}

/// Deliveries by HTTP: JSON of at most 1 MiB, signed with a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTrigger {
    /// The secret that the sender signs with, in the namespace of the Workflow. Several lines are several secrets, each of which fits.
    pub secret_ref: SecretKey,
    /// How deliveries are signed: `Standard` (the specification Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`; the secret is `whsec_` and base64) or `GitHub` (`X-GitHub-Delivery`, `X-Hub-Signature-256`; the secret is any text). Default Standard.
    #[serde(default)]
    pub signature: SignatureScheme,
}

/// One value of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignatureScheme {
    /// By the specification Standard Webhooks.
    #[default]
    Standard,
    /// As GitHub does.
    GitHub,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndPhase {
    /// Every step ended well or was skipped by its condition.
    Succeeded,
    /// A step failed, or the time ran out.
    Failed,
    /// It failed, and everything that was done is undone.
    Compensated,
    /// Somebody asked for it.
    Cancelled,
    /// It is not known whether some agent finished its work.
    OutcomeUnknown,
}

/// What is known of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// Name of the trigger.
    pub name: String,
    /// The Workflow whose runs it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The topic of the events that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Where the Supervisor takes its deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What happened before begins nothing.
    pub since: Time,
}

fn default_phases() -> Vec<EndPhase> {
    vec![EndPhase::Succeeded]
}
