//! Rung 4: the negative control of the fault tests. A sidecar without one protection runs through the same death of the bus, and the
//! check of the journal must notice; with the sound sidecar it must find nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tetrarch_testkit::cluster::{Cluster, until};
use tetrarch_tests::{
    department::Department,
    journal::{self, Account, Violation},
};

const SOON: Duration = Duration::from_mins(3);
const SYSTEM: &str = "tetrarch-system";

/// Tasks of one run, and how long an agent sleeps over each: the bus dies in the middle of them.
const TASKS: i64 = 600;
const MILLIS: u64 = 40;

/// Runs in which the loss of the protection may stay hidden, because the bus had stored everything when it died.
const ROUNDS: usize = 6;

/// A department whose agents the test starts itself, with a sidecar of its choice.
struct Control<'a> {
    cluster: &'a Cluster,
    department: Department,
}

impl<'a> Control<'a> {
    async fn new(cluster: &'a Cluster) -> Result<Self> {
        let department = Department::new("control");
        cluster.apply(&department.domain())?;
        cluster.until_condition("domain", None, &department.name, ("Ready", "True"), SOON).await?;
        cluster.apply(&department.supervisor(1))?;
        cluster.apply(&department.pool(0, &json!({"concurrency": 8})))?;
        let namespace = Some(department.name.as_str());
        cluster.until_condition("agentpool", namespace, "scripted", ("Ready", "True"), SOON).await?;
        cluster.until_condition("supervisor", namespace, "work", ("Ready", "True"), SOON).await?;
        let items: Vec<i64> = (0..TASKS).collect();
        let task = json!({"agent": {"pool": "scripted"}, "input": {"behave": "sleep", "millis": MILLIS, "n": "${item}"}, "timeout": "30s"});
        let steps = json!([{"name": "many", "map": {"items": items, "task": task, "reduce": {"builtin": "Collect"}}}]);
        cluster.apply(&department.workflow("many", &steps, &json!({"start": "OnRequest"})))?;
        Ok(Self { cluster, department })
    }

    /// Starts two agents like those of the pool, with another sidecar if one is named, in place of the ones before.
    fn start_agents(&self, sidecar: Option<&str>) -> Result<()> {
        let namespace = &self.department.name;
        self.cluster.kubectl(&[
            "delete",
            "deployment",
            "control",
            "-n",
            namespace,
            "--ignore-not-found",
            "--cascade=foreground",
            "--timeout=60s",
        ])?;
        let pool = self
            .cluster
            .get("deployment", Some(namespace), "scripted-agents")?
            .context("the pool has no Deployment")?;
        let mut template = pool["spec"]["template"].clone();
        // Not the labels of the pool: its Deployment would take the pods for its own, and the webhook refuses such pods of strangers.
        template["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "control"});
        if let Some(image) = sidecar {
            template["spec"]["initContainers"][0]["image"] = json!(image);
        }
        let labels = json!({"app.kubernetes.io/instance": "control"});
        self.cluster.apply(
            &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "control", "namespace": namespace},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}})
            .to_string(),
        )?;
        self.cluster.kubectl(&["rollout", "status", "deployment/control", "-n", namespace, "--timeout=120s"])?;
        Ok(())
    }

    fn run(&self) -> Result<Value> {
        let object =
            self.cluster.get("workflow", Some(&self.department.name), "many")?.context("the Workflow is gone")?;
        Ok(object["status"]["run"].clone())
    }

    /// Runs the map, kills the bus in the middle and checks the journal when the run has ended.
    async fn round(&self, request: &str) -> Result<Result<Account, Vec<Violation>>> {
        let (cluster, namespace) = (self.cluster, self.department.name.as_str());
        let wish = format!("tetrarch.dev/run={request}");
        cluster.kubectl(&["annotate", "workflow", "many", "-n", namespace, "--overwrite", &wish])?;
        let is_mine = |run: &Value| run["id"].as_str().is_some_and(|id| id.ends_with(request));
        until("run in the middle", SOON, || async {
            let run = self.run()?;
            let done = run["steps"][0]["succeeded"].as_i64().unwrap_or_default();
            Ok(if is_mine(&run) && done > TASKS / 10 { Ok(()) } else { Err(run.to_string()) })
        })
        .await?;
        let bus = cluster.pods(SYSTEM, "app.kubernetes.io/component=nats")?;
        cluster.kill_container(SYSTEM, bus.first().context("no bus to kill")?, "nats")?;
        until("finished run", SOON, || async {
            let run = self.run()?;
            Ok(if is_mine(&run) && run["phase"] == "Succeeded" { Ok(()) } else { Err(run.to_string()) })
        })
        .await?;
        let printed = until("journal", SOON, || async {
            Ok(cluster.plugin(&["journal", "many", "-n", namespace]).map_err(|error| format!("{error:#}")))
        })
        .await?;
        Ok(journal::check(&printed))
    }
}

#[tokio::test]
async fn a_sidecar_that_stores_results_twice_is_caught_and_the_sound_one_is_not() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let control = Control::new(&cluster).await?;

    control.start_agents(None)?;
    let account = control.round("sound").await?.map_err(|violations| {
        anyhow::anyhow!("the sound sidecar breaks {} promises, the first: {:?}", violations.len(), violations.first())
    })?;
    println!("sound sidecar: {account:?}");

    control.start_agents(Some("tetrarch/broken-sidecar:dev"))?;
    let mut caught = Vec::new();
    for round in 1..=ROUNDS {
        if let Err(violations) = control.round(&format!("broken-{round}")).await? {
            println!(
                "broken sidecar, run {round}: {} violations, the first: {:?}",
                violations.len(),
                violations.first()
            );
            caught = violations;
            break;
        }
    }
    ensure!(!caught.is_empty(), "{ROUNDS} runs with a broken sidecar and the check noticed nothing: it is blind");
    // Exactly what was taken away, and nothing else.
    let expected =
        |violation: &Violation| matches!(violation, Violation::SeveralResults(..) | Violation::SucceededTwice(..));
    ensure!(caught.iter().all(expected), "other promises are broken too: {caught:?}");
    cluster.kubectl(&["delete", "domain", &control.department.name, "--timeout=120s"])?;
    Ok(())
}
