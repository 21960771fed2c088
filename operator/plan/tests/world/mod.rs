//! A situation: the documents of one YAML file, sorted into what the shell would have observed. The first document is the
//! object that is reconciled.
//!
//! Left out metadata is filled in (uid, generation, creation time, the finalizer), and every other object of ours without a
//! status counts as accepted and Ready. `SupervisorReport` and `RunSummary` stand for what lies on the bus.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tetrarch_core::capacity::Ledger;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow, agent_pool::ImagePullPolicy};
use tetrarch_plan::{
    admit::{Index, index::Member},
    effect::{Effect, Plan},
    names,
    object::{Kind, ObjectKey},
    outcome::Outcome,
    reconcile, report,
    settings::{Bus, Settings},
};
use tetrarch_protocol::summary::{RunSummary, SupervisorReport};

const CHILD_KINDS: [Kind; 9] = [
    Kind::ResourceQuota,
    Kind::LimitRange,
    Kind::NetworkPolicy,
    Kind::RoleBinding,
    Kind::ServiceAccount,
    Kind::Service,
    Kind::Deployment,
    Kind::PodDisruptionBudget,
    Kind::HorizontalPodAutoscaler,
];

/// The time of every situation.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// The documents of a situation.
pub struct World {
    documents: Vec<Value>,
}

