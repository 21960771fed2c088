//! Rung 3: what a table of independent cases cannot show. Objects in deletion and status updates pass, containers for
//! debugging do not slip in, an approval is stamped with who gave it, a refusal leaves an Event.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::{
    replicas::Replicas,
    scene::{Answer, As, Scene, everybody_may_write, path},
};

const VERSION: &str = "tetrarch.dev/v1alpha1";

fn pool(name: &str, replicas: u32) -> Value {
    json!({"apiVersion": VERSION, "kind": "AgentPool", "metadata": {"name": name, "namespace": "course"}, "spec": {
        "supervisorRef": {"name": "main"}, "agent": {"image": "registry.example/a:1"}, "replicas": replicas}})
}

/// At most 10 agents, more than 5 only with an approval by olga, and images of one registry.
fn hierarchy() -> Vec<Value> {
    let policies = json!([
        {"name": "size", "limits": {"agents": 10}},
        {"name": "large", "appliesTo": {"kinds": ["AgentPool"]}, "limits": {"agents": 5}, "action": "RequireApproval",
         "approvers": [{"kind": "User", "name": "olga"}]},
        {"name": "images", "allow": {"images": ["registry.example/*"]}},
    ]);
    let mut leaving = pool("leaving", 20);
    leaving["metadata"]["finalizers"] = json!(["example.com/stays-for-the-test"]);
    vec![
        json!({"apiVersion": VERSION, "kind": "Orchestrator", "metadata": {"name": "course"}, "spec": {}}),
        json!({"apiVersion": VERSION, "kind": "Domain", "metadata": {"name": "course"},
            "spec": {"orchestratorRef": {"name": "course"}, "policies": policies}}),
        json!({"apiVersion": VERSION, "kind": "Supervisor", "metadata": {"name": "main", "namespace": "course"}, "spec": {}}),
        pool("staying", 20),
        leaving,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tool", "namespace": "course"},
            "spec": {"containers": [{"name": "main", "image": "registry.example/tools/a:1"}]}}),
    ]
}

fn is_refused_with(answer: &Answer, text: &str) -> Result<()> {
    ensure!(answer.status >= 400 && answer.message().contains(text), "{}: {}", answer.status, answer.body);
    Ok(())
}

fn is_stored(answer: &Answer) -> Result<()> {
    ensure!(answer.status < 300, "{}: {}", answer.status, answer.message());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_takes_its_course() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let replicas = Replicas::start(&cluster, 2, &[]).await?;
    cluster.apply(&everybody_may_write())?;
    let scene = Scene::set(&cluster, &hierarchy(), false).await?;
    let course = Course { scene: &scene, cluster: &cluster };
    course.objects_in_deletion_pass().await.context("objects in deletion")?;
    course.status_updates_pass().await.context("status updates")?;
    course.no_container_for_debugging_slips_in().await.context("containers for debugging")?;
    course.an_approval_is_stamped().await.context("approvals")?;
    course.a_refusal_leaves_an_event().await.context("events")?;
    scene.take_away(&pool("grown", 8)).await?;
    scene.clear().await?;
    replicas.end().await
}

struct Course<'a> {
    scene: &'a Scene<'a>,
    cluster: &'a Cluster,
}

const ADA: As<'static> = As::user("ada");

impl Course<'_> {
    async fn objects_in_deletion_pass(&self) -> Result<()> {
        let larger = json!({"spec": {"replicas": 30}});
        let staying = self.scene.send("PATCH", &path(&pool("staying", 20))?, &larger, ADA).await?;
        is_refused_with(
            &staying,
            "spec.replicas: is 30, but policy \"size\" of Domain \"course\" (generation 1) allows at most 10 agents: write 10 or less",
        )?;
        let leaving = path(&pool("leaving", 20))?;
        is_stored(&self.scene.send("DELETE", &leaving, &Value::Null, ADA).await?)?;
        let stored = self.scene.send("PATCH", &leaving, &larger, ADA).await?;
        is_stored(&stored)?;
        ensure!(stored.body["metadata"]["deletionTimestamp"].is_string(), "it is gone: {}", stored.body);
        Ok(())
    }

    async fn status_updates_pass(&self) -> Result<()> {
        let path = format!("{}/status", path(&pool("staying", 20))?);
        let status = json!({"status": {"observedGeneration": 1}});
        is_stored(&self.scene.send("PATCH", &path, &status, ADA).await?)
    }

    async fn no_container_for_debugging_slips_in(&self) -> Result<()> {
        let safe = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let debug = |image: &str| json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": image, "securityContext": safe}]}});
        let path = "/api/v1/namespaces/course/pods/tool/ephemeralcontainers";
        let refused = self.scene.send("PATCH", path, &debug("evil.example/sh"), ADA).await?;
        is_refused_with(
            &refused,
            "spec.ephemeralContainers[0].image: is \"evil.example/sh\", but policy \"images\" of Domain \"course\" (generation 1) allows only registry.example/*: write one of these",
        )?;
        is_stored(&self.scene.send("PATCH", path, &debug("registry.example/sh"), ADA).await?)
    }

    async fn an_approval_is_stamped(&self) -> Result<()> {
        let object = pool("grown", 8);
        let collection = "/apis/tetrarch.dev/v1alpha1/namespaces/course/agentpools";
        let created = self.scene.send("POST", collection, &object, ADA).await?;
        is_stored(&created)?;
        ensure!(created.warnings.iter().any(|warning| warning.starts_with("held for an approval: ")), "not held");
        let approve = |generation: &str| json!({"metadata": {"annotations": {"tetrarch.dev/approve": generation}}});
        let path = path(&object)?;
        let by_author = self.scene.send("PATCH", &path, &approve("1"), ADA).await?;
        is_refused_with(
            &by_author,
            "user \"ada\" may not approve what policy \"large\" of Domain \"course\" holds: ask one of its approvers (User \"olga\")",
        )?;
        let olga = As::user("olga");
        let early = self.scene.send("PATCH", &path, &approve("2"), olga).await?;
        is_refused_with(&early, "is \"2\", but the generation is 1: look at it and write \"1\"")?;
        let approved = self.scene.send("PATCH", &path, &approve("1"), olga).await?;
        is_stored(&approved)?;
        let stamp = approved.body["metadata"]["annotations"]["tetrarch.dev/approval"].as_str().unwrap_or("null");
        let stamp: Value = serde_json::from_str(stamp)?;
        ensure!(stamp["generation"] == 1 && stamp["by"] == "olga", "{}", approved.body["metadata"]);
        let changed = self.scene.send("PATCH", &path, &json!({"spec": {"replicas": 9}}), ADA).await?;
        is_stored(&changed)?;
        ensure!(
            changed.warnings.iter().any(|warning| warning.contains("nothing of generation 2 runs")),
            "not held again"
        );
        Ok(())
    }

    async fn a_refusal_leaves_an_event(&self) -> Result<()> {
        for _ in 0..50 {
            let events = self.cluster.kubectl(&["get", "events", "-n", "course", "-o", "json"])?;
            let events: Value = serde_json::from_str(&events)?;
            let is_told = |event: &Value| {
                event["reason"] == "Denied"
                    && event["involvedObject"]["name"] == "staying"
                    && event["message"]
                        .as_str()
                        .is_some_and(|note| note.starts_with("spec.replicas: is 30, but policy"))
            };
            if events["items"].as_array().is_some_and(|events| events.iter().any(is_told)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(anyhow::anyhow!("no Event tells of it"))
    }
}
