//! What people see, at several widths, from objects as they are in a cluster.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tetrarch_crds::{AgentPool, Workflow, workflow::RunStatus};

use crate::view::{
    hierarchy::{self, Fleet},
    list::{self, Layout},
    run,
    style::Style,
};

const FLEET: &str = include_str!("tests/fleet.yaml");
const AUDIT: &str = include_str!("tests/audit.yaml");

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn style(width: usize) -> Style {
    Style { colour: false, width: Some(width) }
}

fn objects<T: DeserializeOwned>(yaml: &str, kind: &str) -> Vec<T> {
    let documents = yaml.split("\n---\n").map(|document| serde_yaml::from_str::<serde_json::Value>(document).unwrap());
    documents
        .filter(|document| document["kind"] == kind)
        .map(|document| serde_json::from_value(document).unwrap())
        .collect()
}

fn fleet() -> Fleet {
    Fleet {
        orchestrators: objects(FLEET, "Orchestrator"),
        domains: objects(FLEET, "Domain"),
        supervisors: objects(FLEET, "Supervisor"),
        pools: objects(FLEET, "AgentPool"),
    }
}

fn audit() -> Workflow {
    objects(AUDIT, "Workflow").pop().unwrap()
}

#[rstest::rstest]
#[case::narrow("tree_60", 60, false)]
#[case::usual("tree_120", 120, false)]
#[case::wide("tree_wide", 200, true)]
fn the_hierarchy(#[case] name: &str, #[case] width: usize, #[case] wide: bool) {
    insta::assert_snapshot!(name, hierarchy::render(&fleet().levels(None), wide, now(), style(width)));
}

#[test]
fn the_hierarchy_for_programs() {
    insta::assert_yaml_snapshot!("tree_yaml", fleet().levels(Some("acme")));
}

#[test]
fn without_rights_to_the_upper_levels_the_namespace_is_the_root() {
    let part = Fleet { supervisors: fleet().supervisors, pools: fleet().pools, ..Fleet::default() };
    insta::assert_snapshot!("tree_namespace", hierarchy::render(&part.levels(None), false, now(), style(120)));
}

#[test]
fn an_asked_for_namespace_shows_only_its_branch() {
    let mut fleet = fleet();
    fleet.narrow("compliance");
    let text = hierarchy::render(&fleet.levels(None), false, now(), style(120));
    assert!(text.contains("classifier") && !text.contains("payments"), "{text}");
}

#[test]
fn a_run_whose_outputs_are_removed_says_since_when() {
    let mut audit = audit();
    let shown = |audit: &Workflow| run::render(audit, false, now(), style(120));
    assert!(!shown(&audit).contains("Outputs:"));
    let run = audit.status.as_mut().and_then(|status| status.run.as_mut()).unwrap();
    run.outputs_removed_at = serde_json::from_value(serde_json::json!("2026-11-21T09:00:00Z")).unwrap();
    assert!(shown(&audit).contains("Outputs:      removed 2026-11-21 09:00:00 UTC (1h"), "{}", shown(&audit));
}

#[rstest::rstest]
#[case::narrow("run_60", 60, false)]
#[case::usual("run_120", 120, false)]
#[case::wide("run_wide", 200, true)]
fn a_run(#[case] name: &str, #[case] width: usize, #[case] wide: bool) {
    insta::assert_snapshot!(name, run::render(&audit(), wide, now(), style(width)));
}

#[test]
fn a_workflow_without_a_run_shows_what_will_run() {
    let mut workflow = audit();
    workflow.status = None;
    insta::assert_snapshot!("run_none", run::render(&workflow, false, now(), style(100)));
}

#[test]
fn colours_do_not_move_columns() {
    let coloured = run::render(&audit(), false, now(), Style { colour: true, width: Some(100) });
    let mut plain = String::new();
    let mut escape = false;
    for c in coloured.chars() {
        match c {
            '\x1b' => escape = true,
            'm' if escape => escape = false,
            _ if !escape => plain.push(c),
            _ => {}
        }
    }
    assert!(coloured.contains("\x1b[32m✔ "));
    assert_eq!(plain, run::render(&audit(), false, now(), style(100)));
}

#[test]
fn a_run_that_a_step_began_stands_below_it_with_its_own_steps() {
    let inner = audit();
    let id = inner.status.as_ref().unwrap().run.as_ref().unwrap().id.clone();
    let outer: Workflow = serde_json::from_value(serde_json::json!({
        "apiVersion": "tetrarch.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "quarterly", "namespace": "compliance"},
        "spec": {"steps": [{"name": "audit", "workflow": {"name": inner.metadata.name}}]},
        "status": {"run": {"id": "quarterly-0a1b2-g1", "phase": "Running", "progress": "0/1", "steps": [
            {"name": "audit", "kind": "workflow", "phase": "Running", "tasks": 1, "run": id},
        ]}},
    }))
    .unwrap();
    insta::assert_snapshot!("run_begun", run::render_among(&outer, &[inner], false, now(), style(100)));
    assert!(run::render(&outer, false, now(), style(100)).contains(&id), "also when its steps are not known");
}

#[test]
fn lists() {
    let layout = |wide| Layout { namespaces: true, wide, now: now(), style: style(160) };
    let pools = list::render(&fleet().pools, layout(true));
    let workflows = list::render(&[audit()], layout(false));
    let runs = list::render_runs(&[audit()], layout(false));
    let none = list::render::<AgentPool>(&[], layout(false));
    insta::assert_snapshot!("lists", [pools, workflows, runs, none].join("\n"));
}

#[test]
fn each_change_of_a_run_is_told_once() {
    let after = audit().status.unwrap().run.unwrap();
    let mut before = after.clone();
    before.steps[1].succeeded = 40;
    before.steps[0].phase = tetrarch_crds::workflow::RunPhase::Running;
    insta::assert_snapshot!("changes", run::changes(Some(&before), &after, now()).join("\n"));
    assert_eq!(run::changes(Some(&after), &after, now()), Vec::<String>::new());
    let other = RunStatus { id: "audit-0a1b2-other".to_owned(), ..before };
    assert!(run::changes(Some(&other), &after, now()).len() >= 3);
}
