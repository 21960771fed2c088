//! Lists of one kind as tables.

use jiff::Timestamp;
use kube::{Resource, ResourceExt as _};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::conditions::{self, HasConditions};

use crate::view::{
    hierarchy::{health_mark, message},
    style::{Style, phase_mark},
    table::{self, Cell},
    time,
};

/// How a list is shown.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Whether the namespace is a column.
    pub namespaces: bool,
    /// Whether the less important columns are shown.
    pub wide: bool,
    /// Now, for ages.
    pub now: Timestamp,
    /// Colours and width.
    pub style: Style,
}

/// A kind that can be listed.
pub trait Listed: Resource<DynamicType = ()> + HasConditions {
    /// Headings of the columns between READY and AGE.
    const HEADINGS: &'static [&'static str];
    /// Headings of the columns that only a wide list has.
    const WIDE: &'static [&'static str] = &[];
    /// The cells under [`Self::HEADINGS`].
    fn cells(&self) -> Vec<Cell>;
    /// The cells under [`Self::WIDE`].
    fn wide(&self) -> Vec<Cell> {
        Vec::new()
    }
}

/// Renders a list.
pub fn render<K: Listed>(objects: &[K], layout: Layout) -> String {
    if objects.is_empty() {
        return format!("no {}s here: look in another namespace with -n, or in all with -A\n", K::kind(&()));
    }
    let mut headings: Vec<&str> = Vec::new();
    if layout.namespaces {
        headings.push("NAMESPACE");
    }
    headings.extend(["NAME", "READY"].iter().chain(K::HEADINGS).chain(&["AGE"]));
    if layout.wide {
        headings.extend(K::WIDE);
    }
    headings.push("MESSAGE");
    let rows: Vec<Vec<Cell>> = objects.iter().map(|object| row(object, layout)).collect();
    table::render(&headings, &rows, layout.style)
}

fn row<K: Listed>(object: &K, layout: Layout) -> Vec<Cell> {
    let found = object.conditions();
    let mark = health_mark(found);
    let ready = conditions::find(found, conditions::READY).map_or("Unknown", |condition| condition.status.as_str());
    let mut row = Vec::new();
    if layout.namespaces {
        row.push(Cell::from(object.namespace().unwrap_or_default()));
    }
    row.push(Cell::from(object.name_any()));
    row.push(Cell::toned(mark.tone, format!("{} {ready}", mark.icon)));
    row.extend(object.cells());
    row.push(Cell::from(time::age(object.meta().creation_timestamp.as_ref(), layout.now)));
    if layout.wide {
        row.extend(object.wide());
    }
    row.push(Cell::toned(mark.tone, message(found).unwrap_or_default()));
    row
}

fn cell(value: &impl ToString) -> Cell {
    Cell::from(value.to_string())
}

impl Listed for Orchestrator {
    const HEADINGS: &'static [&'static str] = &["DEPTH", "DOMAINS", "SUPERVISORS", "POOLS", "AGENTS", "QUEUE", "INFLT"];

    fn cells(&self) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        let part = |ready: i32, total: i32| Cell::from(format!("{ready}/{total}"));
        vec![
            cell(&self.spec.hierarchy.depth),
            part(status.domains.ready, status.domains.total),
            part(status.supervisors.ready, status.supervisors.total),
            part(status.pools.ready, status.pools.total),
            part(status.agents.ready, status.agents.desired),
            cell(&status.work.queued),
            cell(&status.work.in_flight),
        ]
    }
}

impl Listed for Domain {
    const HEADINGS: &'static [&'static str] =
        &["ORCHESTRATOR", "NAMESPACE", "SUPERVISORS", "POOLS", "AGENTS", "QUEUE", "INFLT"];

    fn cells(&self) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        let part = |ready: i32, total: i32| Cell::from(format!("{ready}/{total}"));
        vec![
            cell(&self.spec.orchestrator_ref.name),
            Cell::from(status.namespace.unwrap_or_default()),
            part(status.supervisors.ready, status.supervisors.total),
            part(status.pools.ready, status.pools.total),
            part(status.agents.ready, status.agents.desired),
            cell(&status.work.queued),
            cell(&status.work.in_flight),
        ]
    }
}

