//! Rung 3: many writers race for the last capacity on three levels, admitted by three replicas of the webhook. No stored
//! version overbooks a level, and exactly as much is stored as fits.

mod careless;
mod history;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_testkit::cluster::{Cluster, until};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use tetrarch_tests::replicas::{NAMESPACE, Replicas};

use self::history::History;

/// One test at a time: two operators would reconcile the same objects.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Requests at the same time.
const AT_ONCE: usize = 200;

/// What a writer reads when the ledger could not be written for seconds, as on a machine that is busy with other things.
const TRY_AGAIN: &str = "cannot be booked right now";

/// How long writers go on who were told to try again. What was booked for a request that got no answer is free only after
/// the longest life of a request.
const PATIENCE: Duration = Duration::from_mins(3);

fn object(kind: &str, namespace: Option<&str>, name: &str, spec: &Value) -> Value {
    let mut object =
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// The hierarchy of one test: all names begin with the test's.
struct Race<'a> {
    client: Client,
    name: &'a str,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Tally {
    stored: BTreeMap<&'static str, usize>,
    refusals: Vec<String>,
    /// How many were told to try again.
    unavailable: usize,
}

impl Race<'_> {
    fn domain_name(&self) -> String {
        format!("{}-full", self.name)
    }

    fn domain(&self, name: &str, agents: u32) -> Value {
        let spec = json!({"orchestratorRef": {"name": self.name}, "quota": {"agents": agents}});
        object("Domain", None, name, &spec)
    }

    fn supervisor(&self, name: &str, agents: u32) -> Value {
        object("Supervisor", Some(&self.domain_name()), name, &json!({"quota": {"agents": agents}}))
    }

    fn pool(&self, name: &str, agents: u32) -> Value {
        let spec =
            json!({"supervisorRef": {"name": "full"}, "agent": {"image": "a.example/agent:1"}, "replicas": agents});
        object("AgentPool", Some(&self.domain_name()), name, &spec)
    }

    async fn create(&self, object: Value) -> Result<(), kube::Error> {
        let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        let resource = match object.types.as_ref().map(|types| types.kind.as_str()) {
            Some("Orchestrator") => ApiResource::erase::<Orchestrator>(&()),
            Some("Domain") => ApiResource::erase::<Domain>(&()),
            Some("Supervisor") => ApiResource::erase::<Supervisor>(&()),
            _ => ApiResource::erase::<AgentPool>(&()),
        };
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        api.create(&PostParams::default(), &object).await.map(drop)
    }

    /// Waits until every replica knows the parents that were just made.
    async fn create_soon(&self, object: Value) -> Result<()> {
        until(&object["metadata"]["name"].to_string(), Duration::from_mins(1), || async {
            Ok(self.create(object.clone()).await.map_err(|error| error.to_string()))
        })
        .await
    }

    /// Waits for a refusal that says so.
    async fn refused_soon(&self, object: Value, says: &str) -> Result<()> {
        until(&format!("a refusal with {says:?}"), Duration::from_mins(1), || async {
            match self.create(object.clone()).await {
                Ok(()) => bail!("{object} was let through"),
                Err(error) => Ok(Some(error.to_string()).filter(|text| !text.contains(says)).map_or(Ok(()), Err)),
            }
        })
        .await
    }

    /// Without a bus the operator gets no further than the Domain's account.
    async fn open_namespace(&self) -> Result<()> {
        let labels = json!({"tetrarch.dev/domain": self.domain_name()});
        let namespace = json!({"metadata": {"name": self.domain_name(), "labels": labels}});
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        Ok(())
    }

    fn orchestrator(&self, agents: u32) -> Value {
        let hierarchy =
            json!({"depth": 4, "maxDomains": 1000, "maxSupervisorsPerDomain": 1000, "maxAgentsPerSupervisor": 1000});
        let spec = json!({"hierarchy": hierarchy, "capacity": {"agents": agents}});
        object("Orchestrator", None, self.name, &spec)
    }

    /// 100 agents; 50 of them belong to a Domain, and 20 of those to a Supervisor.
    async fn prepare(&self) -> Result<()> {
        self.create_soon(self.orchestrator(100)).await?;
        self.create_soon(self.domain(&self.domain_name(), 50)).await?;
        self.open_namespace().await?;
        self.create_soon(self.supervisor("full", 20)).await?;
        // Known to all replicas: each of several in a row is admitted, whoever is asked.
        for probe in 0..12 {
            let name = format!("probe-{probe}");
            self.create_soon(self.pool(&name, 0)).await?;
        }
        Ok(())
    }

    /// All requests at once: on each level more than fit. When some are told to try again, they and those that were refused
    /// beside them do so until `expected` is stored and nobody is told so any more; otherwise each is made once.
    async fn run(&self, wave: &str, expected: &BTreeMap<&'static str, usize>) -> Tally {
        let mut requests: Vec<(&'static str, Value)> = Vec::new();
        for index in 0..80 {
            requests.push(("AgentPool", self.pool(&format!("{wave}-{index}"), 1)));
            if index < 60 {
                requests.push(("Supervisor", self.supervisor(&format!("{wave}-{index}"), 3)));
                requests.push(("Domain", self.domain(&format!("{}-{wave}-{index}", self.name), 5)));
            }
        }
        let mut tally = Tally::default();
        let patience = Instant::now() + PATIENCE;
        loop {
            let results = requests
                .drain(..)
                .map(|(kind, object)| async move { (kind, self.create(object.clone()).await, object) });
            let results: Vec<_> = stream::iter(results).buffer_unordered(AT_ONCE).collect().await;
            tally.refusals.clear();
            for (kind, result, object) in results {
                match result {
                    Ok(()) => *tally.stored.entry(kind).or_default() += 1,
                    Err(error) => {
                        tally.refusals.push(error.to_string());
                        requests.push((kind, object));
                    }
                }
            }
            let unavailable = tally.refusals.iter().filter(|refusal| refusal.contains(TRY_AGAIN)).count();
            tally.unavailable += unavailable;
            let is_all = expected.iter().all(|(kind, count)| tally.stored.get(kind) >= Some(count));
            let is_settled = unavailable == 0 && (tally.unavailable == 0 || is_all);
            if is_settled || Instant::now() >= patience {
                return tally;
            }
            sleep(Duration::from_secs(2)).await;
        }
    }
}