impl World {
    /// Reads a situation.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut documents: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            .collect();
        for (index, document) in documents.iter_mut().enumerate() {
            complete(document, index == 0);
        }
        Self { documents }
    }

    /// Plan and status of the first document.
    pub fn decide(&self) -> (Plan, Value) {
        let subject = &self.documents[0];
        match kind(subject) {
            "Orchestrator" => {
                let observed = reconcile::orchestrator::Observed { domains: self.all("Domain"), ledger: self.ledger() };
                let object: Orchestrator = typed(subject);
                let plan = reconcile::orchestrator::orchestrator(&object, &observed, now());
                let status = report::orchestrator::orchestrator(&object, &plan, &done(), &observed, now());
                (plan, to_value(&status))
            }
            "Domain" => {
                let object: Domain = typed(subject);
                let observed = self.domain();
                let plan = reconcile::domain::domain(&object, &observed, now());
                let status = report::domain::domain(&object, &plan, &done(), &observed, now());
                (plan, to_value(&status))
            }
            "Supervisor" => {
                let object: Supervisor = typed(subject);
                let observed = self.supervisor();
                let plan = reconcile::supervisor::supervisor(&object, &observed, now());
                let status = report::supervisor::supervisor(&object, &plan, &done(), &observed, now());
                (plan, to_value(&status))
            }
            "AgentPool" => {
                let object: AgentPool = typed(subject);
                let observed = self.agent_pool();
                let plan = reconcile::agent_pool::agent_pool(&object, &observed, now());
                let status = report::agent_pool::agent_pool(&object, &plan, &done(), &observed, now());
                (plan, to_value(&status))
            }
            "Workflow" => {
                let object: Workflow = typed(subject);
                let observed = self.workflow();
                let plan = reconcile::workflow::workflow(&object, &observed, now());
                let status = report::workflow::workflow(&object, &plan, &done(), &observed, now());
                (plan, to_value(&status))
            }
            other => panic!("{other} is not reconciled"),
        }
    }

    /// The same situation after its status was written.
    pub fn with_status(&self, status: Value) -> Self {
        let mut documents = self.documents.clone();
        documents[0]["status"] = status;
        Self { documents }
    }

    fn domain(&self) -> reconcile::domain::Observed {
        reconcile::domain::Observed {
            settings: settings(),
            orchestrator: self.first("Orchestrator"),
            siblings: self.all("Domain"),
            namespace: self.first::<Namespace>("Namespace"),
            supervisors: self.all("Supervisor"),
            pools: self.all("AgentPool"),
            workflows: self.all("Workflow"),
            children: self.children(),
            index: self.index(),
            ledger: self.ledger(),
        }
    }

    fn supervisor(&self) -> reconcile::supervisor::Observed {
        reconcile::supervisor::Observed {
            settings: settings(),
            domain: self.first("Domain"),
            orchestrator: self.first("Orchestrator"),
            siblings: self.all("Supervisor"),
            pools: self.all("AgentPool"),
            workflows: self.all("Workflow"),
            deployment: self.deployment("-supervisor"),
            pool_deployments: self.deployment("-agents").into_iter().collect(),
            pods: self.all::<Pod>("Pod"),
            children: self.children(),
            index: self.index(),
            ledger: self.ledger(),
            report: self.bus::<SupervisorReport>("SupervisorReport").map(Arc::new),
        }
    }

    fn agent_pool(&self) -> reconcile::agent_pool::Observed {
        let (supervisors, supervisor_elsewhere) = self.supervisors();
        reconcile::agent_pool::Observed {
            settings: settings(),
            domain: self.first("Domain"),
            orchestrator: self.first("Orchestrator"),
            supervisors,
            supervisor_elsewhere,
            siblings: self.all("AgentPool"),
            deployment: self.first::<Deployment>("Deployment"),
            pods: self.all::<Pod>("Pod"),
            children: self.children(),
            index: self.index(),
            report: self.bus::<SupervisorReport>("SupervisorReport").map(Arc::new),
        }
    }

    fn workflow(&self) -> reconcile::workflow::Observed {
        let (supervisors, supervisor_elsewhere) = self.supervisors();
        let reported = self.bus::<SupervisorReport>("SupervisorReport").unwrap_or_default();
        reconcile::workflow::Observed {
            without_secret: reported.webhooks_without_secret.into_values().next().unwrap_or_default(),
            domain: self.first("Domain"),
            orchestrator: self.first("Orchestrator"),
            supervisors,
            supervisor_elsewhere,
            pools: self.all("AgentPool"),
            workflows: self.all("Workflow"),
            index: self.index(),
            summary: self.bus::<RunSummary>("RunSummary"),
        }
    }

    /// The Deployment whose name ends like this.
    fn deployment(&self, end: &str) -> Option<Arc<Deployment>> {
        let all: Vec<Arc<Deployment>> = self.all("Deployment");
        all.into_iter().find(|deployment| deployment.metadata.name.as_deref().is_some_and(|name| name.ends_with(end)))
    }

    /// The hierarchy of all documents.
    fn index(&self) -> Index {
        let members = self.documents.iter().filter_map(|document| {
            Some(match kind(document) {
                "Orchestrator" => Member::Orchestrator(Arc::new(typed(document))),
                "Domain" => Member::Domain(Arc::new(typed(document))),
                "Supervisor" => Member::Supervisor(Arc::new(typed(document))),
                "AgentPool" => Member::AgentPool(Arc::new(typed(document))),
                "Workflow" => Member::Workflow(Arc::new(typed(document))),
                _ => return None,
            })
        });
        Index::default().with(members)
    }

    /// The ledger in which everything is booked that a document `Ledger` lists, in its stored form.
    fn ledger(&self) -> Option<Arc<Ledger>> {
        self.bus::<Ledger>("Ledger").map(Arc::new)
    }

    fn supervisors(&self) -> (Vec<Arc<Supervisor>>, Vec<String>) {
        let own = &self.documents[0]["metadata"]["namespace"];
        let wanted = &self.documents[0]["spec"]["supervisorRef"]["name"];
        let all: Vec<Arc<Supervisor>> = self.all("Supervisor");
        let (here, there): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|s| s.metadata.namespace.as_deref() == own.as_str());
        let there = there.iter().filter(|s| s.metadata.name.as_deref() == wanted.as_str());
        (here, there.filter_map(|s| s.metadata.namespace.clone()).collect())
    }

    fn children(&self) -> BTreeSet<ObjectKey> {
        let key = |document: &Value| {
            let kind = CHILD_KINDS.into_iter().find(|k| k.as_str() == kind(document))?;
            let text = |field: &str| document["metadata"][field].as_str().unwrap_or_default();
            // What belongs to a pool is not what belongs to its Supervisor.
            let is_other = text("name").ends_with("-agents") && self::kind(&self.documents[0]) != "AgentPool";
            (!is_other).then(|| ObjectKey::namespaced(kind, text("namespace"), text("name")))
        };
        self.documents.iter().filter_map(key).collect()
    }

    fn all<T: DeserializeOwned>(&self, wanted: &str) -> Vec<Arc<T>> {
        self.documents.iter().filter(|document| kind(document) == wanted).map(|d| Arc::new(typed(d))).collect()
    }

    fn first<T: DeserializeOwned>(&self, wanted: &str) -> Option<Arc<T>> {
        self.all(wanted).into_iter().next()
    }

    fn bus<T: DeserializeOwned>(&self, wanted: &str) -> Option<T> {
        self.documents.iter().find(|document| kind(document) == wanted).map(|document| typed(&document["value"]))
    }
}