impl Listed for Supervisor {
    const HEADINGS: &'static [&'static str] = &["REPL", "POOLS", "AGENTS", "RUNS", "QUEUE", "INFLT"];

    fn cells(&self) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        vec![
            Cell::from(format!("{}/{}", status.ready_replicas, self.spec.replicas)),
            Cell::from(format!("{}/{}", status.pools.ready, status.pools.total)),
            Cell::from(format!("{}/{}", status.agents.ready, status.agents.desired)),
            cell(&status.active_runs),
            cell(&status.work.queued),
            cell(&status.work.in_flight),
        ]
    }
}

impl Listed for AgentPool {
    const HEADINGS: &'static [&'static str] = &["SUPERVISOR", "AGENTS", "QUEUE", "INFLT"];
    const WIDE: &'static [&'static str] = &["CAPABILITIES", "IMAGE"];

    fn cells(&self) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        vec![
            Cell::from(status.supervisor.unwrap_or_default()),
            Cell::from(format!("{}/{}", status.ready, status.desired)),
            cell(&status.work.queued),
            cell(&status.work.in_flight),
        ]
    }

    fn wide(&self) -> Vec<Cell> {
        let capabilities: Vec<&str> =
            self.spec.capabilities.iter().map(|capability| capability.name.as_str()).collect();
        vec![Cell::from(capabilities.join(",")), cell(&self.spec.agent.image)]
    }
}

impl Listed for Workflow {
    const HEADINGS: &'static [&'static str] = &["RUN", "PHASE", "PROGRESS"];
    const WIDE: &'static [&'static str] = &["SUPERVISOR", "PRIORITY", "STEPS"];

    fn cells(&self) -> Vec<Cell> {
        let Some(run) = self.status.as_ref().and_then(|status| status.run.as_ref()) else {
            return vec![Cell::default(); 3];
        };
        let mark = phase_mark(run.phase);
        vec![
            cell(&run.id),
            Cell::toned(mark.tone, format!("{} {:?}", mark.icon, run.phase)),
            Cell::from(run.progress.clone().unwrap_or_default()),
        ]
    }

    fn wide(&self) -> Vec<Cell> {
        vec![
            Cell::from(self.status.as_ref().and_then(|status| status.supervisor.clone()).unwrap_or_default()),
            Cell::from(format!("{:?}", self.spec.priority).to_lowercase()),
            cell(&self.spec.steps.len()),
        ]
    }
}

/// Renders the latest run of each Workflow that has one.
pub fn render_runs(workflows: &[Workflow], layout: Layout) -> String {
    let runs = workflows.iter().filter_map(|workflow| Some((workflow, workflow.status.as_ref()?.run.as_ref()?)));
    let rows: Vec<Vec<Cell>> = runs
        .map(|(workflow, run)| {
            let mark = phase_mark(run.phase);
            let namespace = layout.namespaces.then(|| Cell::from(workflow.namespace().unwrap_or_default()));
            namespace
                .into_iter()
                .chain([
                    Cell::from(run.id.clone()),
                    Cell::from(workflow.name_any()),
                    Cell::toned(mark.tone, format!("{} {:?}", mark.icon, run.phase)),
                    Cell::from(run.progress.clone().unwrap_or_default()),
                    Cell::from(time::span(run.started_at.as_ref(), run.finished_at.as_ref(), layout.now)),
                    Cell::from(time::age(run.started_at.as_ref(), layout.now)),
                    Cell::toned(mark.tone, run.message.clone().unwrap_or_default()),
                ])
                .collect()
        })
        .collect();
    if rows.is_empty() {
        return "no runs here: ask for one with `kubectl tetrarch run WORKFLOW`\n".to_owned();
    }
    let namespace: &[&str] = if layout.namespaces { &["NAMESPACE"] } else { &[] };
    let headings = [namespace, &["RUN", "WORKFLOW", "PHASE", "PROGRESS", "DURATION", "STARTED", "MESSAGE"]].concat();
    table::render(&headings, &rows, layout.style)
}
