//! A small department: one object of each kind.

use serde_json::{Value, json};
use tetrarch_testkit::fake_api::FakeApi;

fn object(kind: &str, namespace: Option<&str>, name: &str, spec: &Value) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// Orchestrator and Domain.
pub fn apply_frame(api: &FakeApi) {
    api.put("orchestrators", &object("Orchestrator", None, "acme", &json!({})));
    let admins = json!([{"kind": "User", "name": "ann"}]);
    let spec = json!({"orchestratorRef": {"name": "acme"}, "quota": {"cpu": "4"}, "members": {"admins": admins}});
    api.put("domains", &object("Domain", None, "compliance", &spec));
}

/// Everything.
pub fn apply(api: &FakeApi) {
    apply_frame(api);
    let here = Some("compliance");
    api.put("supervisors", &object("Supervisor", here, "licences", &json!({"replicas": 2})));
    let pool = json!({
        "supervisorRef": {"name": "licences"},
        "agent": {"image": "example/classifier:1"},
        "capabilities": [{"name": "classify"}],
        "scaling": {"min": 1, "max": 3},
    });
    api.put("agentpools", &object("AgentPool", here, "classifier", &pool));
    let steps = json!([{"name": "a", "task": {"agent": {"capability": "classify"}}}]);
    let workflow = json!({"supervisorRef": {"name": "licences"}, "start": "OnRequest", "steps": steps});
    api.put("workflows", &object("Workflow", here, "audit", &workflow));
}

/// The condition of an object as `<status> <reason>: <message>`.
pub fn condition(api: &FakeApi, plural: &str, namespace: Option<&str>, name: &str, kind: &str) -> String {
    let object = api.get(plural, namespace, name).unwrap();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    conditions.iter().find(|condition| condition["type"] == kind).map_or_else(String::new, |condition| {
        format!("{} {}: {}", text(&condition["status"]), text(&condition["reason"]), text(&condition["message"]))
    })
}
