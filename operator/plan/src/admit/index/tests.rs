//! Tests of the index: what changes above is seen below, and what does not change is kept.

use serde_json::{Value, json};
use tetrarch_core::policy::{Action, Limit, Subject};

use super::*;
use crate::admit::review::Manifest;

fn member(kind: Kind, document: &Value) -> Member {
    match Manifest::read(kind, document).unwrap() {
        Manifest::Orchestrator(object) => Member::Orchestrator((*object).into()),
        Manifest::Domain(object) => Member::Domain((*object).into()),
        Manifest::Supervisor(object) => Member::Supervisor((*object).into()),
        Manifest::AgentPool(object) => Member::AgentPool((*object).into()),
        Manifest::Workflow(object) => Member::Workflow((*object).into()),
        Manifest::Pod(_) => panic!("no member"),
    }
}

fn policies(agents: u32) -> Value {
    json!([{ "name": "size", "limits": { "agents": agents } }])
}

fn orchestrator(generation: i64, agents: u32) -> Member {
    member(
        Kind::Orchestrator,
        &json!({ "metadata": { "name": "acme", "uid": "o", "generation": generation }, "spec": { "policies": policies(agents) } }),
    )
}

fn domain(name: &str, namespace: &str, created: &str) -> Value {
    json!({
        "metadata": { "name": name, "uid": name, "generation": 1, "creationTimestamp": created },
        "spec": { "orchestratorRef": { "name": "acme" }, "namespace": namespace },
    })
}

fn pool(name: &str, generation: i64, supervisor: &str, replicas: u32) -> Member {
    member(
        Kind::AgentPool,
        &json!({
            "metadata": { "name": name, "namespace": "ns", "uid": name, "generation": generation },
            "spec": { "supervisorRef": { "name": supervisor }, "agent": { "image": "i" }, "replicas": replicas },
        }),
    )
}

fn supervisor(name: &str, agents: Option<u32>) -> Member {
    let policies = agents.map_or(json!([]), policies);
    member(
        Kind::Supervisor,
        &json!({ "metadata": { "name": name, "namespace": "ns", "uid": name, "generation": 1 }, "spec": { "policies": policies } }),
    )
}

fn tree() -> Index {
    let domain = member(Kind::Domain, &domain("compliance", "ns", "2026-01-01T00:00:00Z"));
    Index::default().with([orchestrator(1, 50), domain, supervisor("main", None), pool("classifier", 1, "main", 4)])
}

fn bound(index: &Index, pool: &str) -> Option<u64> {
    let node = index.space("ns")?.pool(pool)?;
    let subject = Subject { kind: Kind::AgentPool, labels: node.object().labels() };
    Some(node.chain().effective(&subject).at(Action::Deny).limits.get(&Limit::Agents)?.value())
}

fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
}

#[test]
fn a_policy_of_each_level_reaches_the_pool_whatever_comes_first() {
    let mut index = Index::default().with([pool("classifier", 1, "main", 4), supervisor("main", Some(30))]);
    assert_eq!(bound(&index, "classifier"), Some(30), "the Supervisor is known before its Domain");
    index.apply(member(Kind::Domain, &domain("compliance", "ns", "2026-01-01T00:00:00Z")));
    index.apply(orchestrator(1, 20));
    assert_eq!(bound(&index, "classifier"), Some(20));
    index.remove(&key(Kind::Orchestrator, "", "acme"));
    assert_eq!(bound(&index, "classifier"), Some(30));
    index.remove(&key(Kind::Supervisor, "ns", "main"));
    assert_eq!(bound(&index, "classifier"), None);
}

#[test]
fn a_change_above_is_seen_at_once_and_not_in_a_snapshot() {
    let mut index = tree();
    let snapshot = index.clone();
    index.apply(orchestrator(2, 10));
    assert_eq!((bound(&index, "classifier"), bound(&snapshot, "classifier")), (Some(10), Some(50)));
}

#[test]
fn what_follows_from_policies_is_kept_when_only_the_status_changed() {
    let mut index = tree();
    let chain = Arc::clone(index.space("ns").unwrap().pool("classifier").unwrap().chain());
    index.apply(orchestrator(1, 50));
    index.apply(pool("classifier", 1, "main", 4));
    assert!(Arc::ptr_eq(&chain, index.space("ns").unwrap().pool("classifier").unwrap().chain()));
}

#[test]
fn pools_without_policies_share_the_chain_of_their_supervisor() {
    let index = tree().with([pool("second", 1, "main", 4)]);
    let space = index.space("ns").unwrap();
    assert!(Arc::ptr_eq(space.pool("second").unwrap().chain(), space.supervisor("main").unwrap().chain()));
}

#[test]
fn sizes_of_pools_are_summed_for_each_supervisor() {
    let mut index = tree().with([pool("second", 1, "main", 6)]);
    let sum = |index: &Index, supervisor: &str| index.space("ns").unwrap().agents_of(supervisor);
    assert_eq!(sum(&index, "main"), 10);
    index.apply(pool("second", 2, "spare", 7));
    assert_eq!((sum(&index, "main"), sum(&index, "spare")), (4, 7));
    index.remove(&key(Kind::AgentPool, "ns", "second"));
    assert_eq!(sum(&index, "spare"), 0);
}

#[test]
fn of_two_domains_that_claim_a_namespace_the_accepted_one_owns_it_else_the_older() {
    let older = domain("older", "ns", "2026-01-01T00:00:00Z");
    let mut younger = domain("younger", "ns", "2026-01-02T00:00:00Z");
    let mut index = Index::default().with([member(Kind::Domain, &younger), member(Kind::Domain, &older)]);
    assert_eq!(index.space("ns").unwrap().owner(), Some("older"));
    younger["status"] = json!({ "conditions": [{
        "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-02T00:00:00Z",
    }] });
    index.apply(member(Kind::Domain, &younger));
    assert_eq!(index.space("ns").unwrap().owner(), Some("younger"));
    index.remove(&key(Kind::Domain, "", "younger"));
    assert_eq!(index.space("ns").unwrap().owner(), Some("older"));
}

#[test]
fn a_domain_that_is_being_deleted_is_none_of_the_living() {
    let mut index = tree();
    let mut leaving = domain("compliance", "ns", "2026-01-01T00:00:00Z");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-02-01T00:00:00Z");
    index.apply(member(Kind::Domain, &leaving));
    assert_eq!((index.living_domains("acme").len(), index.domains_of("acme").count()), (0, 1));
    index.remove(&key(Kind::Domain, "", "compliance"));
    assert_eq!(index.domains_of("acme").count(), 0);
}
