//! An imported Workflow as a manifest, without what only repeats a default.

use serde_json::Value;
use serde_yaml::{Mapping, Value as Yaml};
use tetrarch_crds::Workflow;

/// Fields that say nothing when they have this value, as JSON.
const DEFAULTS: [(&str, &str); 17] = [
    ("backoff", r#"{"initial": "1s", "factor": 2, "max": "30s"}"#),
    ("retry", r#"{"limit": 3}"#),
    ("reduce", r#"{"builtin": "Collect"}"#),
    ("maxParallel", "100"),
    ("minSuccessPercent", "100"),
    ("priority", r#""normal""#),
    ("onFailure", r#""Stop""#),
    ("onUnknown", r#""Fail""#),
    ("keepRuns", "10"),
    ("weight", "100"),
    ("late", r#""Withdraw""#),
    ("concurrency", r#""Allow""#),
    ("timeZone", r#""UTC""#),
    ("startingDeadline", r#""10m""#),
    ("suspend", "false"),
    ("onTimeout", r#""Reject""#),
    ("requireReason", "false"),
];

/// The manifest as JSON.
pub fn manifest(workflow: &Workflow) -> Result<Value, serde_yaml::Error> {
    serde_yaml::from_value(pruned(workflow)?)
}

/// The manifest as YAML, its fields in the order of the resource.
pub fn yaml(workflow: &Workflow) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(&pruned(workflow)?)
}

fn pruned(workflow: &Workflow) -> Result<Yaml, serde_yaml::Error> {
    let mut manifest = serde_yaml::to_value(workflow)?;
    let defaults: Vec<(&str, Yaml)> =
        DEFAULTS.iter().filter_map(|(key, text)| Some((*key, serde_yaml::from_str(text).ok()?))).collect();
    prune(&mut manifest, &defaults);
    Ok(manifest)
}

/// Inputs, items and outputs belong to the agents; whatever stands there stays.
const FOREIGN: [&str; 5] = ["input", "items", "output", "value", "metadata"];

fn prune(value: &mut Yaml, defaults: &[(&str, Yaml)]) {
    match value {
        Yaml::Mapping(fields) => {
            let mut kept = Mapping::new();
            for (key, mut value) in std::mem::take(fields) {
                let name = key.as_str().unwrap_or_default();
                if !FOREIGN.contains(&name) {
                    prune(&mut value, defaults);
                }
                if !defaults.iter().any(|(known, default)| *known == name && *default == value) {
                    kept.insert(key, value);
                }
            }
            *fields = kept;
        }
        Yaml::Sequence(list) => list.iter_mut().for_each(|element| prune(element, defaults)),
        _ => {}
    }
}
