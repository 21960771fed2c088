//! The operator's view of the cluster: one watched store per kind, and what a change in it wakes.

pub mod children;
pub mod follow;
pub mod route;
pub mod trim;
pub mod watch;

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Namespace, Pod},
    },
};
use kube::{
    Resource, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::reflector::{Lookup, ObjectRef, Store, store::Writer},
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{hierarchy, object::Kind};

/// The metadata of a child object.
pub type Meta = PartialObjectMeta<DynamicObject>;

/// Kinds of children of which only the metadata is watched.
pub const META_KINDS: [Kind; 8] = [
    Kind::ResourceQuota,
    Kind::LimitRange,
    Kind::NetworkPolicy,
    Kind::RoleBinding,
    Kind::ServiceAccount,
    Kind::Service,
    Kind::PodDisruptionBudget,
    Kind::HorizontalPodAutoscaler,
];

/// What is known of the cluster. All lists are sorted by age or name, so that equal worlds read equal.
pub struct World {
    /// All Orchestrators.
    pub orchestrators: Store<Orchestrator>,
    /// All Domains.
    pub domains: Store<Domain>,
    /// All Supervisors.
    pub supervisors: Store<Supervisor>,
    /// All AgentPools.
    pub pools: Store<AgentPool>,
    /// All Workflows.
    pub workflows: Store<Workflow>,
    /// All Namespaces, whoever they belong to.
    pub namespaces: Store<Namespace>,
    /// Our Deployments.
    pub deployments: Store<Deployment>,
    /// Our pods, cut down to what is asked of them.
    pub pods: Store<Pod>,
    /// Our other children by kind.
    pub metas: BTreeMap<Kind, Store<Meta>>,
}

/// Where watches write what they see.
pub struct Writers {
    /// Of [`World::orchestrators`].
    pub orchestrators: Writer<Orchestrator>,
    /// Of [`World::domains`].
    pub domains: Writer<Domain>,
    /// Of [`World::supervisors`].
    pub supervisors: Writer<Supervisor>,
    /// Of [`World::pools`].
    pub pools: Writer<AgentPool>,
    /// Of [`World::workflows`].
    pub workflows: Writer<Workflow>,
    /// Of [`World::namespaces`].
    pub namespaces: Writer<Namespace>,
    /// Of [`World::deployments`].
    pub deployments: Writer<Deployment>,
    /// Of [`World::pods`].
    pub pods: Writer<Pod>,
    /// Of [`World::metas`].
    pub metas: BTreeMap<Kind, Writer<Meta>>,
}

impl World {
    /// An empty world and where to write what is seen.
    pub fn new() -> (Self, Writers) {
        let writers = Writers {
            orchestrators: Writer::default(),
            domains: Writer::default(),
            supervisors: Writer::default(),
            pools: Writer::default(),
            workflows: Writer::default(),
            namespaces: Writer::default(),
            deployments: Writer::default(),
            pods: Writer::default(),
            metas: META_KINDS.into_iter().map(|kind| (kind, Writer::new(kind.api_resource()))).collect(),
        };
        let world = Self {
            orchestrators: writers.orchestrators.as_reader(),
            domains: writers.domains.as_reader(),
            supervisors: writers.supervisors.as_reader(),
            pools: writers.pools.as_reader(),
            workflows: writers.workflows.as_reader(),
            namespaces: writers.namespaces.as_reader(),
            deployments: writers.deployments.as_reader(),
            pods: writers.pods.as_reader(),
            metas: writers.metas.iter().map(|(kind, writer)| (*kind, writer.as_reader())).collect(),
        };
        (world, writers)
    }

    /// Waits until every store holds what the cluster has. Returns false if the watches have ended.
    pub async fn wait_until_complete(&self) -> bool {
        for meta in self.metas.values() {
            if meta.wait_until_ready().await.is_err() {
                return false;
            }
        }
        self.orchestrators.wait_until_ready().await.is_ok()
            && self.domains.wait_until_ready().await.is_ok()
            && self.supervisors.wait_until_ready().await.is_ok()
            && self.pools.wait_until_ready().await.is_ok()
            && self.workflows.wait_until_ready().await.is_ok()
            && self.namespaces.wait_until_ready().await.is_ok()
            && self.deployments.wait_until_ready().await.is_ok()
            && self.pods.wait_until_ready().await.is_ok()
    }

    /// The Orchestrator with this name.
    pub fn orchestrator(&self, name: &str) -> Option<Arc<Orchestrator>> {
        self.orchestrators.get(&ObjectRef::new(name))
    }

    /// The Domain with this name.
    pub fn domain(&self, name: &str) -> Option<Arc<Domain>> {
        self.domains.get(&ObjectRef::new(name))
    }

    /// The Domains of an Orchestrator.
    pub fn domains_of(&self, orchestrator: &str) -> Vec<Arc<Domain>> {
        let of = |domain: &Domain| domain.spec.orchestrator_ref.name == orchestrator;
        sorted(self.domains.state().into_iter().filter(|domain| of(domain)).collect())
    }

    /// The Domain that a namespace belongs to.
    pub fn domain_of(&self, namespace: &str) -> Option<Arc<Domain>> {
        hierarchy::domain_of(namespace, &self.domains.state()).cloned()
    }

    /// The Orchestrator of a Domain.
    pub fn orchestrator_of(&self, domain: &Domain) -> Option<Arc<Orchestrator>> {
        self.orchestrator(&domain.spec.orchestrator_ref.name)
    }

    /// Other namespaces with a Supervisor of this name, sorted.
    pub fn supervisor_elsewhere(&self, name: Option<&str>, namespace: &str) -> Vec<String> {
        let Some(name) = name else { return Vec::new() };
        let mut found: Vec<String> = self
            .supervisors
            .state()
            .into_iter()
            .filter(|supervisor| supervisor.name_any() == name)
            .filter_map(|supervisor| supervisor.metadata.namespace.clone())
            .filter(|other| other != namespace)
            .collect();
        found.sort();
        found
    }

    /// The namespace with this name.
    pub fn namespace(&self, name: &str) -> Option<Arc<Namespace>> {
        self.namespaces.get(&ObjectRef::new(name))
    }

    /// Our Deployment with this name.
    pub fn deployment(&self, namespace: &str, name: &str) -> Option<Arc<Deployment>> {
        self.deployments.get(&ObjectRef::new(name).within(namespace))
    }

    /// Our pods in a namespace with these labels.
    pub fn pods(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<Arc<Pod>> {
        let has = |pod: &Pod| labels.iter().all(|(key, value)| pod.labels().get(key) == Some(value));
        sorted(in_namespace(&self.pods, namespace).into_iter().filter(|pod| has(pod)).collect())
    }

    /// The Supervisors in a namespace.
    pub fn supervisors_in(&self, namespace: &str) -> Vec<Arc<Supervisor>> {
        sorted(in_namespace(&self.supervisors, namespace))
    }

    /// The AgentPools in a namespace.
    pub fn pools_in(&self, namespace: &str) -> Vec<Arc<AgentPool>> {
        sorted(in_namespace(&self.pools, namespace))
    }

    /// The Workflows in a namespace.
    pub fn workflows_in(&self, namespace: &str) -> Vec<Arc<Workflow>> {
        sorted(in_namespace(&self.workflows, namespace))
    }
}

fn in_namespace<K>(store: &Store<K>, namespace: &str) -> Vec<Arc<K>>
where
    K: Lookup + Resource<Scope = NamespaceResourceScope> + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    store.state_filter(|object| object.meta().namespace.as_deref() == Some(namespace))
}

fn sorted<K: Resource>(mut objects: Vec<Arc<K>>) -> Vec<Arc<K>> {
    objects.sort_by(|a, b| (&a.meta().namespace, &a.meta().name).cmp(&(&b.meta().namespace, &b.meta().name)));
    objects
}
