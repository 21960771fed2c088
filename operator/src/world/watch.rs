//! Starts the watches that keep the view of the cluster up to date.

use std::{fmt::Debug, sync::Arc};

use futures::{StreamExt, future};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, Resource,
    api::ApiResource,
    core::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{conditions::HasConditions, names};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{World, Writers, follow, seen::Sight, trim};
use crate::{capacity::sightings::Booked, queue::Queue, telemetry::metrics::Metrics, webhook::hierarchy::Governed};

/// What the watches need.
#[derive(Clone)]
pub struct Watching {
    /// The API server.
    pub client: Client,
    /// Counts interrupted watches.
    pub metrics: Metrics,
    /// Takes what a change wakes.
    pub queue: Queue,
    /// What is known of the cluster.
    pub world: Arc<World>,
    /// Ends the watches.
    pub cancel: CancellationToken,
}

/// Objects that the operator made.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY))
}

impl Watching {
    /// Starts all watches; they run until cancelled.
    pub fn start(self, writers: Writers) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        self.own::<Orchestrator>(&mut tasks, writers.orchestrators, World::route_orchestrator);
        self.own::<Domain>(&mut tasks, writers.domains, World::route_domain);
        self.own::<Supervisor>(&mut tasks, writers.supervisors, World::route_supervisor);
        self.own::<AgentPool>(&mut tasks, writers.pools, World::route_pool);
        self.own::<Workflow>(&mut tasks, writers.workflows, World::route_workflow);
        self.child::<Namespace>(
            &mut tasks,
            writers.namespaces,
            watcher::Config::default(),
            trim::metadata,
            World::route_namespace,
        );
        self.child::<Deployment>(&mut tasks, writers.deployments, ours(), trim::deployment, World::route_child);
        self.child::<Pod>(&mut tasks, writers.pods, ours(), trim::pod, World::route_pod);
        for (kind, writer) in writers.metas {
            let api: Api<super::Meta> = Api::all_with(self.client.clone(), &kind.api_resource());
            let stream = watcher(api, ours()).default_backoff().modify(trim::metadata);
            let this = self.clone();
            tasks.spawn(async move {
                let (queue, world) = (this.queue, this.world);
                let changed = |old: Option<&super::Meta>, new: Option<&super::Meta>| {
                    queue.wake_all(world.route_child(old, new));
                };
                follow::follow(
                    (kind.as_str(), kind.api_resource()),
                    stream,
                    writer,
                    this.metrics,
                    this.cancel,
                    changed,
                )
                .await;
            });
        }
        tasks
    }

    /// Watches a kind of our own.
    fn own<K>(
        &self,
        tasks: &mut JoinSet<()>,
        writer: Sight<K>,
        route: fn(&World, Option<&K>, Option<&K>) -> Vec<crate::target::Target>,
    ) where
        K: Booked + Governed + HasConditions + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    {
        let kind = kind_of::<K>();
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        let this = self.clone();
        let metrics = self.metrics.clone();
        let stream = watcher(api, watcher::Config::default()).default_backoff().modify(trim::metadata).filter_map(
            move |event| {
                future::ready(match event {
                    Ok(event) => follow::readable::<K>(kind, &metrics, event).map(Ok),
                    Err(error) => Some(Err(error)),
                })
            },
        );
        tasks.spawn(async move {
            let (queue, world) = (this.queue, this.world);
            let changed = |old: Option<&K>, new: Option<&K>| {
                world.sightings.note(old, new);
                queue.wake_all(route(&world, old, new));
            };
            follow::follow((kind, ()), stream, writer, this.metrics, this.cancel, changed).await;
        });
    }

    /// Watches a kind of Kubernetes.
    fn child<K>(
        &self,
        tasks: &mut JoinSet<()>,
        writer: Sight<K>,
        config: watcher::Config,
        trim: fn(&mut K),
        route: fn(&World, Option<&K>, Option<&K>) -> Vec<crate::target::Target>,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    {
        let stream = watcher(Api::<K>::all(self.client.clone()), config).default_backoff().modify(trim);
        let this = self.clone();
        tasks.spawn(async move {
            let (queue, world) = (this.queue, this.world);
            let changed = |old: Option<&K>, new: Option<&K>| queue.wake_all(route(&world, old, new));
            follow::follow((kind_of::<K>(), ()), stream, writer, this.metrics, this.cancel, changed).await;
        });
    }
}

/// The kind's name; every kind of ours and of `k8s_openapi` has it as a constant text.
fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(kind) => kind,
        std::borrow::Cow::Owned(_) => "other",
    }
}
