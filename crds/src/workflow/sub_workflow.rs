//! A run of another Workflow as a step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Retry;
use crate::shared::AnyJson;

/// A run of another Workflow as a step. It runs with the definition that the other Workflow has when it begins, in the priority class and the place of the
/// run that waits for it, and ends with it at the latest. At most 5 runs stand below the first one, and none of them is of a Workflow that is above it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubWorkflow {
    /// The other Workflow, of the same Supervisor. As long as there is none of this name the step waits.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Values of its parameters that differ from the defaults, any JSON; `${…}` in them are CEL expressions over `params`, `steps` and `run`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub parameters: BTreeMap<String, AnyJson>,
    /// How a run that ended badly is repeated, as a new run from its start. Default: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}
