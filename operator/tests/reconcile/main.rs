//! Reconciles of all kinds against an API server in memory: what is written, what happens when a write fails, and what is
//! left when the process dies after any of its writes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bus;
mod department;
mod harness;

use department::condition;
use harness::{Harness, distinct};
use rstest::rstest;
use serde_json::json;
use tetrarch_protocol::summary::{PoolReport, SupervisorReport};
use tetrarch_testkit::fake_api::Fault;

const HERE: Option<&str> = Some("compliance");

async fn settled() -> Harness {
    let mut harness = Harness::new();
    department::apply(&harness.api);
    harness.settle().await;
    harness
}

#[tokio::test]
async fn a_department_is_written_in_full_and_becomes_ready() {
    let mut harness = Harness::new();
    department::apply(&harness.api);
    let written = distinct(&harness.settle().await);
    for expected in [
        "apply namespaces compliance",
        "apply resourcequotas compliance/tetrarch-quota",
        "apply limitranges compliance/tetrarch-defaults",
        "apply networkpolicies compliance/tetrarch-default-deny",
        "apply rolebindings compliance/tetrarch-admin",
        "apply deployments compliance/licences-supervisor",
        "apply services compliance/licences-supervisor",
        "apply poddisruptionbudgets compliance/licences-supervisor",
        "apply secrets compliance/licences-supervisor-bus",
        "apply deployments compliance/classifier-agents",
        "apply secrets compliance/classifier-agent-bus",
        "apply horizontalpodautoscalers compliance/classifier-agents",
        "patch domains compliance",
        "status orchestrators acme",
    ] {
        assert!(written.contains(expected), "{expected} is missing in {written:#?}");
    }
    assert!(!written.iter().any(|write| write.starts_with("delete")), "{written:#?}");
    for (plural, namespace, name) in [
        ("agentpools", HERE, "classifier"),
        ("supervisors", HERE, "licences"),
        ("domains", None, "compliance"),
        ("orchestrators", None, "acme"),
    ] {
        let ready = condition(&harness.api, plural, namespace, name, "Ready");
        assert!(ready.starts_with("True"), "{plural}: {ready}");
    }
    assert_eq!(harness.bus.config_keys(), ["supervisor.licences", "workflow.licences.audit"]);
}

#[tokio::test]
async fn a_second_look_at_an_unchanged_world_writes_nothing_and_asks_nothing() {
    let mut harness = settled().await;
    let requests = harness.api.requests();
    assert_eq!(harness.round().await, [""; 0]);
    assert_eq!(distinct(&harness.api.take_writes()), [""; 0].map(ToOwned::to_owned).into());
    assert_eq!(harness.api.requests(), requests, "an unchanged world costs requests");
}

#[tokio::test]
async fn a_new_leader_of_an_unchanged_world_writes_nothing() {
    let mut harness = settled().await;
    harness.restart();
    assert_eq!(distinct(&harness.settle().await), [""; 0].map(ToOwned::to_owned).into());
}

