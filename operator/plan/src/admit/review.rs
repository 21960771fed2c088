//! What is reviewed: who writes which object, and what it was before.

use std::{collections::BTreeMap, sync::OnceLock};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tetrarch_core::policy::Kind;
use tetrarch_crds::{
    AgentPool, Domain, Orchestrator, Supervisor, Workflow,
    policy::Policy,
    shared::{Subject, SubjectKind},
};

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
    pub extra: BTreeMap<String, Vec<String>>,
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

    /// Reads the text of an object of the kind; the error says which field is wrong.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, serde_json::Error> {
        fn typed<T: DeserializeOwned>(text: &str) -> Result<Box<T>, serde_json::Error> {
            serde_json::from_str(text).map(Box::new)
        }
        match kind {
            Kind::Orchestrator => typed(text).map(Self::Orchestrator),
            Kind::Domain => typed(text).map(Self::Domain),
            Kind::Supervisor => typed(text).map(Self::Supervisor),
            Kind::AgentPool => typed(text).map(Self::AgentPool),
            Kind::Workflow => typed(text).map(Self::Workflow),
            Kind::Pod => typed(text).map(Self::Pod),
        }
    }

    /// Its policies.
    pub fn policies(&self) -> &[Policy] {
        match self {
            Self::Orchestrator(object) => &object.spec.policies,
            Self::Domain(object) => &object.spec.policies,
            Self::Supervisor(object) => &object.spec.policies,
            Self::AgentPool(object) => &object.spec.policies,
            Self::Workflow(object) => &object.spec.policies,
            Self::Pod(_) => &[],
        }
    }

    /// Whether the spec is the same as that of another object.
    pub fn has_spec_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Orchestrator(a), Self::Orchestrator(b)) => a.spec == b.spec,
            (Self::Domain(a), Self::Domain(b)) => a.spec == b.spec,
            (Self::Supervisor(a), Self::Supervisor(b)) => a.spec == b.spec,
            (Self::AgentPool(a), Self::AgentPool(b)) => a.spec == b.spec,
            (Self::Workflow(a), Self::Workflow(b)) => a.spec == b.spec,
            (Self::Pod(a), Self::Pod(b)) => a.spec == b.spec,
            _ => false,
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

/// An object in a request: typed, and as JSON for those who ask for that.
#[derive(Clone, Debug)]
pub struct Written {
    text: Box<str>,
    document: OnceLock<Value>,
    manifest: Result<Manifest, String>,
}

impl Written {
    /// Reads the text of an object of the kind.
    pub fn parse(kind: Kind, text: &str) -> Self {
        let manifest = Manifest::parse(kind, text).map_err(|error| error.to_string());
        Self { text: text.into(), document: OnceLock::new(), manifest }
    }

    /// Reads an object of the kind.
    pub fn read(kind: Kind, document: Value) -> Self {
        let manifest = Manifest::read(kind, &document).map_err(|error| error.to_string());
        Self { text: Box::default(), document: OnceLock::from(document), manifest }
    }

    /// The object as it was sent; expressions read it.
    pub fn document(&self) -> &Value {
        self.document.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
    }

    /// The typed object, or why it is none.
    pub fn manifest(&self) -> Result<&Manifest, &str> {
        self.manifest.as_ref().map_err(String::as_str)
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
        /// `metadata.resourceVersion` of the object that is scaled, when it is known.
        version: Option<String>,
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

impl Review {
    /// What the object will be.
    pub fn new_object(&self) -> Option<&Written> {
        match &self.target {
            Target::Whole { new, .. } => new.as_deref(),
            Target::Scale { .. } => None,
        }
    }

    /// What the object is, when it can be read.
    pub fn old_manifest(&self) -> Option<&Manifest> {
        match &self.target {
            Target::Whole { old, .. } => old.as_deref()?.manifest().ok(),
            Target::Scale { .. } => None,
        }
    }
}
