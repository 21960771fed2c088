//! Who is woken by what.

use kube::runtime::watcher::Event;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::world::{Writers, follow};

fn meta(name: &str, second: u32) -> Value {
    json!({"name": name, "namespace": "ns", "uid": name, "generation": 1, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")})
}

fn pool(name: &str, second: u32, replicas: i32) -> AgentPool {
    let spec = json!({"supervisorRef": {"name": "s"}, "agent": {"image": "x"}, "replicas": replicas});
    serde_json::from_value(json!({"metadata": meta(name, second), "spec": spec})).unwrap()
}

fn with_ready(mut pool: AgentPool, ready: &str) -> AgentPool {
    let condition = json!({"type": "Ready", "status": ready, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    pool.status = Some(serde_json::from_value(json!({"ready": 1, "conditions": [condition]})).unwrap());
    pool
}

/// A namespace with a Domain, a Supervisor, three pools of different age and a Workflow.
fn world() -> (World, Writers) {
    let (world, mut writers) = World::new();
    let domain: Domain =
        serde_json::from_value(json!({"metadata": {"name": "ns"}, "spec": {"orchestratorRef": {"name": "acme"}}}))
            .unwrap();
    let workflow: Workflow = serde_json::from_value(
        json!({"metadata": meta("w", 1), "spec": {"supervisorRef": {"name": "s"}, "steps": []}}),
    )
    .unwrap();
    follow::apply(&mut writers.domains, &(), &Event::Apply(domain), |_, _| {});
    follow::apply(&mut writers.workflows, &(), &Event::Apply(workflow), |_, _| {});
    for (name, second) in [("old", 1), ("middle", 2), ("young", 3)] {
        follow::apply(&mut writers.pools, &(), &Event::Apply(pool(name, second, 1)), |_, _| {});
    }
    (world, writers)
}

fn woken(old: Option<&AgentPool>, new: Option<&AgentPool>) -> Vec<String> {
    world().0.route_pool(old, new).iter().map(ToString::to_string).collect()
}

const UP: [&str; 2] = ["Domain/ns", "Supervisor/ns/s"];

#[rstest]
#[case::only_numbers("True", "True", &[])]
#[case::readiness("True", "False", &["Workflow/ns/w"])]
fn a_report_goes_up_and_never_wakes_its_own_writer(#[case] before: &str, #[case] after: &str, #[case] beside: &[&str]) {
    let before = with_ready(pool("middle", 2, 1), before);
    let mut after = with_ready(pool("middle", 2, 1), after);
    if let Some(status) = &mut after.status {
        status.ready = 2;
    }
    assert_eq!(woken(Some(&before), Some(&after)), [UP.as_slice(), beside].concat());
}

#[test]
fn a_pool_that_grows_wakes_itself_and_the_younger_ones_that_share_the_limit() {
    let mut grown = pool("middle", 2, 9);
    grown.metadata.generation = Some(2);
    let woken = woken(Some(&pool("middle", 2, 1)), Some(&grown));
    assert_eq!(woken, ["Domain/ns", "Supervisor/ns/s", "AgentPool/ns/middle", "AgentPool/ns/young", "Workflow/ns/w"]);
}

#[test]
fn a_new_image_wakes_no_sibling() {
    let mut changed = pool("middle", 2, 1);
    changed.metadata.generation = Some(2);
    let woken = woken(Some(&pool("middle", 2, 1)), Some(&changed));
    assert_eq!(woken, ["Domain/ns", "Supervisor/ns/s", "AgentPool/ns/middle", "Workflow/ns/w"]);
}

#[test]
fn a_report_on_the_bus_wakes_whom_it_is_about() {
    let (world, _writers) = world();
    let text = |targets: Vec<Target>| targets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(world.route_report("ns", "workflow.s.w")), ["Workflow/ns/w"]);
    let mut of_supervisor = text(world.route_report("ns", "supervisor.s"));
    of_supervisor.sort();
    assert_eq!(of_supervisor, ["AgentPool/ns/middle", "AgentPool/ns/old", "AgentPool/ns/young", "Supervisor/ns/s"]);
    assert!(world.route_report("other", "supervisor.s").is_empty());
}
