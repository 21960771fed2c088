//! Who is woken by what.

use kube::runtime::watcher::Event;
use rstest::rstest;
use serde_json::{Value, json};
use tetrarch_plan::admit::Index;

use super::*;
use crate::world::Writers;

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
    let (world, mut writers) = World::new(Index::default());
    let domain: Domain =
        serde_json::from_value(json!({"metadata": {"name": "ns"}, "spec": {"orchestratorRef": {"name": "acme"}}}))
            .unwrap();
    let workflow: Workflow = serde_json::from_value(
        json!({"metadata": meta("w", 1), "spec": {"supervisorRef": {"name": "s"}, "steps": []}}),
    )
    .unwrap();
    writers.domains.take(&(), &Event::Apply(domain), |_, _| {});
    writers.workflows.take(&(), &Event::Apply(workflow), |_, _| {});
    for (name, second) in [("old", 1), ("middle", 2), ("young", 3)] {
        writers.pools.take(&(), &Event::Apply(pool(name, second, 1)), |_, _| {});
    }
    (world, writers)
}

fn woken(old: Option<&AgentPool>, new: Option<&AgentPool>) -> Vec<String> {
    world().0.route_pool(old, new).iter().map(ToString::to_string).collect()
}

const UP: [&str; 2] = ["Domain/ns", "Supervisor/ns/s"];

#[rstest]
#[case::only_numbers("True", "True")]
#[case::readiness("True", "False")]
fn a_report_goes_up_and_never_wakes_its_own_writer(#[case] before: &str, #[case] after: &str) {
    let before = with_ready(pool("middle", 2, 1), before);
    let mut after = with_ready(pool("middle", 2, 1), after);
    if let Some(status) = &mut after.status {
        status.ready = 2;
    }
    assert_eq!(woken(Some(&before), Some(&after)), UP);
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

/// A parent that is Ready or not with every pool that starts must not have all of its children reconciled each time.
#[test]
fn readiness_of_a_parent_wakes_none_of_its_pools() {
    let (world, _writers) = world();
    let text = |targets: Vec<Target>| targets.iter().map(ToString::to_string).collect::<Vec<_>>();
    let conditions = |accepted: &str, ready: &str| -> Value {
        [("Accepted", accepted), ("Ready", ready)]
            .map(|(kind, status)| json!({"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
            .into_iter()
            .collect()
    };
    let supervisor = |accepted: &str, ready: &str| -> Supervisor {
        serde_json::from_value(
            json!({"metadata": meta("s", 1), "spec": {}, "status": {"conditions": conditions(accepted, ready)}}),
        )
        .unwrap()
    };
    let domain = |accepted: &str, ready: &str| -> Domain {
        let spec = json!({"orchestratorRef": {"name": "acme"}});
        serde_json::from_value(
            json!({"metadata": {"name": "ns"}, "spec": spec, "status": {"conditions": conditions(accepted, ready)}}),
        )
        .unwrap()
    };
    let (ready, unready) = (supervisor("True", "True"), supervisor("True", "False"));
    assert_eq!(text(world.route_supervisor(Some(&ready), Some(&unready))), ["Domain/ns"]);
    let (ready, unready) = (domain("True", "True"), domain("True", "False"));
    assert_eq!(text(world.route_domain(Some(&ready), Some(&unready))), ["Orchestrator/acme"]);

    // They look at whether it is accepted.
    let woken = text(world.route_supervisor(Some(&supervisor("False", "False")), Some(&supervisor("True", "False"))));
    assert!(woken.contains(&"AgentPool/ns/old".to_owned()) && woken.contains(&"Workflow/ns/w".to_owned()), "{woken:?}");
}

#[test]
fn a_new_pool_wakes_no_other_while_there_is_room_for_all() {
    let (world, mut writers) = world();
    let orchestrator: Orchestrator = serde_json::from_value(
        json!({"metadata": {"name": "acme"}, "spec": {"hierarchy": {"maxAgentsPerSupervisor": 10}}}),
    )
    .unwrap();
    writers.orchestrators.take(&(), &Event::Apply(orchestrator), |_, _| {});
    let pools = |object: &AgentPool| {
        let woken = world.route_pool(None, Some(object));
        woken.iter().map(ToString::to_string).filter(|target| target.contains("AgentPool")).collect::<Vec<_>>()
    };
    assert_eq!(pools(&pool("first", 0, 7)), ["AgentPool/ns/first"]);
    assert_eq!(
        pools(&pool("first", 0, 8)),
        ["AgentPool/ns/first", "AgentPool/ns/middle", "AgentPool/ns/old", "AgentPool/ns/young"]
    );
}

#[test]
fn a_report_on_the_bus_wakes_whom_it_is_about() {
    let (world, _writers) = world();
    let text = |targets: Vec<Target>| targets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(world.route_report("ns", "workflow.s.w", None, None)), ["Workflow/ns/w"]);
    let report = |young: u64| -> Vec<u8> {
        let load = |queued: u64| json!({"queued": queued, "inFlight": 1, "agents": 1});
        let pools = json!({"old": load(4), "young": load(young)});
        json!({"version": 1, "activeRuns": 1, "pools": pools}).to_string().into_bytes()
    };
    let (before, after) = (report(1), report(2));
    let routed =
        |before: Option<&[u8]>, after: Option<&[u8]>| text(world.route_report("ns", "supervisor.s", before, after));
    assert_eq!(routed(None, Some(&after)), ["AgentPool/ns/old", "AgentPool/ns/young", "Supervisor/ns/s"]);
    assert_eq!(routed(Some(&before), Some(&after)), ["AgentPool/ns/young", "Supervisor/ns/s"]);
    assert!(world.route_report("other", "supervisor.s", None, Some(&after)).is_empty());
}
