//! Capacity as users write it: what a level gives to everything below it, and what was given.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount of money as a decimal number with at most six digits after the point, such as `50.00`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 24,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^[0-9]{1,12}([.][0-9]{1,6})?$')",
                "message": "is not an amount of money: write a decimal number such as \"50.00\", in quotes",
            }],
        })
    }
}

/// What a level gives to everything below it; what is left out is bounded by the next level above that says something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Sum of the CPU requests, such as `100` or `2500m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Sum of the memory requests, such as `100Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Sum of the requested GPUs: all resources whose name ends in `/gpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub gpus: Option<i64>,
    /// Sum of the largest sizes of all AgentPools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agents: Option<i64>,
    /// Sum of the declared tokens in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tokens_per_minute: Option<i64>,
    /// Sum of the declared requests to models in an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub requests_per_hour: Option<i64>,
    /// Sum of the declared spending in a day, in the currency of the Orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_per_day: Option<Amount>,
    /// What happens when the children declare more than this: they are refused, or the rest is asked of the level above. Default Refuse.
    #[serde(default)]
    pub when_exceeded: WhenExceeded,
}

/// What happens when children declare more than a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenExceeded {
    /// The child that no longer fits is refused.
    #[default]
    Refuse,
    /// The rest is taken from what is free at the level above, which records it.
    Escalate,
}

/// What the agents of a pool use of models, declared so that it can be booked at every level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Tokens of all agents together in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tokens_per_minute: Option<i64>,
    /// Requests to models of all agents together in an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub requests_per_hour: Option<i64>,
    /// Money of all agents together in a day, in the currency of the Orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_per_day: Option<Amount>,
}

/// One resource of a level: what it may give, what is booked by its children, and what it got from above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Name of the resource as in the quota, such as `agents` or `spendPerDay`.
    pub resource: String,
    /// What the quota gives; missing when the level above bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// What is booked by everything below, as text with its unit.
    pub booked: String,
    /// What is booked beyond the quota and was granted by a level above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<String>,
}

/// One resource of an AgentPool: what is booked for all of its agents at its largest size, and for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolUsage {
    /// Name of the resource as in a quota, such as `agents` or `spendPerDay`.
    pub resource: String,
    /// What is booked for the pool, as text with its unit.
    pub booked: String,
    /// The share of each agent, as text with its unit.
    pub per_agent: String,
}

/// The record of one allocation that a level above has granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Escalation {
    /// Kind and name of the object that needed more than its level had.
    pub object: String,
    /// Name of the resource.
    pub resource: String,
    /// How much was granted, as text with its unit.
    pub amount: String,
    /// Kind and name of the level that granted it.
    pub granted_by: String,
    /// When.
    pub at: Time,
}
