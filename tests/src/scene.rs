//! The scene of a table of admission in a cluster: its hierarchy, and attempts to change it as the users of its cases.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::http::Request;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use tetrarch_plan::suite::{self, Case, Change, Expect, Operation, Outcome};
use tetrarch_testkit::cluster::Cluster;

use crate::replicas::NAMESPACE;

/// User that sets the scene: the webhooks leave it alone, so that what is there may violate what is written above it.
const STAGEHAND: &str = "stagehand";

/// Folders of the table, in the order of their names.
pub fn folders() -> Result<Vec<PathBuf>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/admission");
    let mut folders = fs::read_dir(data)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.sort();
    Ok(folders)
}

/// The documents of a YAML file.
pub fn documents(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
    Ok(documents.collect::<Result<Vec<_>, _>>()?)
}

/// Whoever is authenticated may write our kinds and pods, so that it is the webhook that refuses. Nobody may approve.
pub fn everybody_may_write() -> String {
    let verbs = ["get", "list", "create", "update", "patch", "delete"];
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test-writer"}, "rules": [
            {"apiGroups": ["tetrarch.dev"], "verbs": verbs, "resources":
                ["orchestrators", "domains", "supervisors", "agentpools", "agentpools/scale", "agentpools/status", "workflows"]},
            {"apiGroups": [""], "verbs": verbs, "resources": ["pods", "pods/ephemeralcontainers"]},
        ]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "test-writer"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-writer"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]},
    ]})
    .to_string()
}

/// An answer of the API server.
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Texts of its warnings.
    pub warnings: Vec<String>,
    /// The object, or the status that says why not.
    pub body: Value,
}

impl Answer {
    /// What it says when it refuses.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// Who does something.
#[derive(Clone, Copy)]
pub struct As<'a> {
    name: &'a str,
    groups: &'a [String],
    dry: bool,
}

impl<'a> As<'a> {
    /// A user without groups of their own, who really writes.
    pub const fn user(name: &'a str) -> Self {
        Self { name, groups: &[], dry: false }
    }

    /// Whoever sets the scene.
    pub const fn stagehand() -> Self {
        Self::user(STAGEHAND)
    }
}

/// The hierarchy of one folder in the cluster.
pub struct Scene<'a> {
    cluster: &'a Cluster,
    objects: Vec<Value>,
    /// Whether attempts are only tried. Capacity is counted only for what is really written.
    dry: bool,
}

impl<'a> Scene<'a> {
    /// Writes the hierarchy, in its order, and waits until the replicas have seen it.
    pub async fn set(cluster: &'a Cluster, hierarchy: &[Value], dry: bool) -> Result<Self> {
        let scene = Self { cluster, objects: hierarchy.to_vec(), dry };
        // An attempt that was interrupted may have left its scene behind.
        for object in hierarchy.iter().rev() {
            scene.take_away(object).await?;
        }
        for object in hierarchy {
            if object["kind"] == "Domain" {
                open_namespace(cluster, object)?;
            }
            let stagehand = ["--as", STAGEHAND, "--as-group", "system:masters"];
            let apply = [&["apply", "--server-side", "--force-conflicts", "-f", "-"][..], &stagehand].concat();
            cluster.kubectl_with(&apply, &dressed(object).to_string()).with_context(|| format!("{object}"))?;
            if object.get("status").is_some() {
                let status = ["--subresource", "status", "-f", "-"];
                let status = [&["apply", "--server-side", "--force-conflicts"][..], &status, &stagehand].concat();
                cluster.kubectl_with(&status, &dressed(object).to_string()).with_context(|| format!("{object}"))?;
            }
        }
        // The replicas see it by their watches; the promise is two seconds.
        tokio::time::sleep(Duration::from_secs(2)).await;
        if !dry {
            scene.until_counted().await?;
        }
        Ok(scene)
    }

