//! Children in the view of the cluster: whose they are, and whether they still are as we wrote them.

use std::collections::BTreeSet;

use kube::{Resource, ResourceExt, api::ObjectMeta, runtime::reflector::ObjectRef};
use tetrarch_plan::{
    names,
    object::{Kind, ObjectKey},
};

use super::World;

/// Tells two states of an object apart as far as we write it: its status is left out where the API server counts
/// changes of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    uid: Option<String>,
    version: Version,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
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
        let pairs = |map: &Option<std::collections::BTreeMap<String, String>>| {
            map.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        Self {
            uid: meta.uid.clone(),
            version: meta
                .generation
                .map_or_else(|| Version::Resource(meta.resource_version.clone()), Version::Generation),
            labels: pairs(&meta.labels),
            annotations: pairs(&meta.annotations),
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
        let Some(uid) = uid else { return BTreeSet::new() };
        self.keys(namespace, kinds, |meta| controller_uid(meta) == Some(uid))
    }

    /// Children of these kinds that belong to the Domain of this namespace itself.
    pub fn children_of_domain(&self, namespace: &str, kinds: &[Kind]) -> BTreeSet<ObjectKey> {
        self.keys(namespace, kinds, |meta| {
            let label = |key: &str| meta.labels.as_ref()?.get(key).map(String::as_str);
            label(names::LABEL_MANAGED_BY) == Some(names::MANAGED_BY)
                && label(names::LABEL_COMPONENT) == Some(names::Component::Domain.as_str())
        })
    }

    fn keys(&self, namespace: &str, kinds: &[Kind], wanted: impl Fn(&ObjectMeta) -> bool) -> BTreeSet<ObjectKey> {
        let here = |meta: &ObjectMeta| meta.namespace.as_deref() == Some(namespace) && wanted(meta);
        let mut found = BTreeSet::new();
        for kind in kinds {
            if *kind == Kind::Deployment {
                let ours = self.deployments.state_filter(|object| here(object.meta()));
                found.extend(ours.iter().map(|object| ObjectKey::namespaced(*kind, namespace, object.name_any())));
            } else if let Some(store) = self.metas.get(kind) {
                let ours = store.state_filter(|object| here(&object.metadata));
                found.extend(ours.iter().map(|object| ObjectKey::namespaced(*kind, namespace, object.name_any())));
            }
        }
        found
    }
}