/// One line for each effect, with what lies on the bus in full.
pub fn lines(plan: &Plan) -> Vec<String> {
    plan.effects
        .iter()
        .map(|effect| match effect {
            Effect::AddFinalizer { finalizer } => format!("add finalizer {finalizer}"),
            Effect::RemoveFinalizer { finalizer } => format!("remove finalizer {finalizer}"),
            Effect::Apply(object) => format!("apply {}", object.key),
            Effect::HandOver(object) => format!("hand over {} {}", object.key, object.manifest["spec"]),
            Effect::Delete(key) => format!("delete {key}"),
            Effect::EnsureBusUser(user) => format!("bus user {:?} in {}", user.user, user.secret),
            Effect::Event(note) => format!("event {}", note.reason.as_str()),
            other => serde_json::to_string(other).unwrap(),
        })
        .collect()
}

fn done() -> Outcome {
    Outcome::Done(Vec::new())
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        operator_namespace: "tetrarch-system".to_owned(),
        bus: Bus::from_url("tls://tetrarch-nats.tetrarch-system.svc:4222"),
        supervisor_image: "tetrarch/supervisor:1".to_owned(),
        sidecar_image: "tetrarch/agent-sidecar:1".to_owned(),
        image_pull_policy: ImagePullPolicy::IfNotPresent,
        log_filter: "info".to_owned(),
    })
}

fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap_or_default()
}

fn typed<T: DeserializeOwned>(document: &Value) -> T {
    serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error} in {document:#}"))
}

fn to_value(status: &impl serde::Serialize) -> Value {
    serde_json::to_value(status).unwrap()
}

fn complete(document: &mut Value, is_subject: bool) {
    let kind = kind(document).to_owned();
    if matches!(kind.as_str(), "SupervisorReport" | "RunSummary" | "Ledger") {
        return;
    }
    let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let metadata = document["metadata"].as_object_mut().unwrap();
    let mut fill = |field: &str, value: Value| {
        metadata.entry(field).or_insert(value);
    };
    fill("uid", json!(format!("{}-{name}", kind.to_lowercase())));
    fill("generation", json!(1));
    fill("creationTimestamp", json!("2026-11-21T10:00:00Z"));
    let finalizer = match kind.as_str() {
        "Domain" => names::FINALIZER_DOMAIN,
        "Supervisor" => names::FINALIZER_SUPERVISOR,
        "Workflow" => names::FINALIZER_WORKFLOW,
        _ => "",
    };
    if !finalizer.is_empty() {
        fill("finalizers", json!([finalizer]));
    }
    let is_ours = ["Orchestrator", "Domain", "Supervisor", "AgentPool", "Workflow"].contains(&kind.as_str());
    if is_ours {
        document["apiVersion"] = json!("tetrarch.dev/v1alpha1");
    }
    if is_ours && !is_subject && document["status"].is_null() {
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "Ready", "message": "well", "lastTransitionTime": "2026-11-21T10:00:00Z" });
        document["status"] = json!({ "conditions": [condition("Accepted"), condition("Ready")] });
    }
}