    /// Waits until the ledgers of capacity have everything: nobody has claimed room for what was written beside the webhook,
    /// so that it takes a leader to write it down.
    async fn until_counted(&self) -> Result<()> {
        let mut uids = Vec::new();
        for object in self.objects.iter().filter(|object| object["kind"] != "Workflow" && object["kind"] != "Pod") {
            let stored = self.send("GET", &path(object)?, &Value::Null, As::stagehand()).await?;
            uids.push(stored.body["metadata"]["uid"].as_str().context("an object without uid")?.to_owned());
        }
        for _ in 0..300 {
            let list = self.cluster.kubectl(&["get", "configmaps", "-n", NAMESPACE, "-o", "json"])?;
            let list: Value = serde_json::from_str(&list)?;
            let ledger = |object: &Value| {
                format!("tetrarch-capacity-{}", object["metadata"]["name"].as_str().unwrap_or_default())
            };
            let wanted: Vec<String> =
                self.objects.iter().filter(|object| object["kind"] == "Orchestrator").map(ledger).collect();
            let ledgers = list["items"].as_array().into_iter().flatten();
            let texts: Vec<&str> = ledgers
                .filter(|found| wanted.iter().any(|name| found["metadata"]["name"] == *name))
                .filter_map(|found| found["data"]["ledger"].as_str())
                .collect();
            if !texts.is_empty() && uids.iter().all(|uid| texts.iter().any(|text| text.contains(uid))) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the ledger of capacity does not learn what exists")
    }

    /// Makes the change of a case and says what came of it.
    pub async fn attempt(&mut self, case: &Case, change: &Change) -> Result<Outcome> {
        let object = change.new.as_ref().or(change.old.as_ref()).context("a change of nothing")?;
        let user = As { name: &change.user.name, groups: &change.user.groups, dry: self.dry };
        let mut answer = self.make(case, change.operation, object, user).await?;
        // The operators write to it, too: whoever was slower than them tries again.
        for _ in 0..10 {
            if answer.status != 409 || answer.body["reason"] != "Conflict" {
                break;
            }
            answer = self.make(case, change.operation, object, user).await?;
        }
        if answer.status >= 300 {
            return Ok(Outcome { verdict: Expect::Deny, messages: vec![answer.message().to_owned()] });
        }
        if !self.dry && change.operation == Operation::Create {
            self.objects.push(object.clone());
        }
        let held = answer.warnings.iter().any(|warning| warning.starts_with(HELD));
        let verdict = match (held, answer.warnings.is_empty()) {
            (true, _) => Expect::Hold,
            (false, false) => Expect::Warn,
            (false, true) => Expect::Accept,
        };
        Ok(Outcome { verdict, messages: answer.warnings })
    }

    async fn make(&self, case: &Case, operation: Operation, object: &Value, user: As<'_>) -> Result<Answer> {
        let (collection, one) = (collection(object)?, path(object)?);
        match operation {
            Operation::Create => self.send("POST", &collection, &dressed(object), user).await,
            Operation::Delete => self.send("DELETE", &one, &Value::Null, user).await,
            Operation::Scale => {
                let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": {"name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"]},
                    "spec": {"replicas": object["spec"]["replicas"]}});
                self.send("PUT", &format!("{one}/scale"), &scale, user).await
            }
            Operation::Update => {
                let stored = self.send("GET", &one, &Value::Null, As::stagehand()).await?;
                ensure!(stored.status == 200, "{one} is not there: {}", stored.message());
                let mut new = stored.body;
                change(&mut new, case.with.as_ref().context("an update without a change")?);
                self.send("PUT", &one, &dressed(&new), user).await
            }
        }
    }

    /// Sends a request to the API server as somebody.
    pub async fn send(&self, method: &str, path: &str, body: &Value, user: As<'_>) -> Result<Answer> {
        let dry = if method != "GET" && user.dry { "?dryRun=All" } else { "" };
        let mut request = Request::builder().method(method).uri(format!("{path}{dry}"));
        let form = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        request = request.header("content-type", form).header("impersonate-user", user.name);
        let everybody = if user.name == STAGEHAND { "system:masters" } else { "system:authenticated" };
        for group in user.groups.iter().map(String::as_str).filter(|group| *group != everybody).chain([everybody]) {
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

    /// Lets a user have verbs on our kinds until [`Scene::take_back`], and waits until the API server knows.
    pub async fn grant(&self, user: &str, verbs: &[String]) -> Result<()> {
        let resources = ["orchestrators", "domains", "supervisors", "agentpools", "workflows"];
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test-granted"},
             "rules": [{"apiGroups": ["tetrarch.dev"], "verbs": verbs, "resources": resources}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "test-granted"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-granted"},
             "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]},
        ]});
        self.cluster.apply(&objects.to_string())?;
        self.until_allowed(user, verbs, true).await
    }

    /// Takes back what [`Scene::grant`] gave.
    pub async fn take_back(&self, user: &str, verbs: &[String]) -> Result<()> {
        self.cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", "test-granted"])?;
        self.until_allowed(user, verbs, false).await
    }

    async fn until_allowed(&self, user: &str, verbs: &[String], wanted: bool) -> Result<()> {
        for verb in verbs {
            let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
                "user": user, "resourceAttributes": {"group": "tetrarch.dev", "resource": "agentpools", "verb": verb}}});
            for attempt in 0.. {
                let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
                let answer = self.send("POST", path, &review, As::stagehand()).await?;
                if answer.body["status"]["allowed"] == wanted {
                    break;
                }
                ensure!(attempt < 100, "the API server does not learn that {verb} is {wanted} for {user}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Takes an object away, whatever the webhooks or the operators would have to say to that.
    pub async fn take_away(&self, object: &Value) -> Result<()> {
        let path = path(object)?;
        let now = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        self.send("DELETE", &path, &now, As::stagehand()).await?;
        let released = json!({"metadata": {"finalizers": null}});
        for _ in 0..100 {
            if self.send("PATCH", &path, &released, As::stagehand()).await?.status == 404 {
                return Ok(());
            }
        }
        bail!("{path} does not go away")
    }

    /// Takes the scene away.
    pub async fn clear(self) -> Result<()> {
        for object in self.objects.iter().rev() {
            self.take_away(object).await?;
        }
        Ok(())
    }
}

/// The object; of a pod with what Pod Security asks for, which looks at it before the webhook does.
fn dressed(object: &Value) -> Value {
    let mut object = object.clone();
    if object["kind"] != "Pod" {
        return object;
    }
    let dress = |at: &mut Value, mut what: Value| {
        if at.is_object() {
            suite::merge_patch(&mut what, at);
        }
        *at = what;
    };
    let pod = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    dress(&mut object["spec"]["securityContext"], pod);
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in object["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let safe = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
            dress(&mut container["securityContext"], safe);
        }
    }
    object
}

