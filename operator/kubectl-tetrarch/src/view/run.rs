//! A run: a header block and a tree of its steps, and what changed from one state to the next.

use std::fmt::Write as _;

use jiff::Timestamp;
use kube::ResourceExt as _;
use tetrarch_crds::{
    Workflow,
    workflow::{PlanStatus, RunPhase, RunStatus, Step, StepStatus},
};

use crate::{
    request::latest,
    view::{
        hierarchy,
        style::{Style, Tone, phase_mark},
        table::Cell,
        time,
        tree::{self, Node},
    },
};

/// Renders a Workflow with its latest run.
pub fn render(workflow: &Workflow, wide: bool, now: Timestamp, style: Style) -> String {
    render_among(workflow, &[], wide, now, style)
}

/// Renders a Workflow with its latest run, and the runs that it began as far as they are the latest ones of `others`.
pub fn render_among(workflow: &Workflow, others: &[Workflow], wide: bool, now: Timestamp, style: Style) -> String {
    let mut text = header(workflow, now, style);
    text.push('\n');
    text.push_str(&steps(workflow, others, wide, now, style));
    text
}

fn header(workflow: &Workflow, now: Timestamp, style: Style) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let shown: String = value.chars().take(style.width.unwrap_or(usize::MAX).saturating_sub(14)).collect();
        let _ = writeln!(text, "{:<13} {}", format!("{name}:"), shown);
    };
    let status = workflow.status.clone().unwrap_or_default();
    line("Name", &workflow.name_any());
    line("Namespace", &workflow.namespace().unwrap_or_default());
    let written = workflow.spec.supervisor_ref.as_ref().map(|reference| reference.name.clone());
    line("Supervisor", &status.supervisor.or(written).unwrap_or_else(|| "default".to_owned()));
    line("Priority", &format!("{:?}", workflow.spec.priority).to_lowercase());
    if let Some(message) = hierarchy::message(&status.conditions) {
        line("Condition", &message);
    }
    if let Some(schedule) = &workflow.spec.schedule {
        let next = status.schedule.as_ref().and_then(|known| known.next_time.as_ref());
        let next = match next {
            _ if schedule.suspend => "suspended".to_owned(),
            Some(next) => format!("next {}", time::moment(next)),
            None => "not read yet".to_owned(),
        };
        line("Schedule", &format!("{} {}, {next}", schedule.cron, schedule.time_zone));
    }
    for trigger in &workflow.spec.triggers {
        if let Some(completion) = &trigger.completion {
            let phases: Vec<String> = completion.phases.iter().map(|phase| format!("{phase:?}")).collect();
            let told = format!("{}, after runs of {} ({})", trigger.name, completion.workflow, phases.join(", "));
            line("Trigger", &told);
        }
        if let Some(webhook) = &trigger.webhook {
            let path = format!("/hooks/{}/{}", workflow.name_any(), trigger.name);
            line("Trigger", &format!("{}, by webhook POST {path} ({:?})", trigger.name, webhook.signature));
        }
        if let Some(event) = &trigger.event {
            line("Trigger", &format!("{}, by events about {}", trigger.name, event.topic));
        }
    }
    for question in &status.waiting {
        line("Waits for", &format!("{}, until {}: {}", question.whom, time::moment(&question.until), question.message));
        line(
            "",
            &format!(
                "decide with `kubectl tetrarch approve {0} --id {1}` or `reject`",
                workflow.name_any(),
                question.id
            ),
        );
    }
    let Some(run) = &status.run else {
        line("Run", "none yet: ask for one with `kubectl tetrarch run`");
        return text;
    };
    line("Run", &run.id);
    if let Some(cause) = &run.cause {
        line("Cause", cause);
    }
    let mark = phase_mark(run.phase);
    line("Phase", &style.paint(mark.tone, &format!("{} {:?}", mark.icon, run.phase)));
    if let Some(message) = &run.message {
        line("Message", message);
    }
    if let Some(started) = &run.started_at {
        line("Started", &format!("{} ({} ago)", time::moment(started), time::age(Some(started), now)));
    }
    if let Some(finished) = &run.finished_at {
        line("Finished", &format!("{} ({} ago)", time::moment(finished), time::age(Some(finished), now)));
    }
    if let Some(removed) = &run.outputs_removed_at {
        let told = format!("removed {} ({} ago)", time::moment(removed), time::age(Some(removed), now));
        line("Outputs", &told);
    }
    if run.started_at.is_some() {
        line("Duration", &time::span(run.started_at.as_ref(), run.finished_at.as_ref(), now));
    }
    line("Progress", run.progress.as_deref().unwrap_or("0"));
    text
}

