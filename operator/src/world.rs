//! The operator's view of the cluster: one watched store per kind, and what a change in it wakes.

pub mod children;
pub mod follow;
pub mod route;
pub mod seen;
pub mod trim;
pub mod watch;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{
    Resource, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::reflector::ObjectRef,
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{
    admit::Index,
    hierarchy,
    names::{self, Component},
    object::Kind,
};

use self::seen::{Group, Seen, Sight, seen};
use crate::{capacity::sightings::Sightings, webhook::hierarchy::Hierarchy};

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
    pub orchestrators: Seen<Orchestrator>,
    /// All Domains.
    pub domains: Seen<Domain>,
    /// All Supervisors.
    pub supervisors: Seen<Supervisor>,
    /// All AgentPools.
    pub pools: Seen<AgentPool>,
    /// All Workflows.
    pub workflows: Seen<Workflow>,
    /// All Namespaces, whoever they belong to.
    pub namespaces: Seen<Namespace>,
    /// Our Deployments.
    pub deployments: Seen<Deployment>,
    /// Our pods, cut down to what is asked of them.
    pub pods: Seen<Pod>,
    /// Our other children by kind.
    pub metas: BTreeMap<Kind, Seen<Meta>>,
    /// What was seen to go and to change, for the capacity ledgers.
    pub sightings: Sightings,
    /// The hierarchy as decisions about policies read it. It is never behind the rest.
    pub hierarchy: Hierarchy,
}

/// Where watches write what they see.
pub struct Writers {
    /// Of [`World::orchestrators`].
    pub orchestrators: Sight<Orchestrator>,
    /// Of [`World::domains`].
    pub domains: Sight<Domain>,
    /// Of [`World::supervisors`].
    pub supervisors: Sight<Supervisor>,
    /// Of [`World::pools`].
    pub pools: Sight<AgentPool>,
    /// Of [`World::workflows`].
    pub workflows: Sight<Workflow>,
    /// Of [`World::namespaces`].
    pub namespaces: Sight<Namespace>,
    /// Of [`World::deployments`].
    pub deployments: Sight<Deployment>,
    /// Of [`World::pods`].
    pub pods: Sight<Pod>,
    /// Of [`World::metas`].
    pub metas: BTreeMap<Kind, Sight<Meta>>,
}

impl World {
    /// An empty world and where to write what is seen, which `index` follows.
    pub fn new(index: Index) -> (Self, Writers) {
        let hierarchy = Hierarchy::new(index);
        let (orchestrators, see_orchestrators) = seen((), |_| Vec::new());
        let (domains, see_domains) = seen((), groups_of_domain);
        let (supervisors, see_supervisors) = seen((), by_namespace);
        let (pools, see_pools) = seen((), by_namespace);
        let (workflows, see_workflows) = seen((), by_namespace);
        let (namespaces, see_namespaces) = seen((), |_| Vec::new());
        let (deployments, see_deployments) = seen((), children::groups_of);
        let (pods, see_pods) = seen((), groups_of_pod);
        let of_kinds = META_KINDS.into_iter().map(|kind| (kind, seen(kind.api_resource(), children::groups_of)));
        let (metas, see_metas) = of_kinds.map(|(kind, (seen, sight))| ((kind, seen), (kind, sight))).unzip();
        let writers = Writers {
            orchestrators: see_orchestrators.told_to(hierarchy.listener()),
            domains: see_domains.told_to(hierarchy.listener()),
            supervisors: see_supervisors.told_to(hierarchy.listener()),
            pools: see_pools.told_to(hierarchy.listener()),
            workflows: see_workflows.told_to(hierarchy.listener()),
            namespaces: see_namespaces,
            deployments: see_deployments,
            pods: see_pods,
            metas: see_metas,
        };
        let world = Self {
            orchestrators,
            domains,
            supervisors,
            pools,
            workflows,
            namespaces,
            deployments,
            pods,
            metas,
            sightings: Sightings::default(),
            hierarchy,
        };
        (world, writers)
    }