/// Changes an object as a merge patch does, but the containers of a pod one by one, as the API server wants them.
fn change(object: &mut Value, with: &Value) {
    let mut with = with.clone();
    if object["kind"] == "Pod" {
        for container in with.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
            let mut stored = object["spec"]["containers"].as_array().into_iter().flatten();
            if let Some(mut whole) = stored.find(|stored| stored["name"] == container["name"]).cloned() {
                suite::merge_patch(&mut whole, container);
                *container = whole;
            }
        }
    }
    suite::merge_patch(object, &with);
}

/// The namespace of a Domain, before the operators make it.
fn open_namespace(cluster: &Cluster, domain: &Value) -> Result<()> {
    let name = &domain["metadata"]["name"];
    let namespace = if domain["spec"]["namespace"].is_string() { &domain["spec"]["namespace"] } else { name };
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"tetrarch.dev/domain": name}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}},
    ]});
    cluster.apply(&objects.to_string()).map(drop)
}

/// What the warning begins with that tells that something is held.
const HELD: &str = "held for an approval: ";

/// The text of a `Warning` header, as in RFC 7234 section 5.5: a code, an agent and a quoted text.
fn warning(header: &str) -> Option<String> {
    let quoted = header.splitn(3, ' ').nth(2)?;
    let quoted = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(quoted.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Path of the objects of a kind.
pub fn collection(object: &Value) -> Result<String> {
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

/// Path of an object.
pub fn path(object: &Value) -> Result<String> {
    Ok(format!("{}/{}", collection(object)?, object["metadata"]["name"].as_str().unwrap_or_default()))
}

/// Which text was told by whom, and what of it nobody expected.
pub enum Told<'a> {
    /// A webhook has refused, with this.
    Webhook(&'a str),
    /// The API server has refused by itself, with this.
    Schema(&'a str),
    /// It was admitted, with these warnings.
    Warnings(Vec<&'a str>),
}

impl<'a> Told<'a> {
    /// Who says what.
    pub fn of(outcome: &'a Outcome) -> Self {
        if outcome.verdict != Expect::Deny {
            return Self::Warnings(outcome.messages.iter().map(|text| text.trim_start_matches(HELD)).collect());
        }
        let text = outcome.messages.first().map_or("", String::as_str);
        match text.strip_prefix("admission webhook ").and_then(|rest| rest.split_once(" denied the request: ")) {
            Some((_, told)) => Self::Webhook(told),
            None => Self::Schema(text),
        }
    }

    /// Whether exactly these texts are told, in any order.
    pub fn is_exactly(&self, texts: &[&str]) -> bool {
        match self {
            Self::Warnings(told) => {
                let (mut told, mut texts) = (told.clone(), texts.to_vec());
                told.sort_unstable();
                texts.sort_unstable();
                told == texts
            }
            Self::Webhook(told) => {
                let mut texts = texts.to_vec();
                texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
                let mut rest = (*told).to_owned();
                let all = texts.iter().all(|text| {
                    let found = rest.contains(text);
                    rest = rest.replacen(text, "", 1);
                    found
                });
                all && rest.split("; ").all(str::is_empty)
            }
            Self::Schema(told) => texts == [*told],
        }
    }
}