/// The tree of the steps. Steps that the run does not know yet are drawn from the definition.
fn steps(workflow: &Workflow, others: &[Workflow], wide: bool, now: Timestamp, style: Style) -> String {
    let run = latest(workflow);
    let mut headings = vec!["STEP", "KIND", "TASKS", "RETRIES", "DURATION"];
    if wide {
        headings.extend(["AFTER", "STARTED", "FINISHED"]);
    }
    headings.push("MESSAGE");
    let root = Node {
        mark: Some(phase_mark(run.map_or(RunPhase::Pending, |run| run.phase))),
        title: Cell::toned(Tone::Strong, workflow.name_any()),
        cells: Vec::new(),
        children: nodes(workflow, others, wide, now),
    };
    tree::render(&headings, &[root], style)
}

fn nodes(workflow: &Workflow, others: &[Workflow], wide: bool, now: Timestamp) -> Vec<Node> {
    let run = latest(workflow);
    let of_step = |step: &Step| {
        let known = run.and_then(|run| run.steps.iter().find(|found| found.name == step.name));
        let status = known.cloned().unwrap_or_else(|| pending(step));
        let children = match &status.plan {
            Some(plan) => planned(plan, wide),
            None => status.run.iter().map(|id| begun(id, &status, others, wide, now)).collect(),
        };
        Node { children, ..node(step, &status, wide, now) }
    };
    workflow.spec.steps.iter().map(of_step).collect()
}

/// The run that a step began. Its own Workflow knows its steps while it is the latest one there.
fn begun(id: &str, status: &StepStatus, others: &[Workflow], wide: bool, now: Timestamp) -> Node {
    let is_it = |other: &&Workflow| latest(other).is_some_and(|run| run.id == id);
    let found = others.iter().find(is_it);
    let phase = found.and_then(latest).map_or(status.phase, |run| run.phase);
    Node {
        mark: Some(phase_mark(phase)),
        title: Cell::from(id.to_owned()),
        cells: Vec::new(),
        children: found.map(|other| nodes(other, others, wide, now)).unwrap_or_default(),
    }
}

/// What a step is to do by its plan, below the reason for it.
fn planned(plan: &PlanStatus, wide: bool) -> Vec<Node> {
    let line = |title: Cell, mark, kind: &str, after: String, message: String| {
        let mut cells = vec![Cell::from(kind.to_owned()), Cell::default(), Cell::default(), Cell::default()];
        if wide {
            cells.extend([Cell::from(after), Cell::default(), Cell::default()]);
        }
        cells.push(Cell::from(message));
        Node { mark, title, cells, children: Vec::new() }
    };
    let steps = plan.steps.iter().map(|step| {
        let mark = phase_mark(step.phase);
        line(Cell::from(step.name.clone()), Some(mark), &step.capability, step.after.join(","), String::new())
    });
    let more = plan
        .more_steps
        .map(|more| line(Cell::from(format!("and {more} more")), None, "", String::new(), String::new()));
    let why = line(Cell::from(plan.complexity.clone()), None, &plan.pattern, String::new(), plan.reason.clone());
    std::iter::once(why).chain(steps).chain(more).collect()
}