    /// Waits until everything that the cluster has was seen. Returns false if the watches have ended.
    pub async fn wait_until_complete(&self) -> bool {
        for meta in self.metas.values() {
            if meta.wait_until_complete().await.is_err() {
                return false;
            }
        }
        self.orchestrators.wait_until_complete().await.is_ok()
            && self.domains.wait_until_complete().await.is_ok()
            && self.supervisors.wait_until_complete().await.is_ok()
            && self.pools.wait_until_complete().await.is_ok()
            && self.workflows.wait_until_complete().await.is_ok()
            && self.namespaces.wait_until_complete().await.is_ok()
            && self.deployments.wait_until_complete().await.is_ok()
            && self.pods.wait_until_complete().await.is_ok()
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
        self.domains.of(&Group::Orchestrator(orchestrator.to_owned()))
    }

    /// The Domain that a namespace belongs to.
    pub fn domain_of(&self, namespace: &str) -> Option<Arc<Domain>> {
        hierarchy::domain_of(namespace, &self.domains_that_claim(namespace)).cloned()
    }

    /// The Domains that claim a namespace.
    pub fn domains_that_claim(&self, namespace: &str) -> Vec<Arc<Domain>> {
        self.domains.of(&here(namespace))
    }

    /// The Orchestrator of a Domain.
    pub fn orchestrator_of(&self, domain: &Domain) -> Option<Arc<Orchestrator>> {
        self.orchestrator(&domain.spec.orchestrator_ref.name)
    }

    /// Other namespaces with a Supervisor of this name, sorted. Nobody asks for them where there is one in the namespace
    /// itself, so they are not looked for then.
    pub fn supervisor_elsewhere(&self, name: Option<&str>, namespace: &str) -> Vec<String> {
        let Some(name) = name else { return Vec::new() };
        if self.supervisors.get(&ObjectRef::new(name).within(namespace)).is_some() {
            return Vec::new();
        }
        let mut found: Vec<String> = self
            .supervisors
            .state()
            .into_iter()
            .filter(|supervisor| supervisor.name_any() == name)
            .filter_map(|supervisor| supervisor.metadata.namespace.clone())
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

    /// Our pods of one runtime: of the Supervisor or pool with this name.
    pub fn pods(&self, namespace: &str, component: Component, instance: &str) -> Vec<Arc<Pod>> {
        let mut labels = names::selector(component, instance);
        self.pods.of(&Group::Runtime {
            namespace: namespace.to_owned(),
            component: component.as_str().to_owned(),
            instance: labels.remove(names::LABEL_INSTANCE).unwrap_or_default(),
        })
    }

    /// The Supervisors in a namespace.
    pub fn supervisors_in(&self, namespace: &str) -> Vec<Arc<Supervisor>> {
        self.supervisors.of(&here(namespace))
    }

    /// The AgentPools in a namespace.
    pub fn pools_in(&self, namespace: &str) -> Vec<Arc<AgentPool>> {
        self.pools.of(&here(namespace))
    }

    /// The Workflows in a namespace.
    pub fn workflows_in(&self, namespace: &str) -> Vec<Arc<Workflow>> {
        self.workflows.of(&here(namespace))
    }
}

fn here(namespace: &str) -> Group {
    Group::Namespace(namespace.to_owned())
}

fn by_namespace<K: Resource>(object: &K) -> Vec<Group> {
    object.meta().namespace.as_deref().map(here).into_iter().collect()
}

fn groups_of_domain(domain: &Domain) -> Vec<Group> {
    vec![Group::Orchestrator(domain.spec.orchestrator_ref.name.clone()), here(&hierarchy::namespace_of(domain))]
}

fn groups_of_pod(pod: &Pod) -> Vec<Group> {
    let label = |key: &str| pod.labels().get(key).cloned();
    let runtime = || {
        Some(Group::Runtime {
            namespace: pod.namespace()?,
            component: label(names::LABEL_COMPONENT)?,
            instance: label(names::LABEL_INSTANCE)?,
        })
    };
    runtime().into_iter().collect()
}
