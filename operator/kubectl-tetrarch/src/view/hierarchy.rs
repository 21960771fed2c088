//! The hierarchy: who belongs to whom, as a tree for people and as data for programs.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, shared::WorkCount};
use tetrarch_plan::{
    conditions::{self, HasConditions},
    names::DEFAULT_SUPERVISOR,
};

use crate::view::{
    style::{Mark, Style, Tone},
    table::Cell,
    time,
    tree::{self, Node},
};

/// All objects of the four levels that can be seen.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Level 1.
    pub orchestrators: Vec<Orchestrator>,
    /// Level 2.
    pub domains: Vec<Domain>,
    /// Level 3.
    pub supervisors: Vec<Supervisor>,
    /// Level 4.
    pub pools: Vec<AgentPool>,
}

/// Replicas of a runtime, or agents of a pool and of everything below.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Replicas {
    /// Those that are ready.
    pub ready: i32,
    /// Those that are wanted.
    pub desired: i32,
}

/// One object of the hierarchy with what is below it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// Kind of the object; a `Namespace` stands for a Domain that cannot be seen.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// Its namespace, or the namespace of the Domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Status of the condition Ready.
    pub ready: String,
    /// Ready and desired replicas or agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Waiting tasks.
    pub queued: i64,
    /// Tasks that agents work on.
    pub in_flight: i64,
    /// Active runs of a Supervisor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<i64>,
    /// Image of the agents of a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why it is as it is, when it is not Ready or something moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The level below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Level>,
    #[serde(skip)]
    mark: Mark,
    #[serde(skip)]
    since: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
}

impl Fleet {
    /// Puts everything under what it belongs to. Objects whose parent cannot be seen stand at the top.
    pub fn levels(&self, only: Option<&str>) -> Vec<Level> {
        let mut roots: Vec<Level> = Vec::new();
        for orchestrator in
            self.orchestrators.iter().filter(|orchestrator| only.is_none_or(|name| name == orchestrator.name_any()))
        {
            let domains =
                self.domains.iter().filter(|domain| domain.spec.orchestrator_ref.name == orchestrator.name_any());
            let status = orchestrator.status.clone().unwrap_or_default();
            let mut root = level("Orchestrator", orchestrator, &status.work);
            root.replicas = Some(Replicas { ready: status.agents.ready, desired: status.agents.desired });
            root.children = domains.map(|domain| self.domain(domain)).collect();
            roots.push(root);
        }
        if only.is_none() {
            let lost = |domain: &&Domain| {
                !self.orchestrators.iter().any(|root| root.name_any() == domain.spec.orchestrator_ref.name)
            };
            roots.extend(self.domains.iter().filter(lost).map(|domain| self.domain(domain)));
            roots.extend(self.strays());
        }
        roots
    }

    /// Leaves only what is in a namespace, with what it belongs to.
    pub fn narrow(&mut self, namespace: &str) {
        self.domains.retain(|domain| namespace_of(domain) == namespace);
        let roots: Vec<&String> = self.domains.iter().map(|domain| &domain.spec.orchestrator_ref.name).collect();
        self.orchestrators.retain(|root| roots.contains(&&root.name_any()));
        self.supervisors.retain(|found| found.namespace().as_deref() == Some(namespace));
        self.pools.retain(|found| found.namespace().as_deref() == Some(namespace));
    }

    fn domain(&self, domain: &Domain) -> Level {
        let status = domain.status.clone().unwrap_or_default();
        let namespace = namespace_of(domain);
        let mut found = level("Domain", domain, &status.work);
        found.replicas = Some(Replicas { ready: status.agents.ready, desired: status.agents.desired });
        found.children = self.inside(&namespace);
        found.namespace = Some(namespace);
        found
    }

    /// Namespaces with objects whose Domain cannot be seen.
    fn strays(&self) -> Vec<Level> {
        let known: Vec<String> = self.domains.iter().map(namespace_of).collect();
        let mut namespaces: Vec<String> = self
            .supervisors
            .iter()
            .filter_map(ResourceExt::namespace)
            .chain(self.pools.iter().filter_map(ResourceExt::namespace))
            .collect();
        namespaces.sort();
        namespaces.dedup();
        namespaces.retain(|namespace| !known.contains(namespace));
        let stray = |namespace: String| Level {
            kind: "Namespace",
            name: namespace.clone(),
            children: self.inside(&namespace),
            namespace: Some(namespace),
            ready: String::new(),
            replicas: None,
            queued: 0,
            in_flight: 0,
            runs: None,
            image: None,
            message: None,
            mark: UNKNOWN,
            since: None,
        };
        namespaces.into_iter().map(stray).collect()
    }

    fn inside(&self, namespace: &str) -> Vec<Level> {
        let here = |object: Option<String>| object.as_deref() == Some(namespace);
        let supervisors: Vec<&Supervisor> = self.supervisors.iter().filter(|found| here(found.namespace())).collect();
        let pools: Vec<&AgentPool> = self.pools.iter().filter(|found| here(found.namespace())).collect();
        let mut levels: Vec<Level> = supervisors.iter().map(|supervisor| runtime(supervisor, &pools)).collect();
        let lost = |pool: &&&AgentPool| !supervisors.iter().any(|found| found.name_any() == supervisor_of(pool));
        levels.extend(pools.iter().filter(lost).map(|found| pool(found)));
        levels
    }
}