fn pending(step: &Step) -> StepStatus {
    StepStatus { name: step.name.clone(), kind: kind(step).to_owned(), ..StepStatus::default() }
}

fn kind(step: &Step) -> &'static str {
    if step.map.is_some() {
        "map"
    } else if step.parallel.is_some() {
        "parallel"
    } else if step.pipeline.is_some() {
        "pipeline"
    } else if step.scatter.is_some() {
        "scatter"
    } else if step.r#loop.is_some() {
        "loop"
    } else if step.wait.is_some() {
        "wait"
    } else if step.approval.is_some() {
        "approval"
    } else if step.workflow.is_some() {
        "workflow"
    } else if step.auto.is_some() {
        "auto"
    } else {
        "task"
    }
}

fn node(step: &Step, status: &StepStatus, wide: bool, now: Timestamp) -> Node {
    let mark = phase_mark(status.phase);
    let retries = if status.retries > 0 { status.retries.to_string() } else { String::new() };
    let mut cells = vec![
        Cell::from(status.kind.clone()),
        tasks(status),
        Cell::from(retries),
        Cell::from(time::span(status.started_at.as_ref(), status.finished_at.as_ref(), now)),
    ];
    if wide {
        cells.push(Cell::from(step.after.join(",")));
        cells.push(Cell::from(status.started_at.as_ref().map(time::moment).unwrap_or_default()));
        cells.push(Cell::from(status.finished_at.as_ref().map(time::moment).unwrap_or_default()));
    }
    let message = status.message.clone().or_else(|| (status.phase == RunPhase::Skipped).then(|| "skipped".to_owned()));
    cells.push(Cell::toned(mark.tone, message.unwrap_or_default()));
    Node { mark: Some(mark), title: Cell::from(status.name.clone()), cells, children: Vec::new() }
}

/// `120/370`, and how many failed.
fn tasks(status: &StepStatus) -> Cell {
    if status.tasks == 0 {
        return Cell::default();
    }
    let cell = Cell::from(format!("{}/{}", status.succeeded, status.tasks));
    if status.failed > 0 { cell.then(Tone::Bad, format!(" {} failed", status.failed)) } else { cell }
}

/// One line for each thing that changed from one state of a run to the next.
pub fn changes(before: Option<&RunStatus>, after: &RunStatus, now: Timestamp) -> Vec<String> {
    let before = before.filter(|before| before.id == after.id);
    let mut lines = Vec::new();
    for step in &after.steps {
        let old = before.and_then(|before| before.steps.iter().find(|old| old.name == step.name));
        let changed = old.map_or(step.phase != RunPhase::Pending, |old| {
            (old.phase, old.succeeded, old.failed, old.retries)
                != (step.phase, step.succeeded, step.failed, step.retries)
        });
        if changed {
            lines.push(step_line(step, now));
        }
    }
    let run_changed = before.is_none_or(|before| before.phase != after.phase || before.message != after.message);
    if run_changed {
        let told = after.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        let progress = after.progress.as_ref().map(|progress| format!(" {progress}")).unwrap_or_default();
        lines.push(format!("{} {} {:?}{progress}{told}", phase_mark(after.phase).icon, after.id, after.phase));
    }
    lines
}

fn step_line(step: &StepStatus, now: Timestamp) -> String {
    let mut line = format!("{} {} {:?}", phase_mark(step.phase).icon, step.name, step.phase);
    if step.tasks > 0 {
        let _ = write!(line, " {}/{}", step.succeeded, step.tasks);
    }
    if step.failed > 0 {
        let _ = write!(line, ", {} failed", step.failed);
    }
    if step.retries > 0 {
        let _ = write!(line, ", {} retries", step.retries);
    }
    let took = time::span(step.started_at.as_ref(), step.finished_at.as_ref(), now);
    if step.finished_at.is_some() && !took.is_empty() {
        let _ = write!(line, " in {took}");
    }
    if let Some(message) = &step.message {
        let _ = write!(line, ": {message}");
    }
    line
}
