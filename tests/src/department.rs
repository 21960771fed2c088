//! Manifests of a small department whose agents are scripted, with a name of its own for each test.

use serde_json::{Value, json};

/// A Domain with one Supervisor and one pool of scripted agents; the Domain's name is its namespace.
#[derive(Clone, Debug)]
pub struct Department {
    /// Name of the Domain and its namespace; it differs from test to test, so that tests run side by side.
    pub name: String,
    /// Orchestrator that the Domain belongs to.
    pub orchestrator: String,
}

impl Department {
    /// A department of the Orchestrator that all tests share.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), orchestrator: "tests".to_owned() }
    }

    /// The Orchestrator and the Domain.
    pub fn domain(&self) -> String {
        [
            json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": self.orchestrator},
                "spec": {"hierarchy": {"depth": 4, "maxDomains": 100}, "priorityClasses": [{"name": "normal", "maxConcurrent": 20, "timeout": "15m"}]}}),
            json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain", "metadata": {"name": self.name},
                "spec": {"orchestratorRef": {"name": self.orchestrator}}}),
        ]
        .iter()
        .fold(String::new(), |text, document| format!("{text}---\n{document}\n"))
    }

    /// A Supervisor named `work`.
    pub fn supervisor(&self, replicas: i32) -> String {
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Supervisor", "metadata": {"name": "work", "namespace": self.name},
            "spec": {"replicas": replicas, "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}}})
        .to_string()
    }

    /// A pool named `scripted` with the capability `scripted`; `patch` is merged into its spec.
    pub fn pool(&self, replicas: i32, patch: &Value) -> String {
        let mut spec = json!({
            "supervisorRef": {"name": "work"},
            "agent": {
                "image": "tetrarch/scripted-agent:dev",
                "imagePullPolicy": "IfNotPresent",
                "protocol": {"type": "Http", "idempotent": true},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            },
            "capabilities": [{"name": "scripted"}],
            "concurrency": 4,
            "replicas": replicas,
            "drain": {"timeout": "10s"},
        });
        merge(&mut spec, patch);
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "AgentPool", "metadata": {"name": "scripted", "namespace": self.name}, "spec": spec})
            .to_string()
    }

    /// A Workflow with these steps; `patch` is merged into its spec.
    pub fn workflow(&self, name: &str, steps: &Value, patch: &Value) -> String {
        let mut spec = json!({"supervisorRef": {"name": "work"}, "steps": steps});
        merge(&mut spec, patch);
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name, "namespace": self.name}, "spec": spec})
            .to_string()
    }
}

/// One task step that behaves as the input says.
pub fn scripted(name: &str, input: &Value) -> Value {
    json!({"name": name, "task": {"agent": {"capability": "scripted"}, "input": input, "timeout": "5s", "retry": {"limit": 0}}})
}

/// RFC 7386: members of the patch replace those of the target, null removes.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
