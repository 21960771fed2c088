//! A cluster in memory around the controllers: stores that are filled from a fake API server, and what the cluster's own
//! controllers would do.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use kube::{
    Resource,
    runtime::{
        events::{Recorder, Reporter},
        reflector::{Lookup, ObjectRef},
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_operator::{
    capacity::lead::Ledgers,
    clock::Clock,
    context::Context,
    controllers::{Reconciled, backoff::Backoff, reconcile},
    enact::applied::Applied,
    observe::Reports,
    queue::Queue,
    target::Target,
    telemetry::metrics::Metrics,
    world::{World, Writers, seen::Sight},
};
use tetrarch_plan::{admit::Index, names, object::Kind, settings};
use tetrarch_testkit::fake_api::{FakeApi, Write};

use super::bus::FakeBus;

/// Rounds after which a world that still changes counts as never settling.
const MOST_ROUNDS: usize = 40;

/// A process of the operator and its cluster.
pub struct Harness {
    pub api: FakeApi,
    pub bus: Arc<FakeBus>,
    context: Arc<Context>,
    writers: Writers,
}

impl Harness {
    /// An empty cluster.
    pub fn new() -> Self {
        Self::over(FakeApi::default(), Arc::default())
    }

    /// Another process over the same cluster.
    pub fn restart(&mut self) {
        *self = Self::over(self.api.clone(), self.bus.clone());
    }

    fn over(api: FakeApi, bus: Arc<FakeBus>) -> Self {
        let (world, writers) = World::new(Index::default());
        let metrics = Metrics::new();
        let client = api.client();
        let reporter = Reporter { controller: "test".to_owned(), instance: None };
        let context = Context {
            bus: bus.clone(),
            world: Arc::new(world),
            applied: Applied::default(),
            reports: Reports::default(),
            ledgers: Ledgers::default(),
            backoff: Backoff::default(),
            queue: Queue::new(metrics.clone()),
            recorder: Recorder::new(client.clone(), reporter),
            clock: Clock::from_fn(|| Timestamp::from_second(1_800_000_000).unwrap()),
            settings: Arc::new(settings::Settings {
                operator_namespace: "tetrarch".to_owned(),
                bus: settings::Bus::from_url("tls://tetrarch-nats.tetrarch.svc:4222"),
                supervisor_image: "tetrarch/supervisor:dev".to_owned(),
                sidecar_image: "tetrarch/agent-sidecar:dev".to_owned(),
                image_pull_policy: tetrarch_crds::agent_pool::ImagePullPolicy::IfNotPresent,
                log_filter: "info".to_owned(),
            }),
            metrics,
            client,
        };
        Self { api, bus, context: Arc::new(context), writers }
    }

    /// Reconciles everything once, as often as objects appear; failures are told.
    pub async fn round(&mut self) -> Vec<String> {
        let mut failures = Vec::new();
        self.sync();
        for target in self.context.world.everything() {
            self.sync();
            if let Err(error) = self.reconcile(&target).await {
                failures.push(format!("{target}: {error}"));
            }
        }
        self.sync();
        failures
    }

    /// Reconciles and lets the cluster work until nothing is written any more; says what was written.
    pub async fn settle(&mut self) -> Vec<Write> {
        let mut all = Vec::new();
        for _ in 0..MOST_ROUNDS {
            self.round().await;
            let cluster_moved = self.cluster_works();
            let writes = self.api.take_writes();
            if writes.is_empty() && !cluster_moved {
                return all;
            }
            all.extend(writes);
        }
        panic!("never settles; last writes: {all:?}");
    }

    async fn reconcile(&self, target: &Target) -> Result<(), reconcile::Error> {
        match target {
            Target::Orchestrator(_) => self.one::<Orchestrator>(target).await,
            Target::Domain(_) => self.one::<Domain>(target).await,
            Target::Supervisor(..) => self.one::<Supervisor>(target).await,
            Target::AgentPool(..) => self.one::<AgentPool>(target).await,
            Target::Workflow(..) => self.one::<Workflow>(target).await,
        }
    }

    async fn one<K>(&self, target: &Target) -> Result<(), reconcile::Error>
    where
        K: Reconciled + Lookup<DynamicType = ()>,
    {
        let reference = ObjectRef::<K>::new(target.name());
        let reference = target.namespace().map_or(reference.clone(), |namespace| reference.within(namespace));
        match K::store(&self.context.world).get(&reference) {
            Some(object) => reconcile::reconcile(object, self.context.clone()).await.map(drop),
            None => Ok(()),
        }
    }

    /// What the watches would have told.
    fn sync(&mut self) {
        let ours = |object: &Value| object["metadata"]["labels"][names::LABEL_MANAGED_BY] == names::MANAGED_BY;
        let all = |_: &Value| true;
        let api = self.api.clone();
        fill(&api, &mut self.writers.orchestrators, &(), "orchestrators", all);
        fill(&api, &mut self.writers.domains, &(), "domains", all);
        fill(&api, &mut self.writers.supervisors, &(), "supervisors", all);
        fill(&api, &mut self.writers.pools, &(), "agentpools", all);
        fill(&api, &mut self.writers.workflows, &(), "workflows", all);
        fill(&api, &mut self.writers.namespaces, &(), "namespaces", all);
        fill(&api, &mut self.writers.deployments, &(), "deployments", ours);
        fill(&api, &mut self.writers.pods, &(), "pods", ours);
        for (kind, writer) in &mut self.writers.metas {
            fill(&api, writer, &kind.api_resource(), &plural(*kind), ours);
        }
    }

    /// What the cluster's own controllers do: Deployments become ready, namespaces in deletion are emptied, orphans go.
    /// Says whether something changed.
    fn cluster_works(&self) -> bool {
        let before = self.api.end_state();
        for deployment in self.api.list("deployments") {
            let mut ready = deployment.clone();
            let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
            ready["status"] = json!({
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
                "conditions": [{"type": "Available", "status": "True"}],
            });
            self.api.put("deployments", &ready);
        }
        self.api.collect_garbage();
        self.api.end_state() != before
    }
}

/// Plural of a kind, as in URLs.
pub fn plural(kind: Kind) -> String {
    kind.api_resource().plural
}

fn fill<K>(
    api: &FakeApi,
    sight: &mut Sight<K>,
    dynamic_type: &<K as Lookup>::DynamicType,
    plural: &str,
    wanted: impl Fn(&Value) -> bool,
) where
    K: Lookup + Resource<DynamicType = <K as Lookup>::DynamicType> + DeserializeOwned + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + std::hash::Hash + Clone,
{
    let ignore = |_: Option<&K>, _: Option<&K>| {};
    sight.take(dynamic_type, &Event::Init, ignore);
    for object in api.list(plural).into_iter().filter(wanted) {
        sight.take(dynamic_type, &Event::InitApply(serde_json::from_value(object).unwrap()), ignore);
    }
    sight.take(dynamic_type, &Event::InitDone, ignore);
}

/// The different writes.
pub fn distinct(writes: &[Write]) -> BTreeSet<String> {
    writes.iter().map(ToString::to_string).collect()
}
