//! The hierarchy of one test, with an operator that reconciles it and the bus that the operator needs.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tetrarch_crds::{AgentPool, Orchestrator};
use tetrarch_operator::trust::{Root, secrets};
use tetrarch_testkit::{
    cluster::{Cluster, Condition, until},
    nats::{self, NatsServer},
};
use tetrarch_tests::replicas::{NAMESPACE, Replicas};
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time: two operators would reconcile the same objects.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Longest time for anything to happen.
const WITHIN: Duration = Duration::from_mins(1);

/// An Orchestrator, a Domain and the Domain's Supervisor `main`; the first two have the name of the stage, and so has the
/// namespace.
pub struct Stage {
    pub name: String,
    cluster: Cluster,
    replicas: Replicas,
    _bus: NatsServer,
    _claims: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

fn object(kind: &str, namespace: Option<&str>, name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

impl Stage {
    /// Sets the stage; `limits` are those of the Orchestrator's only policy.
    pub async fn set(name: &str, limits: &str) -> Result<Self> {
        let alone = ALONE.lock().await;
        let cluster = Cluster::connect().await?;
        let claims = tempfile::tempdir()?;
        let (root, extra) = root(&cluster, claims.path().to_str().context("no text")?)?;
        let bus = NatsServer::start_with(nats::Options { extra, ..nats::Options::default() }).await?;
        root_secret(&cluster, &root)?;
        let replicas = Replicas::start(&cluster, 2, &["--operator-bus-url", &bus.url()]).await?;
        // Of its own, so that the same cluster takes the test again.
        let name = &format!("{name}-{}", std::process::id());
        let stage = Self { name: name.clone(), cluster, replicas, _bus: bus, _claims: claims, _alone: alone };
        stage.let_people_in()?;
        let policies = json!([{"name": "size", "limits": serde_json::from_str::<Value>(limits)?}]);
        let hierarchy = json!({"maxAgentsPerSupervisor": 1000});
        stage
            .apply_soon(&object("Orchestrator", None, name, &json!({"hierarchy": hierarchy, "policies": policies})))
            .await?;
        stage.apply_soon(&object("Domain", None, name, &json!({"orchestratorRef": {"name": name}}))).await?;
        until("the namespace", WITHIN, || async {
            Ok(stage.cluster.get("namespace", None, name)?.ok_or_else(|| "none".to_owned()))
        })
        .await?;
        stage.apply_soon(&object("Supervisor", Some(name), "main", &json!({}))).await?;
        Ok(stage)
    }

    /// Ends the operator and the bus, and takes away what nobody else would.
    pub async fn end(self) -> Result<()> {
        let Self { name, cluster, replicas, .. } = self;
        replicas.end().await?;
        let inside = cluster.kubectl(&["get", "workflows,agentpools,supervisors", "-n", &name, "-o", "name"])?;
        for object in inside.lines() {
            remove(&cluster, object, &["-n", &name])?;
        }
        for kind in ["domain", "orchestrator"] {
            remove(&cluster, &format!("{kind}/{name}"), &[])?;
        }
        Ok(())
    }

    /// Ann and bob may annotate pools; that alone gives nobody the right to approve.
    fn let_people_in(&self) -> Result<()> {
        let people = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"},
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}]);
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test-annotator"},
             "rules": [{"apiGroups": ["tetrarch.dev"], "verbs": ["get", "patch"], "resources": ["agentpools"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "test-annotator"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-annotator"},
             "subjects": people},
        ]});
        self.cluster.apply(&objects.to_string()).map(drop)
    }

    /// Gives somebody verbs on Workflows.
    pub fn let_in(&self, user: &str, verbs: &[&str]) -> Result<()> {
        let name = format!("test-workflows-{user}");
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": self.name},
             "rules": [{"apiGroups": ["tetrarch.dev"], "verbs": verbs, "resources": ["workflows"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": self.name},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
             "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]},
        ]});
        self.cluster.apply(&objects.to_string()).map(drop)
    }

    /// Waits until the API server knows that somebody has a verb on Workflows.
    pub async fn until_may(&self, user: &str, verb: &str) -> Result<()> {
        let arguments = ["auth", "can-i", verb, "workflows.tetrarch.dev", "-n", &self.name, "--as", user];
        until(&format!("{user} may {verb}"), WITHIN, || async {
            Ok(self.cluster.kubectl(&arguments).map(drop).map_err(|error| format!("{error:#}")))
        })
        .await
    }

    /// Patches a Workflow as somebody else.
    pub fn patch_workflow_as(&self, user: &str, workflow: &str, patch: &Value) -> Result<()> {
        let text = patch.to_string();
        let arguments = ["patch", "workflow", workflow, "-n", &self.name, "--as", user, "--type=merge", "-p", &text];
        self.cluster.kubectl(&arguments).map(drop)
    }

    /// An object of the Supervisor.
    pub fn inside(&self, kind: &str, name: &str, mut spec: Value) -> Value {
        spec["supervisorRef"] = json!({"name": "main"});
        object(kind, Some(&self.name), name, &spec)
    }

    /// Writes it once.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.cluster.apply(&object.to_string()).map(drop)
    }

    /// Writes it as soon as it is admitted: what it stands under may have been made just before.
    pub async fn apply_soon(&self, object: &Value) -> Result<()> {
        let what = format!("write of {}", object["metadata"]["name"]);
        until(&what, WITHIN, || async { Ok(self.apply(object).map_err(|error| format!("{error:#}"))) }).await
    }

    /// Waits until it is admitted whichever replica is asked.
    pub async fn until_admitted(&self, object: &Value) -> Result<()> {
        self.until_told(object, Result::is_ok).await
    }

    /// Waits until it would be held whichever replica is asked.
    pub async fn until_held(&self, object: &Value) -> Result<()> {
        self.until_told(object, |said| said.as_ref().is_ok_and(|stored| stored.contains("tetrarch.dev/held"))).await
    }

    async fn until_told(&self, object: &Value, is_it: impl Fn(&Result<String>) -> bool) -> Result<()> {
        let arguments = ["apply", "--server-side", "--dry-run=server", "-o", "json", "-f", "-"];
        until("the answer of both replicas", WITHIN, || async {
            for _ in 0..4 {
                let said = self.cluster.kubectl_with(&arguments, &object.to_string());
                if !is_it(&said) {
                    return Ok(Err(format!("{said:?}")));
                }
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Changes the limits of the Orchestrator's policy, and says when that was done.
    pub fn limit(&self, limits: &str) -> Result<Instant> {
        let policies = json!([{"name": "size", "limits": serde_json::from_str::<Value>(limits)?}]);
        self.merge("orchestrator", None, &self.name, &json!({"spec": {"policies": policies}}))?;
        Ok(Instant::now())
    }

    /// The same without the time that a tool takes to start.
    pub async fn limit_at_once(&self, limits: &str) -> Result<Instant> {
        let policies = json!([{"name": "size", "limits": serde_json::from_str::<Value>(limits)?}]);
        let api = Api::<Orchestrator>::all(self.cluster.client.clone());
        let patch = Patch::Merge(json!({"spec": {"policies": policies}}));
        api.patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(Instant::now())
    }

    /// Creates a pool, without the time that a tool takes to start.
    pub async fn create(&self, pool: &Value) -> Result<(), kube::Error> {
        let pool: AgentPool = serde_json::from_value(pool.clone()).map_err(kube::Error::SerdeError)?;
        let api = Api::<AgentPool>::namespaced(self.cluster.client.clone(), &self.name);
        api.create(&PostParams::default(), &pool).await.map(drop)
    }

    /// How the Orchestrator's policy is called in findings.
    pub fn size_policy(&self, generation: i64) -> String {
        format!("policy \"size\" of Orchestrator {:?} (generation {generation})", self.name)
    }

    /// Merges a patch into an object.
    pub fn merge(&self, kind: &str, namespace: Option<&str>, name: &str, patch: &Value) -> Result<()> {
        let text = patch.to_string();
        let mut arguments = vec!["patch", kind, name, "--type=merge", "-p", &text];
        if let Some(namespace) = namespace {
            arguments.extend(["-n", namespace]);
        }
        self.cluster.kubectl(&arguments).map(drop)
    }

    /// Patches a pool as somebody else.
    pub fn patch_as(&self, user: &str, pool: &str, patch: &Value) -> Result<()> {
        let text = patch.to_string();
        let arguments = ["patch", "agentpool", pool, "-n", &self.name, "--as", user, "--type=merge", "-p", &text];
        self.cluster.kubectl(&arguments).map(drop)
    }

    /// Approves a generation of a pool as somebody else.
    pub fn approve(&self, user: &str, pool: &str, generation: i64) -> Result<()> {
        let annotations =
            json!({"tetrarch.dev/approve": generation.to_string(), "tetrarch.dev/approve-reason": "seen"});
        self.patch_as(user, pool, &json!({"metadata": {"annotations": annotations}}))
    }

    /// An object in the namespace.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value> {
        self.cluster.get(kind, Some(&self.name), name)?.with_context(|| format!("no {kind} {name}"))
    }

    /// Waits until a condition of an object in the namespace has a status for the generation that is stored.
    pub async fn until(&self, kind: &str, name: &str, (condition, status): (&str, &str)) -> Result<Condition> {
        until(&format!("{kind}/{name} {condition}={status}"), WITHIN, || async {
            let object = self.get(kind, name)?;
            let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            Ok(match tetrarch_testkit::cluster::condition_of(&object, condition) {
                Some(found) if found.status == status && is_current => Ok(found),
                other => Err(format!("{other:?}")),
            })
        })
        .await
    }

    /// Waits for the largest size of the pool `elastic` and the size of the pool `fixed`, as the cluster is told.
    pub async fn until_numbers(&self, (elastic, fixed): (&str, &str)) -> Result<()> {
        until(&format!("{elastic} and {fixed} agents"), WITHIN, || async {
            let max = self.get("hpa", "elastic-agents")?["spec"]["maxReplicas"].to_string();
            let replicas = self.get("deployment", "fixed-agents")?["spec"]["replicas"].to_string();
            Ok(if (max.as_str(), replicas.as_str()) == (elastic, fixed) {
                Ok(())
            } else {
                Err(format!("{max}, {replicas}"))
            })
        })
        .await
    }

    /// Waits until a pool is reported and its Deployment has so many replicas, without the time that a tool takes to start.
    pub async fn until_clamped(&self, pool: &str, told: &str, replicas: i32) -> Result<()> {
        let pools = Api::<AgentPool>::namespaced(self.cluster.client.clone(), &self.name);
        let deployments = Api::<Deployment>::namespaced(self.cluster.client.clone(), &self.name);
        let agents = format!("{pool}-agents");
        let start = Instant::now();
        loop {
            let status = pools.get(pool).await?.status.unwrap_or_default();
            let said = status.conditions.iter().find(|condition| condition.type_ == "PolicyCompliant");
            let spec = deployments.get_opt(&agents).await?.and_then(|deployment| deployment.spec);
            let size = spec.and_then(|spec| spec.replicas);
            if said.is_some_and(|said| said.message.contains(told)) && size == Some(replicas) {
                return Ok(());
            }
            ensure!(start.elapsed() < WITHIN, "{said:?}, {size:?} agents");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all levels count so many objects that violate policies, are held, and are clamped.
    pub async fn until_compliance(&self, [violating, held, clamped]: [i32; 3]) -> Result<()> {
        let expected = json!({"violating": violating, "held": held, "clamped": clamped});
        until(&format!("{expected} on all levels"), WITHIN, || async {
            let at = |kind: &str, namespace: Option<&str>, name: &str| {
                let object = self.cluster.get(kind, namespace, name)?.with_context(|| format!("no {kind} {name}"))?;
                anyhow::Ok(object["status"]["compliance"].clone())
            };
            let found = [
                at("orchestrator", None, &self.name)?,
                at("domain", None, &self.name)?,
                at("supervisor", Some(&self.name), "main")?,
            ];
            Ok(if found.iter().all(|found| *found == expected) { Ok(()) } else { Err(format!("{found:?}")) })
        })
        .await
    }

    /// The image that a pool's agents run; none without a Deployment.
    pub fn image(&self, pool: &str) -> Result<Option<String>> {
        let Some(deployment) = self.cluster.get("deployment", Some(&self.name), &format!("{pool}-agents"))? else {
            return Ok(None);
        };
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let agent = containers.iter().find(|container| container["name"] == "agent");
        Ok(agent.and_then(|agent| agent["image"].as_str()).map(str::to_owned))
    }

    /// Waits until a pool's agents run an image.
    pub async fn until_image(&self, pool: &str, image: &str) -> Result<()> {
        until(&format!("{image} in {pool}"), WITHIN, || async {
            let found = self.image(pool)?;
            Ok(if found.as_deref() == Some(image) { Ok(()) } else { Err(format!("{found:?}")) })
        })
        .await
    }

    /// What there is in the namespace, by kind and name, with the identity of each.
    pub fn uids(&self) -> Result<BTreeMap<String, String>> {
        let kinds = "supervisors,agentpools,workflows,deployments,hpa,services,serviceaccounts,resourcequotas,secrets";
        let listed = self.cluster.kubectl(&["get", kinds, "-n", &self.name, "-o", "json"])?;
        let listed: Value = serde_json::from_str(&listed)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        let uids: BTreeMap<String, String> = items
            .iter()
            .map(|item| {
                (format!("{}/{}", text(&item["kind"]), text(&item["metadata"]["name"])), text(&item["metadata"]["uid"]))
            })
            .collect();
        ensure!(uids.keys().any(|key| key.starts_with("Deployment/")), "{uids:?}");
        Ok(uids)
    }

    /// Whether everything is still there that was there before. On a busy machine, more may have come meanwhile.
    pub fn keeps(&self, before: &BTreeMap<String, String>) -> Result<()> {
        let now = self.uids()?;
        let lost: Vec<&String> =
            before.iter().filter(|(key, uid)| now.get(*key) != Some(uid)).map(|(key, _)| key).collect();
        ensure!(lost.is_empty(), "deleted, or made again: {lost:?}");
        Ok(())
    }
}

/// Deletes an object that no operator cleans up after.
fn remove(cluster: &Cluster, object: &str, place: &[&str]) -> Result<()> {
    let release = r#"{"metadata":{"finalizers":null}}"#;
    cluster.kubectl(&[&["patch", object, "--type=merge", "-p", release], place].concat())?;
    cluster.kubectl(&[&["delete", object, "--wait=false"], place].concat()).map(drop)
}

/// The root keys of the bus: those that an earlier test has left, else new ones. Beside them the configuration of a server.
fn root(cluster: &Cluster, claims: &str) -> Result<(Root, String)> {
    let root = match cluster.get("secret", Some(NAMESPACE), secrets::TRUST)? {
        Some(secret) => {
            let entry = |key: &str| secret["data"][key].as_str().and_then(decode);
            Root::from_entries(entry)?
        }
        None => Root::generate(Timestamp::now())?,
    };
    let extra = root.server_config(claims)?;
    Ok((root, extra))
}

fn root_secret(cluster: &Cluster, root: &Root) -> Result<()> {
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).to_string())?;
    if cluster.get("secret", Some(NAMESPACE), secrets::TRUST)?.is_some() {
        return Ok(());
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secrets::TRUST, "namespace": NAMESPACE},
        "stringData": root.to_entries()?});
    cluster.apply(&secret.to_string()).map(drop)
}

fn decode(text: &str) -> Option<String> {
    let value: k8s_openapi::ByteString = serde_json::from_value(json!(text)).ok()?;
    String::from_utf8(value.0).ok()
}