/// A name that an earlier run against the same cluster did not have.
fn unique(name: &str) -> String {
    format!("{name}-{}", jiff::Timestamp::now().as_second() % 1_000_000)
}

async fn caught_up(client: &Client, history: &History) -> Result<()> {
    let pools: Api<AgentPool> = Api::all(client.clone());
    let list = pools.list(&ListParams::default()).await?;
    let newest =
        list.items.iter().filter_map(|pool| pool.metadata.resource_version.as_ref()?.parse::<u64>().ok()).max();
    until("the history to catch up", Duration::from_mins(2), || async {
        Ok(if history.newest() >= newest.unwrap_or_default() { Ok(()) } else { Err(history.newest().to_string()) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_race_for_the_last_capacity_get_all_of_it_and_nothing_more() -> Result<()> {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::connect().await?;
    let name = &unique("capacity-race");
    let replicas = Replicas::start(&cluster, 3, &[]).await?;
    let race = Race { client: cluster.client.clone(), name };
    race.prepare().await?;
    let history = History::begin(&cluster.client).await?;

    let expected = BTreeMap::from([("AgentPool", 20), ("Supervisor", 10), ("Domain", 10)]);
    let tally = race.run("first", &expected).await;
    ensure!(tally.stored == expected, "{tally:#?}");
    for refusal in &tally.refusals {
        let says = refusal.contains("more agents, but") && refusal.contains("left: ask for no more than that");
        ensure!(says, "refused for another reason: {refusal}");
    }

    // What is given back can be had again, exactly.
    let pools: Api<AgentPool> = Api::namespaced(cluster.client.clone(), &race.domain_name());
    let stored = pools.list(&ListParams::default()).await?.items;
    let first = stored.iter().filter_map(|pool| pool.metadata.name.clone()).filter(|name| name.starts_with("first-"));
    for pool in first.take(7) {
        pools.delete(&pool, &DeleteParams::default()).await?;
    }
    let expected = BTreeMap::from([("AgentPool", 7)]);
    let tally = race.run("second", &expected).await;
    ensure!(tally.stored == expected, "{tally:#?}");

    caught_up(&cluster.client, &history).await?;
    ensure!(history.len() > 50, "the history holds {} versions only", history.len());
    let overbooked = history.overbooked(name);
    ensure!(overbooked.is_empty(), "{overbooked:#?}");

    let status: Value = until("the status of the Supervisor", Duration::from_mins(2), || async {
        let object = cluster.get("supervisor", Some(&race.domain_name()), "full")?.context("is gone")?;
        let usage = object["status"]["capacity"][0].clone();
        Ok(if usage["booked"] == "20" { Ok(usage) } else { Err(object["status"].to_string()) })
    })
    .await?;
    ensure!(status["resource"] == "agents" && status["quota"] == "20", "{status}");

    // A ledger that is lost is made again from what exists.
    let ledgers: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let ledger = format!("tetrarch-capacity-{name}");
    let lost = ledgers.get(&ledger).await?.metadata.uid;
    ledgers.delete(&ledger, &DeleteParams::default()).await?;
    until("a new ledger", Duration::from_secs(90), || async {
        let found = ledgers.get_opt(&ledger).await?.and_then(|found| found.metadata.uid);
        Ok(if found.is_some() && found != lost { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    race.refused_soon(race.pool("third", 1), "has 0 of 20 left").await?;
    replicas.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_counts_and_what_goes_beyond_a_quota_is_recorded() -> Result<()> {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::connect().await?;
    let name = &unique("capacity-record");
    let replicas = Replicas::start(&cluster, 2, &[]).await?;
    let race = Race { client: cluster.client.clone(), name };

    // Nobody could book the Domain when it was made.
    race.create_soon(race.domain(&race.domain_name(), 30)).await?;
    race.refused_soon(race.orchestrator(20), "30 agents are booked under it").await?;
    race.create_soon(race.orchestrator(40)).await?;
    race.open_namespace().await?;

    let quota = json!({"quota": {"agents": 2, "whenExceeded": "Escalate"}});
    race.create_soon(object("Supervisor", Some(&race.domain_name()), "full", &quota)).await?;
    race.create_soon(race.pool("classifier", 5)).await?;
    race.refused_soon(race.pool("too-many", 26), "has 25 of 30 left").await?;
    let namespace = race.domain_name();
    for (kind, namespace, name) in
        [("supervisor", Some(namespace.as_str()), "full"), ("domain", None, namespace.as_str())]
    {
        let record = until("the record of the escalation", Duration::from_mins(2), || async {
            let object = cluster.get(kind, namespace, name)?.context("is gone")?;
            let record = object["status"]["escalations"][0].clone();
            Ok(if record.is_object() { Ok(record) } else { Err(object["status"].to_string()) })
        })
        .await?;
        ensure!(record["amount"] == "3" && record["resource"] == "agents", "{record}");
        let says = |field: &str, text: &str| record[field].as_str().is_some_and(|value| value.contains(text));
        ensure!(says("object", "classifier") && says("grantedBy", &race.domain_name()), "{record}");
    }
    let expected = [
        ("orchestrator", None, name.as_str(), json!({"resource": "agents", "quota": "40", "booked": "30"})),
        ("domain", None, &namespace, json!({"resource": "agents", "quota": "30", "booked": "5"})),
        (
            "supervisor",
            Some(namespace.as_str()),
            "full",
            json!({"resource": "agents", "quota": "2", "booked": "5", "escalated": "3"}),
        ),
        (
            "agentpool",
            Some(namespace.as_str()),
            "classifier",
            json!({"resource": "agents", "booked": "5", "perAgent": "1"}),
        ),
    ];
    for (kind, namespace, name, expected) in expected {
        until(&format!("the capacity of {kind} {name}"), Duration::from_mins(2), || async {
            let object = cluster.get(kind, namespace, name)?.context("is gone")?;
            let usages = object["status"]["capacity"].as_array().cloned().unwrap_or_default();
            Ok(if usages.contains(&expected) { Ok(()) } else { Err(object["status"].to_string()) })
        })
        .await?;
    }
    until("the Event", Duration::from_mins(2), || async {
        let events = cluster.kubectl(&["get", "events", "-n", &namespace, "-o", "wide"])?;
        Ok(if events.contains("CapacityEscalated") { Ok(()) } else { Err(events) })
    })
    .await?;
    replicas.end().await
}

/// The last one by name: what it overbooks stays behind, and its replicas would be busy with it.
#[tokio::test(flavor = "multi_thread")]
async fn writers_without_the_precondition_of_the_ledger_overbook_in_the_same_race() -> Result<()> {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::connect().await?;
    let name = &unique("capacity-careless");
    let replicas = Replicas::start_with(&cluster, 3, &[], careless::client).await?;
    let race = Race { client: cluster.client.clone(), name };
    race.prepare().await?;
    let history = History::begin(&cluster.client).await?;
    let tally = race.run("first", &BTreeMap::new()).await;
    caught_up(&cluster.client, &history).await?;
    ensure!(!history.overbooked(name).is_empty(), "the check for overbooking finds nothing: {tally:#?}");
    replicas.end().await
}
