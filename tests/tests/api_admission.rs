//! Rung 3: the table of admission, replayed by a real API server that asks three replicas of the webhook, word by word.
//!
//! The cases are those of `tests/data/admission`, the very files that the pure decision is tested with. Every write is a
//! dry run as the user of the case, so that cases do not see each other.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::http::Request;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use tetrarch_plan::suite::{self, Case, Change, Expect, Operation, Outcome, Suite};
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::replicas::Replicas;

fn folders() -> Result<Vec<PathBuf>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/admission");
    let mut folders = fs::read_dir(data)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.sort();
    Ok(folders)
}

fn documents(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
    Ok(documents.collect::<Result<Vec<_>, _>>()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_table_is_decided_by_the_api_server_as_by_the_pure_decision() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let replicas = Replicas::start(&cluster, 3, &[]).await?;
    cluster.apply(&everybody_may_write())?;
    let (mut told, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for folder in folders()? {
        let suite: Suite = serde_yaml::from_str(&fs::read_to_string(folder.join("cases.yaml"))?)?;
        let hierarchy = documents(&folder.join("hierarchy.yaml"))?;
        let scene = Scene::set(&cluster, &hierarchy).await?;
        for case in &suite.tests {
            // The API server's clock cannot be set, and what users can by RBAC is tested elsewhere.
            if case.now.is_some() || suite.now.is_some() || !case.can.is_empty() {
                *told.entry("left out").or_default() += 1;
                continue;
            }
            let change = suite::expand(&suite, case, &hierarchy)
                .map_err(|violations| anyhow::anyhow!("{}: {violations:?}", case.name))?;
            let outcome = scene.attempt(&change).await?;
            *told.entry(if outcome.verdict == Expect::Deny { "refused" } else { "admitted" }).or_default() += 1;
            let mismatches = differences(case, &outcome);
            if !mismatches.is_empty() {
                wrong.push(format!("{}: {}:\n    {}", folder.display(), case.name, mismatches.join("\n    ")));
            }
        }
        scene.clear().await?;
    }
    replicas.end().await?;
    let decided = told.get("refused").unwrap_or(&0) + told.get("admitted").unwrap_or(&0);
    ensure!(wrong.is_empty(), "{} of {decided} cases:\n  {}", wrong.len(), wrong.join("\n  "));
    ensure!(decided >= 150, "only {decided} cases were decided: {told:?}");
    Ok(())
}

/// Whoever is authenticated may write our kinds and pods, so that it is the webhook that refuses. Nobody may approve.
fn everybody_may_write() -> String {
    let verbs = ["get", "list", "create", "update", "patch", "delete"];
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test-writer"}, "rules": [
            {"apiGroups": ["tetrarch.dev"], "verbs": verbs, "resources":
                ["orchestrators", "domains", "supervisors", "agentpools", "agentpools/scale", "workflows"]},
            {"apiGroups": [""], "verbs": verbs, "resources": ["pods"]},
        ]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "test-writer"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-writer"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]},
    ]})
    .to_string()
}

/// User that sets the scene: the webhooks leave it alone, so that what is there may violate what is written above it.
const STAGEHAND: &str = "stagehand";

/// The hierarchy of one folder in the cluster.
struct Scene<'a> {
    cluster: &'a Cluster,
    hierarchy: Vec<Value>,
}

impl<'a> Scene<'a> {
    async fn set(cluster: &'a Cluster, hierarchy: &[Value]) -> Result<Self> {
        let scene = Self { cluster, hierarchy: hierarchy.to_vec() };
        for object in hierarchy {
            if object["kind"] == "Domain" {
                scene.open_namespace(object)?;
            }
            cluster
                .kubectl_with(
                    &["apply", "--server-side", "-f", "-", "--as", STAGEHAND, "--as-group", "system:masters"],
                    &object.to_string(),
                )
                .with_context(|| format!("{object}"))?;
        }
        // The replicas see it by their watches; the promise is two seconds.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(scene)
    }

