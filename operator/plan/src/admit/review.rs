//! What is reviewed: who writes which object, and what it was before.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tetrarch_core::policy::Kind;
use tetrarch_crds::{
    AgentPool, Domain, Orchestrator, Supervisor, Workflow,
    shared::{Subject, SubjectKind},
};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed, by an update or a patch.
    Update,
    /// It is deleted.
    Delete,
    /// Something connects to it.
    Connect,
}

impl Operation {
    /// The word in requests, expressions and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// Who writes, as the API server has authenticated them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name of the user.
    pub name: String,
    /// Groups of the user.
    pub groups: Vec<String>,
    /// The uid that the authenticator knows, for reviews of access.
    pub uid: Option<String>,
    /// What else the authenticator knows, for reviews of access.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

impl User {
    /// Whether the subject stands for this user; a service account without a namespace is one of `namespace`.
    pub fn is(&self, subject: &Subject, namespace: &str) -> bool {
        match subject.kind {
            SubjectKind::User => self.name == subject.name,
            SubjectKind::Group => self.groups.contains(&subject.name),
            SubjectKind::ServiceAccount => {
                let account = self.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
                account == Some((subject.namespace.as_deref().unwrap_or(namespace), subject.name.as_str()))
            }
        }
    }
}

/// An object as a typed value.
#[derive(Clone, Debug)]
pub enum Manifest {
    /// The root of a hierarchy.
    Orchestrator(Box<Orchestrator>),
    /// A tenant.
    Domain(Box<Domain>),
    /// A runtime.
    Supervisor(Box<Supervisor>),
    /// A pool.
    AgentPool(Box<AgentPool>),
    /// A definition of work.
    Workflow(Box<Workflow>),
    /// A pod.
    Pod(Box<Pod>),
}

impl Manifest {
    /// Reads an object of the kind; the error says which field is wrong.
    pub fn read(kind: Kind, document: &Value) -> Result<Self, serde_json::Error> {
        fn typed<T: DeserializeOwned>(document: &Value) -> Result<Box<T>, serde_json::Error> {
            T::deserialize(document).map(Box::new)
        }
        match kind {
            Kind::Orchestrator => typed(document).map(Self::Orchestrator),
            Kind::Domain => typed(document).map(Self::Domain),
            Kind::Supervisor => typed(document).map(Self::Supervisor),
            Kind::AgentPool => typed(document).map(Self::AgentPool),
            Kind::Workflow => typed(document).map(Self::Workflow),
            Kind::Pod => typed(document).map(Self::Pod),
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Orchestrator(object) => &object.metadata,
            Self::Domain(object) => &object.metadata,
            Self::Supervisor(object) => &object.metadata,
            Self::AgentPool(object) => &object.metadata,
            Self::Workflow(object) => &object.metadata,
            Self::Pod(object) => &object.metadata,
        }
    }
}

/// An object in a request: as it was sent, and as a typed value.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it was sent; expressions read it.
    pub document: Value,
    /// Typed, or why it cannot be.
    pub manifest: Result<Manifest, String>,
}

impl Written {
    /// Reads an object of the kind.
    pub fn read(kind: Kind, document: Value) -> Self {
        let manifest = Manifest::read(kind, &document).map_err(|error| error.to_string());
        Self { document, manifest }
    }
}

/// What is written: the object itself, or a number by one of its subresources.
#[derive(Clone, Debug)]
pub enum Target {
    /// The object itself.
    Whole {
        /// What it will be; none when it is deleted.
        new: Option<Box<Written>>,
        /// What it is; none when it is created.
        old: Option<Box<Written>>,
    },
    /// Its `scale` subresource.
    Scale {
        /// Wanted number of replicas.
        replicas: i32,
    },
}

/// One request to be reviewed.
#[derive(Clone, Debug)]
pub struct Review {
    /// What is done.
    pub operation: Operation,
    /// Kind of the object.
    pub kind: Kind,
    /// Its namespace; empty for kinds of the whole cluster.
    pub namespace: String,
    /// Its name; for a name that the API server makes up, its beginning.
    pub name: String,
    /// What is written.
    pub target: Target,
    /// Who writes.
    pub user: User,
    /// Whether it came as a patch, which takes another permission than an update.
    pub is_patch: bool,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}