fn runtime(supervisor: &Supervisor, pools: &[&AgentPool]) -> Level {
    let status = supervisor.status.clone().unwrap_or_default();
    let mut found = level("Supervisor", supervisor, &status.work);
    found.replicas = Some(Replicas { ready: status.ready_replicas, desired: supervisor.spec.replicas });
    found.runs = Some(status.active_runs);
    let own = pools.iter().filter(|found| supervisor_of(found) == supervisor.name_any());
    found.children = own.map(|found| pool(found)).collect();
    found
}

fn pool(object: &AgentPool) -> Level {
    let status = object.status.clone().unwrap_or_default();
    let mut found = level("AgentPool", object, &status.work);
    found.replicas = Some(Replicas { ready: status.ready, desired: status.desired });
    found.image = Some(object.spec.agent.image.clone());
    found
}

fn namespace_of(domain: &Domain) -> String {
    let observed = domain.status.as_ref().and_then(|status| status.namespace.clone());
    observed.or_else(|| domain.spec.namespace.clone()).unwrap_or_else(|| domain.name_any())
}

fn supervisor_of(pool: &AgentPool) -> String {
    let observed = pool.status.as_ref().and_then(|status| status.supervisor.clone());
    let written = pool.spec.supervisor_ref.as_ref().map(|reference| reference.name.clone());
    observed.or(written).unwrap_or_else(|| DEFAULT_SUPERVISOR.to_owned())
}

fn level<K: Resource<DynamicType = ()> + HasConditions>(kind: &'static str, object: &K, work: &WorkCount) -> Level {
    let found = object.conditions();
    let ready = conditions::find(found, conditions::READY);
    Level {
        kind,
        name: object.name_any(),
        namespace: object.namespace(),
        ready: ready.map_or("Unknown", |condition| condition.status.as_str()).to_owned(),
        replicas: None,
        queued: work.queued,
        in_flight: work.in_flight,
        runs: None,
        image: None,
        message: message(found),
        children: Vec::new(),
        mark: health_mark(found),
        since: object.meta().creation_timestamp.clone(),
    }
}

const UNKNOWN: Mark = Mark { icon: '○', tone: Tone::Faint };

/// The sign of an object's conditions.
pub fn health_mark(found: &[Condition]) -> Mark {
    let is_true = |kind| conditions::is_true(found, kind);
    if found.is_empty() {
        UNKNOWN
    } else if is_true(conditions::STALLED) {
        Mark { icon: '✖', tone: Tone::Bad }
    } else if is_true(conditions::READY) {
        Mark { icon: '✔', tone: Tone::Good }
    } else if is_true(conditions::RECONCILING) {
        Mark { icon: '◷', tone: Tone::Busy }
    } else {
        Mark { icon: '⚠', tone: Tone::Warning }
    }
}

/// Why an object is not Ready, or what still moves although it is.
pub fn message(found: &[Condition]) -> Option<String> {
    let ready = conditions::find(found, conditions::READY).filter(|condition| condition.status != "True");
    let moving = || conditions::find(found, conditions::RECONCILING).filter(|condition| condition.status == "True");
    ready.or_else(moving).map(|condition| condition.message.clone())
}

/// Renders the hierarchy.
pub fn render(levels: &[Level], wide: bool, now: Timestamp, style: Style) -> String {
    let mut headings = vec!["ORCHESTRATOR/DOMAIN/SUPERVISOR/POOL", "READY", "REPL", "QUEUE", "INFLT", "AGE"];
    if wide {
        headings.extend(["RUNS", "NAMESPACE", "IMAGE"]);
    }
    headings.push("MESSAGE");
    let roots: Vec<Node> = levels.iter().map(|level| node(level, wide, now)).collect();
    tree::render(&headings, &roots, style)
}

fn node(level: &Level, wide: bool, now: Timestamp) -> Node {
    let title = match level.kind {
        "Supervisor" | "Namespace" => {
            Cell::from(level.name.clone()).then(Tone::Faint, format!(" ({})", level.kind.to_lowercase()))
        }
        "Orchestrator" => Cell::toned(Tone::Strong, level.name.clone()),
        _ => Cell::from(level.name.clone()),
    };
    let known = level.kind != "Namespace";
    let count = |number: i64| Cell::from(if known { number.to_string() } else { String::new() });
    let mut cells = vec![
        Cell::toned(level.mark.tone, level.ready.clone()),
        Cell::from(level.replicas.map(|count| format!("{}/{}", count.ready, count.desired)).unwrap_or_default()),
        count(level.queued),
        count(level.in_flight),
        Cell::from(time::age(level.since.as_ref(), now)),
    ];
    if wide {
        cells.push(Cell::from(level.runs.map(|runs| runs.to_string()).unwrap_or_default()));
        cells.push(Cell::from(level.namespace.clone().unwrap_or_default()));
        cells.push(Cell::from(level.image.clone().unwrap_or_default()));
    }
    cells.push(Cell::toned(level.mark.tone, level.message.clone().unwrap_or_default()));
    let children = level.children.iter().map(|child| node(child, wide, now)).collect();
    Node { mark: Some(level.mark), title, cells, children }
}