    /// A namespace of the Domain without Pod Security, which would refuse pods before the webhook sees them.
    fn open_namespace(&self, domain: &Value) -> Result<()> {
        let name = &domain["metadata"]["name"];
        let namespace = if domain["spec"]["namespace"].is_string() { &domain["spec"]["namespace"] } else { name };
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"tetrarch.dev/domain": name}}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}},
        ]});
        self.cluster.apply(&objects.to_string()).map(drop)
    }

    /// Makes the change of a case as a dry run and says what came of it.
    async fn attempt(&self, change: &Change) -> Result<Outcome> {
        let object = change.new.as_ref().or(change.old.as_ref()).context("a change of nothing")?;
        let collection = collection(object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let one = format!("{collection}/{name}");
        let (method, path, body) = match change.operation {
            Operation::Create => ("POST", collection, object.clone()),
            Operation::Delete => ("DELETE", one, Value::Null),
            Operation::Scale => {
                let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": {"name": name, "namespace": object["metadata"]["namespace"]},
                    "spec": {"replicas": object["spec"]["replicas"]}});
                ("PUT", format!("{one}/scale"), scale)
            }
            Operation::Update => {
                let stored = self.send("GET", &one, &Value::Null, STAGEHAND, &[]).await?;
                let mut new = object.clone();
                for field in ["resourceVersion", "uid", "creationTimestamp", "finalizers"] {
                    if !stored.body["metadata"][field].is_null() {
                        new["metadata"][field] = stored.body["metadata"][field].clone();
                    }
                }
                new["metadata"].as_object_mut().map(|metadata| metadata.remove("generation"));
                ("PUT", one, new)
            }
        };
        let answer = self.send(method, &path, &body, &change.user.name, &change.user.groups).await?;
        if answer.status >= 300 {
            let message = answer.body["message"].as_str().unwrap_or_default().to_owned();
            return Ok(Outcome { verdict: Expect::Deny, messages: vec![message] });
        }
        let held = answer.warnings.iter().any(|warning| warning.starts_with("held for an approval"));
        let verdict = match (held, answer.warnings.is_empty()) {
            (true, _) => Expect::Hold,
            (false, false) => Expect::Warn,
            (false, true) => Expect::Accept,
        };
        Ok(Outcome { verdict, messages: answer.warnings })
    }

    async fn send(&self, method: &str, path: &str, body: &Value, user: &str, groups: &[String]) -> Result<Answer> {
        let dry = if method == "GET" { "" } else { "?dryRun=All" };
        let mut request = Request::builder().method(method).uri(format!("{path}{dry}"));
        request = request.header("content-type", "application/json").header("impersonate-user", user);
        let everybody = if user == STAGEHAND { "system:masters" } else { "system:authenticated" };
        for group in groups.iter().map(String::as_str).filter(|group| *group != everybody).chain([everybody]) {
            request = request.header("impersonate-group", group);
        }
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let response = self.cluster.client.send(request.body(Body::from(bytes))?).await?;
        let status = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter().filter_map(|value| warning(value.to_str().ok()?));
        let warnings = warnings.collect();
        let body = serde_json::from_slice(&response.into_body().collect_bytes().await?)?;
        Ok(Answer { status, warnings, body })
    }

    /// Takes the scene away, whatever the webhooks or the operators would have to say to that.
    async fn clear(self) -> Result<()> {
        for object in self.hierarchy.iter().rev() {
            let path = format!("{}/{}", collection(object)?, object["metadata"]["name"].as_str().unwrap_or_default());
            let stagehand = ["--as", STAGEHAND, "--as-group", "system:masters"];
            let kind = object["kind"].as_str().unwrap_or_default();
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
            let target = ["-n", namespace, kind, name];
            let delete = [&["delete", "--wait=false", "--ignore-not-found"][..], &target, &stagehand].concat();
            self.cluster.kubectl(&delete)?;
            for _ in 0..100 {
                if self.send("GET", &path, &Value::Null, STAGEHAND, &[]).await?.status == 404 {
                    break;
                }
                let release = ["patch", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#];
                // It may be gone by now.
                let _ = self.cluster.kubectl(&[&release[..], &target, &stagehand].concat());
            }
        }
        Ok(())
    }
}

/// An answer of the API server.
struct Answer {
    status: u16,
    warnings: Vec<String>,
    body: Value,
}

/// The text of a `Warning` header, as in RFC 7234 section 5.5: a code, an agent and a quoted text.
fn warning(header: &str) -> Option<String> {
    let quoted = header.splitn(3, ' ').nth(2)?;
    let quoted = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(quoted.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Path of the objects of a kind.
fn collection(object: &Value) -> Result<String> {
    let plural = match object["kind"].as_str().unwrap_or_default() {
        "Orchestrator" => "orchestrators",
        "Domain" => "domains",
        "Supervisor" => "supervisors",
        "AgentPool" => "agentpools",
        "Workflow" => "workflows",
        "Pod" => "pods",
        other => bail!("unknown kind {other:?}"),
    };
    let group = if plural == "pods" { "/api/v1" } else { "/apis/tetrarch.dev/v1alpha1" };
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{plural}"),
    })
}

/// In what the API server's answer differs from what the case wants. What is only recorded nobody is told, and what the
/// schema refuses first must name the same field.
fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let wanted = if case.expect == Expect::Audit { Expect::Accept } else { case.expect };
    let told = outcome.messages.join("\n");
    if outcome.verdict != wanted {
        return vec![format!("wanted {wanted}, got {}: {told}", outcome.verdict)];
    }
    if case.expect == Expect::Audit {
        return Vec::new();
    }
    let by_webhook = outcome.verdict != Expect::Deny || told.contains("admission webhook");
    let texts = case.exact_message.0.iter().chain(&case.message.0);
    texts
        .filter(|text| {
            let field = text.split_once(": ").map_or(text.as_str(), |(field, _)| field);
            !(told.contains(text.trim()) || (!by_webhook && told.contains(field)))
        })
        .map(|text| format!("wanted: {text}\n    got:    {told}"))
        .collect()
}
