//! Objects to apply and their keys: a closed set of kinds, and manifests that hold only the fields we mean to own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube_core::{ApiResource, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

/// The kinds that the operator writes or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// `v1`, cluster-scoped.
    Namespace,
    /// `v1`.
    ResourceQuota,
    /// `v1`.
    LimitRange,
    /// `networking.k8s.io/v1`.
    NetworkPolicy,
    /// `rbac.authorization.k8s.io/v1`.
    RoleBinding,
    /// `v1`.
    ServiceAccount,
    /// `v1`.
    Secret,
    /// `v1`.
    Service,
    /// `apps/v1`.
    Deployment,
    /// `policy/v1`.
    PodDisruptionBudget,
    /// `autoscaling/v2`.
    HorizontalPodAutoscaler,
    /// `tetrarch.dev/v1alpha1`.
    Supervisor,
    /// `tetrarch.dev/v1alpha1`.
    AgentPool,
    /// `tetrarch.dev/v1alpha1`.
    Workflow,
}

impl Kind {
    /// Group (empty for the core), version and plural.
    const fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("", "v1", "namespaces"),
            Self::ResourceQuota => ("", "v1", "resourcequotas"),
            Self::LimitRange => ("", "v1", "limitranges"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "networkpolicies"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "v1", "rolebindings"),
            Self::ServiceAccount => ("", "v1", "serviceaccounts"),
            Self::Secret => ("", "v1", "secrets"),
            Self::Service => ("", "v1", "services"),
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::PodDisruptionBudget => ("policy", "v1", "poddisruptionbudgets"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2", "horizontalpodautoscalers"),
            Self::Supervisor => (tetrarch_crds::GROUP, tetrarch_crds::VERSION, "supervisors"),
            Self::AgentPool => (tetrarch_crds::GROUP, tetrarch_crds::VERSION, "agentpools"),
            Self::Workflow => (tetrarch_crds::GROUP, tetrarch_crds::VERSION, "workflows"),
        }
    }

    /// The kind's name in a manifest; also a bounded label for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::RoleBinding => "RoleBinding",
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Supervisor => "Supervisor",
            Self::AgentPool => "AgentPool",
            Self::Workflow => "Workflow",
        }
    }

    /// `apiVersion` in a manifest.
    pub fn api_version(self) -> String {
        let (group, version, _) = self.parts();
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }

    /// What a dynamic client needs to know of the kind.
    pub fn api_resource(self) -> ApiResource {
        let (group, version, plural) = self.parts();
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: self.api_version(),
            kind: self.as_str().to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// Whether objects of the kind live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace)
    }
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; none for a Namespace itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// Key of an object in a namespace.
    pub fn namespaced(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// Key of a Namespace.
    pub fn namespace(name: impl Into<String>) -> Self {
        Self { kind: Kind::Namespace, namespace: None, name: name.into() }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind.as_str(), self.name),
            None => write!(f, "{} {}", self.kind.as_str(), self.name),
        }
    }
}

/// An object to apply: a complete manifest of the fields that we own, for server-side apply.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Object {
    /// Which object.
    #[serde(skip)]
    pub key: ObjectKey,
    /// The manifest, with `apiVersion`, `kind` and `metadata`.
    #[serde(flatten)]
    pub manifest: Value,
}

impl Object {
    /// An object whose manifest is `body` plus `apiVersion`, `kind` and the name and namespace of `key`.
    pub fn new(key: ObjectKey, mut body: Value) -> Self {
        body["apiVersion"] = json!(key.kind.api_version());
        body["kind"] = json!(key.kind.as_str());
        body["metadata"]["name"] = json!(key.name);
        if let Some(namespace) = &key.namespace {
            body["metadata"]["namespace"] = json!(namespace);
        }
        Self { key, manifest: body }
    }
}

/// A typed value as JSON. Types of the Kubernetes API are structs with string keys, whose serialization cannot fail.
pub fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// The reference by which the garbage collector removes a child with its parent. An object that was never stored has no
/// uid and gets none.
pub fn controller_ref<K: Resource<DynamicType = ()>>(parent: &K) -> Option<OwnerReference> {
    parent.controller_owner_ref(&())
}

/// Whether somebody asked to delete the object.
pub fn is_deleting<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether the object carries the finalizer.
pub fn has_finalizer<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|f| f == finalizer)
}

/// Whether a person allowed the deletion to finish without cleaning the bus.
pub fn skips_bus_cleanup<K: Resource>(object: &K) -> bool {
    object.annotations().get(crate::names::ANNOTATION_SKIP_BUS_CLEANUP).is_some_and(|v| v == "true")
}