#[tokio::test]
async fn a_process_that_dies_after_any_write_leaves_a_world_that_converges_to_the_same_end() {
    let reference = settled().await;
    let mut crashes = 0;
    loop {
        let mut harness = Harness::new();
        department::apply(&harness.api);
        harness.api.fail(Fault::CrashAfter(crashes));
        for _ in 0..10 {
            harness.round().await;
        }
        let died = harness.api.take_writes().len() >= crashes;
        harness.api.fail(Fault::None);
        harness.restart();
        harness.settle().await;
        assert_eq!(harness.api.end_state(), reference.api.end_state(), "after a crash at write {crashes}");
        assert_eq!(harness.bus.content(), reference.bus.content(), "after a crash at write {crashes}");
        if !died {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "only {crashes} writes were tried");
}

#[tokio::test]
async fn a_process_that_dies_while_deleting_a_domain_leaves_nothing_behind() {
    let mut crashes = 0;
    loop {
        let mut harness = settled().await;
        let foreign = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "foreign"}});
        harness.api.put("namespaces", &foreign);
        let deleted = json!({"metadata": {"name": "compliance", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        harness.api.put("domains", &deleted);
        harness.api.fail(Fault::CrashAfter(crashes));
        for _ in 0..10 {
            harness.round().await;
        }
        let died = harness.api.take_writes().len() >= crashes;
        harness.api.fail(Fault::None);
        harness.restart();
        harness.settle().await;
        let left: Vec<String> = harness.api.end_state().into_keys().collect();
        // What is inside of the namespace goes with it; here only its absence shows that.
        let outside: Vec<&String> = left.iter().filter(|path| !path.contains("compliance/")).collect();
        assert_eq!(outside, ["namespaces foreign", "orchestrators acme"], "after a crash at write {crashes}");
        assert_eq!(harness.bus.content(), bus::Content::default(), "after a crash at write {crashes}");
        if !died {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 5, "only {crashes} writes were tried");
}

#[rstest]
#[case("namespaces", "apply", "domains", None, "compliance")]
#[case("resourcequotas", "apply", "domains", None, "compliance")]
#[case("networkpolicies", "apply", "domains", None, "compliance")]
#[case("rolebindings", "apply", "domains", None, "compliance")]
#[case("deployments", "apply", "supervisors", HERE, "licences")]
#[case("secrets", "apply", "supervisors", HERE, "licences")]
#[case("serviceaccounts", "apply", "supervisors", HERE, "licences")]
#[case("horizontalpodautoscalers", "apply", "agentpools", HERE, "classifier")]
#[case("services", "apply", "agentpools", HERE, "classifier")]
#[tokio::test]
async fn a_refused_write_is_told_in_the_condition_and_made_good_later(
    #[case] resource: &str,
    #[case] verb: &'static str,
    #[case] plural: &str,
    #[case] namespace: Option<&str>,
    #[case] name: &str,
    #[values(403, 500)] code: u16,
) {
    let reference = settled().await;
    let mut harness = Harness::new();
    department::apply(&harness.api);
    harness.api.fail(Fault::Refuse { resource: resource.to_owned(), verb, code });
    for _ in 0..6 {
        harness.round().await;
    }
    let reason = if code == 403 { "Forbidden" } else { "ApplyFailed" };
    let ready = condition(&harness.api, plural, namespace, name, "Ready");
    assert!(ready.starts_with(&format!("False {reason}")), "{ready}");

    harness.api.fail(Fault::None);
    harness.settle().await;
    assert_eq!(harness.api.end_state(), reference.api.end_state());
}

#[tokio::test]
async fn an_object_of_someone_else_is_never_written_over() {
    let mut harness = Harness::new();
    department::apply(&harness.api);
    let spec = json!({"clusterIP": "None", "selector": {"app": "theirs"}});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "classifier-agents", "namespace": "compliance"}, "spec": spec,
    });
    harness.api.put("services", &service);
    for _ in 0..6 {
        harness.round().await;
    }
    let ready = condition(&harness.api, "agentpools", HERE, "classifier", "Ready");
    assert!(ready.starts_with("False ChildNotOwned") && ready.contains("classifier-agents"), "{ready}");
    assert_eq!(harness.api.get("services", HERE, "classifier-agents").unwrap()["spec"], spec);
}

#[tokio::test]
async fn a_child_that_somebody_edits_is_put_right() {
    let mut harness = settled().await;
    let mut deployment = harness.api.get("deployments", HERE, "licences-supervisor").unwrap();
    deployment["spec"]["replicas"] = json!(7);
    harness.api.put("deployments", &deployment);
    harness.settle().await;
    let deployment = harness.api.get("deployments", HERE, "licences-supervisor").unwrap();
    assert_eq!(deployment["spec"]["replicas"], json!(2));
}

#[tokio::test]
async fn work_that_a_supervisor_reports_is_counted_at_every_level() {
    let mut harness = settled().await;
    let work = PoolReport { queued: 7, in_flight: 2, agents: 1 };
    let report = SupervisorReport {
        version: 1,
        active_runs: 3,
        pools: [("classifier".to_owned(), work)].into(),
        ..SupervisorReport::default()
    };
    harness.bus.put_report("supervisor.licences", &report);
    harness.settle().await;
    for (plural, namespace, name) in [
        ("agentpools", HERE, "classifier"),
        ("supervisors", HERE, "licences"),
        ("domains", None, "compliance"),
        ("orchestrators", None, "acme"),
    ] {
        let work = harness.api.get(plural, namespace, name).unwrap()["status"]["work"].clone();
        assert_eq!(work, json!({"queued": 7, "inFlight": 2}), "{plural}");
    }
    assert_eq!(harness.api.get("supervisors", HERE, "licences").unwrap()["status"]["activeRuns"], json!(3));
}

#[tokio::test]
async fn without_the_bus_the_cluster_part_is_written_and_the_status_says_why_it_is_not_ready() {
    let mut harness = Harness::new();
    department::apply(&harness.api);
    harness.bus.set_unreachable(true);
    for _ in 0..6 {
        harness.round().await;
    }
    assert!(harness.api.get("namespaces", None, "compliance").is_some());
    let ready = condition(&harness.api, "domains", None, "compliance", "Ready");
    assert!(ready.starts_with("False BusUnavailable"), "{ready}");

    harness.bus.set_unreachable(false);
    harness.settle().await;
    let ready = condition(&harness.api, "domains", None, "compliance", "Ready");
    assert!(ready.starts_with("True"), "{ready}");
}
