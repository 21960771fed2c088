//! Field types that several kinds share: references, durations, bounded numbers and the conditions schema.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A reference to an object of a known kind in the same scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameRef {
    /// Name of the object referred to.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// A duration as users write it: one or more numbers with a unit, such as `500ms`, `30s`, `5m`, `1h30m`.
///
/// It stays text on the wire so that one unparsable value cannot stop a watch; `tetrarch-plan` parses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^([0-9]+(ms|s|m|h))+$')",
                "message": "is not a duration: write a number with a unit ms, s, m or h, such as 30s, 5m or 1h30m",
            }],
        })
    }
}

/// Any JSON value; strings of the form `${…}` in it are CEL expressions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnyJson(pub serde_json::Value);

impl JsonSchema for AnyJson {
    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// Who is meant by a membership: a user, a group, or a service account of some namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What kind of subject this is.
    pub kind: SubjectKind,
    /// Name of the user, group or service account.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of a service account; leave it out for users and groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// The kinds of RBAC subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// A user as the authenticator names it.
    User,
    /// A group as the authenticator names it.
    Group,
    /// A service account.
    ServiceAccount,
}

/// Schema of `status.conditions`: a list that is merged by `type`, as the Kubernetes API conventions ask.
pub fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "Conditions of this object: Accepted, Ready, and while it applies Reconciling or Stalled (the kstatus convention).",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One condition; `reason` is stable and meant for programs, `message` for people.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "What this condition is about, in CamelCase."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether the condition holds."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, in one CamelCase word."},
                "message": {"type": "string", "maxLength": 32768, "description": "Why, in a sentence."},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When `status` last changed."},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "Generation that this was computed from."},
            },
        },
    })
}

/// The condition list that every status holds.
pub type Conditions = Vec<Condition>;

/// How many agents a subtree has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentCount {
    /// Agents that are ready to take tasks.
    #[serde(default)]
    pub ready: i32,
    /// Agents that are wanted.
    #[serde(default)]
    pub desired: i32,
}

/// How many child objects there are and how many of them are Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildCount {
    /// Children that are Ready.
    #[serde(default)]
    pub ready: i32,
    /// Children in all.
    #[serde(default)]
    pub total: i32,
}

/// Work of a subtree as last reported on the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkCount {
    /// Tasks that wait for an agent.
    #[serde(default)]
    pub queued: i64,
    /// Tasks that an agent works on now.
    #[serde(default)]
    pub in_flight: i64,
}

/// How a subtree complies with the policies in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compliance {
    /// Objects of the subtree that violate a policy now, this one included.
    #[serde(default)]
    pub violating: i32,
    /// Objects of the subtree that wait for an approval, this one included.
    #[serde(default)]
    pub held: i32,
    /// Objects of the subtree of which a number is held down at run time because a level above was tightened later.
    #[serde(default)]
    pub clamped: i32,
}

/// One value of the policy in effect, and the object that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveValue {
    /// Path in a policy, such as `limits.agents` or `allow.images`.
    pub value: String,
    /// The bound, as text.
    pub bound: String,
    /// What happens to an object outside of the bound.
    pub action: String,
    /// Where it comes from: kind, name, generation and policy.
    pub from: String,
}

/// Who has approved an object, and which generation of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// Generation that was approved.
    pub generation: i64,
    /// The authenticated user.
    pub by: String,
    /// When.
    pub at: String,
    /// The reason given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of the four priority classes; tasks of a higher class are pulled first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Pulled before everything else.
    Critical,
    /// Pulled before normal and low.
    High,
    /// The default.
    #[default]
    Normal,
    /// Pulled when nothing else waits.
    Low,
}
