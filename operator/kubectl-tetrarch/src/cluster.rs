//! The connection to the API server, and reading what is there.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, DynamicObject},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tetrarch_core::policy::Kind;
use tetrarch_crds::Workflow;

use crate::{
    args::Access,
    failure::{Asked, Error},
};

/// A client with the namespace that commands work in.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The namespace of `--namespace`, or of the context.
    pub namespace: String,
    /// Whether the namespace was written by the user.
    pub explicit: bool,
}

/// Reads the kubeconfig and makes the client; the API server is not asked yet.
pub async fn connect(access: &Access) -> Result<Cluster, Error> {
    let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error: &dyn std::error::Error| Error::Kubeconfig(error.to_string());
    let mut config = if let Some(path) = &access.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
        Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?
    } else if access.context.is_some() {
        Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error))?
    } else {
        Config::infer().await.map_err(|error| unusable(&error))?
    };
    if let Some(namespace) = &access.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if access.as_user.is_some() {
        config.auth_info.impersonate.clone_from(&access.as_user);
        config.auth_info.impersonate_groups = Some(access.as_group.clone()).filter(|groups| !groups.is_empty());
    }
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| unusable(&error))?;
    Ok(Cluster { client, namespace, explicit: access.namespace.is_some() })
}

/// Where to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    All,
    /// In the cluster's namespace.
    Namespace,
}

impl Cluster {
    /// All objects of a kind without namespace.
    pub async fn list<K>(&self) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let plural = K::plural(&());
        let asked = Asked { verb: "list", resource: &plural, name: None, namespace: None };
        let found = Api::<K>::all(self.client.clone()).list(&ListParams::default()).await;
        Ok(sorted(found.map_err(|error| asked.explain(&error))?.items))
    }

    /// Objects of a kind with namespace.
    pub async fn list_in<K>(&self, scope: Scope) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let plural = K::plural(&());
        let (api, namespace) = match scope {
            Scope::All => (Api::all(self.client.clone()), None),
            Scope::Namespace => (self.api::<K>(), Some(self.namespace.as_str())),
        };
        let asked = Asked { verb: "list", resource: &plural, name: None, namespace };
        let found = api.list(&ListParams::default()).await;
        Ok(sorted(found.map_err(|error| asked.explain(&error))?.items))
    }

    /// The objects of a kind in the cluster's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A Workflow of the cluster's namespace.
    pub async fn workflow(&self, name: &str) -> Result<Workflow, Error> {
        self.api::<Workflow>().get(name).await.map_err(|error| self.asked("read", name).explain(&error))
    }

    /// Sets annotations of a Workflow, unless it has changed since it was read.
    pub async fn annotate(&self, workflow: &Workflow, annotations: &Value) -> Result<Workflow, Error> {
        let name = workflow.name_any();
        let patch = serde_json::json!({"metadata": {"annotations": annotations, "resourceVersion": workflow.resource_version()}});
        let params = PatchParams { field_manager: Some("kubectl-tetrarch".to_owned()), ..PatchParams::default() };
        let patched = self.api::<Workflow>().patch(&name, &params, &Patch::Merge(patch)).await;
        patched.map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 409 => Error::Changed(format!(
                "the Workflow {name:?} changed in this moment: nothing was asked for, try again"
            )),
            other => self.asked("change", &name).explain(other),
        })
    }

    /// An object of any of our kinds, in the cluster's namespace if the kind has one.
    pub async fn get_any(&self, kind: Kind, name: &str) -> Result<DynamicObject, Error> {
        let resource = resource(kind);
        let asked = self.asked_any("read", &resource, kind, name);
        self.any(kind, &resource).get(name).await.map_err(|error| asked.explain(&error))
    }

    /// Sets annotations of an object, unless it has changed since it was read.
    pub async fn annotate_any(
        &self,
        kind: Kind,
        object: &DynamicObject,
        annotations: &Value,
    ) -> Result<DynamicObject, Error> {
        let (resource, name) = (resource(kind), object.name_any());
        let patch =
            serde_json::json!({"metadata": {"annotations": annotations, "resourceVersion": object.resource_version()}});
        let params = PatchParams { field_manager: Some("kubectl-tetrarch".to_owned()), ..PatchParams::default() };
        let patched = self.any(kind, &resource).patch(&name, &params, &Patch::Merge(patch)).await;
        patched.map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 409 => Error::Changed(format!(
                "the {kind} {name:?} changed in this moment: nothing was written, look at it again"
            )),
            other => self.asked_any("change", &resource, kind, &name).explain(other),
        })
    }

    fn any(&self, kind: Kind, resource: &ApiResource) -> Api<DynamicObject> {
        if is_cluster_wide(kind) {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, resource)
        }
    }

    fn asked_any<'a>(&'a self, verb: &'a str, resource: &'a ApiResource, kind: Kind, name: &'a str) -> Asked<'a> {
        let namespace = (!is_cluster_wide(kind)).then_some(self.namespace.as_str());
        Asked { verb, resource: &resource.plural, name: Some(name), namespace }
    }

    /// What to say when a Workflow cannot be had.
    pub fn asked<'a>(&'a self, verb: &'a str, name: &'a str) -> Asked<'a> {
        Asked { verb, resource: "workflows", name: Some(name), namespace: Some(&self.namespace) }
    }
}

/// Whether objects of the kind have no namespace.
pub const fn is_cluster_wide(kind: Kind) -> bool {
    matches!(kind, Kind::Orchestrator | Kind::Domain)
}

fn resource(kind: Kind) -> ApiResource {
    let plural = format!("{}s", kind.as_str().to_lowercase());
    let (group, version) = (tetrarch_crds::GROUP.to_owned(), tetrarch_crds::VERSION.to_owned());
    ApiResource { api_version: format!("{group}/{version}"), group, version, kind: kind.as_str().to_owned(), plural }
}

fn sorted<K: Resource>(mut items: Vec<K>) -> Vec<K> {
    items.sort_by_key(|item| (item.namespace(), item.name_any()));
    items
}
