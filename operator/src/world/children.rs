//! Children in the view of the cluster: whose they are, and whether they still are as we wrote them.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use kube::{Resource, api::ObjectMeta, runtime::reflector::ObjectRef};
use tetrarch_plan::{
    names,
    object::{Kind, ObjectKey},
};

use super::{World, seen::Group};

/// Tells two states of an object apart as far as we write it: its status is left out where the API server counts
/// changes of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    uid: Option<String>,
    version: Version,
    /// Of labels and annotations, of which only equality matters.
    digest: u64,
    owners: usize,
    finalizers: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Generation(i64),
    Resource(Option<String>),
}

impl Fingerprint {
    /// The fingerprint of an object with this metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        let mut hasher = DefaultHasher::new();
        for map in [&meta.labels, &meta.annotations] {
            map.as_ref().filter(|map| !map.is_empty()).hash(&mut hasher);
        }
        Self {
            uid: meta.uid.clone(),
            version: meta
                .generation
                .map_or_else(|| Version::Resource(meta.resource_version.clone()), Version::Generation),
            digest: hasher.finish(),
            owners: meta.owner_references.as_ref().map_or(0, Vec::len),
            finalizers: meta.finalizers.as_ref().map_or(0, Vec::len),
        }
    }

    /// The generation, for kinds that have one.
    pub const fn generation(&self) -> Option<i64> {
        match self.version {
            Version::Generation(generation) => Some(generation),
            Version::Resource(_) => None,
        }
    }
}

/// The uid of the controller that owns an object.
pub fn controller_uid(meta: &ObjectMeta) -> Option<&str> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

impl World {
    /// The metadata of a child as last seen; none for kinds that are not watched.
    pub fn child(&self, key: &ObjectKey) -> Option<ObjectMeta> {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let name = key.name.as_str();
        match key.kind {
            Kind::Namespace => self.namespace(name).map(|object| object.metadata.clone()),
            Kind::Deployment => self.deployment(namespace, name).map(|object| object.metadata.clone()),
            Kind::Supervisor => {
                self.supervisors.get(&ObjectRef::new(name).within(namespace)).map(|object| object.metadata.clone())
            }
            Kind::AgentPool => {
                self.pools.get(&ObjectRef::new(name).within(namespace)).map(|object| object.metadata.clone())
            }
            Kind::Workflow => {
                self.workflows.get(&ObjectRef::new(name).within(namespace)).map(|object| object.metadata.clone())
            }
            kind => {
                let reference = ObjectRef::new_with(name, kind.api_resource()).within(namespace);
                self.metas.get(&kind)?.get(&reference).map(|object| object.metadata.clone())
            }
        }
    }

    /// Children of these kinds that the object with this uid controls.
    pub fn children_of(&self, namespace: &str, uid: Option<&str>, kinds: &[Kind]) -> BTreeSet<ObjectKey> {
        uid.map(|uid| self.keys(namespace, kinds, &Group::Controller(uid.to_owned()))).unwrap_or_default()
    }

    /// Children of these kinds that belong to the Domain of this namespace itself.
    pub fn children_of_domain(&self, namespace: &str, kinds: &[Kind]) -> BTreeSet<ObjectKey> {
        self.keys(namespace, kinds, &Group::OfDomain(namespace.to_owned()))
    }

    fn keys(&self, namespace: &str, kinds: &[Kind], group: &Group) -> BTreeSet<ObjectKey> {
        let mut found = BTreeSet::new();
        for kind in kinds {
            let mut add = |meta: &ObjectMeta| {
                if meta.namespace.as_deref() == Some(namespace) {
                    let name = meta.name.clone().unwrap_or_default();
                    found.insert(ObjectKey::namespaced(*kind, namespace, name));
                }
            };
            if *kind == Kind::Deployment {
                self.deployments.of(group).iter().for_each(|object| add(object.meta()));
            } else if let Some(seen) = self.metas.get(kind) {
                seen.of(group).iter().for_each(|object| add(&object.metadata));
            }
        }
        found
    }
}

/// The groups that children are found by.
pub(super) fn groups_of<K: Resource>(object: &K) -> Vec<Group> {
    let meta = object.meta();
    let label = |key: &str| meta.labels.as_ref()?.get(key).map(String::as_str);
    let controller = controller_uid(meta).map(|uid| Group::Controller(uid.to_owned()));
    let is_of_domain = label(names::LABEL_MANAGED_BY) == Some(names::MANAGED_BY)
        && label(names::LABEL_COMPONENT) == Some(names::Component::Domain.as_str());
    let domain = meta.namespace.clone().filter(|_| is_of_domain).map(Group::OfDomain);
    controller.into_iter().chain(domain).collect()
}
