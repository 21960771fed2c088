//! Desks against a store in memory that fails, and a cluster in memory that is seen late.

mod cluster;
mod race;
mod store;

use std::time::Duration;

use jiff::Timestamp;
use tetrarch_core::capacity::{Amounts, Claim, Declared, Escalation, Key, Quota, Resource, WhenExceeded};
use tokio::{sync::mpsc, time::sleep};

use self::{
    cluster::Cluster,
    store::{Fault, Memory},
};
use super::{Booked, Capacity};
use crate::{clock::Clock, telemetry::metrics::Metrics};

const ACME: &str = "acme";

fn agents(count: u64) -> Amounts {
    Amounts::NONE.with(Resource::Agents, count)
}

fn gives(count: u64) -> Quota {
    Quota { bounds: [(Resource::Agents, count)].into(), when_exceeded: WhenExceeded::Refuse }
}

fn orchestrator(count: u64) -> (Key, Declared) {
    (Key::orchestrator(ACME), Declared { quota: gives(count), ..Declared::default() })
}

fn domain(name: &str, quota: Quota) -> (Key, Declared) {
    (Key::domain(name), Declared { parents: vec![Key::orchestrator(ACME)], quota, ..Declared::default() })
}

fn supervisor(domain: &str, name: &str, quota: Quota) -> (Key, Declared) {
    (Key::supervisor(domain, name), Declared { parents: vec![Key::domain(domain)], quota, ..Declared::default() })
}

fn pool(domain: &str, supervisor: &str, name: &str, count: u64) -> (Key, Declared) {
    let parents = vec![Key::supervisor(domain, supervisor), Key::domain(domain)];
    (Key::pool(domain, name), Declared { parents, own: agents(count), ..Declared::default() })
}

fn create((key, declared): (Key, Declared), uid: &str) -> Claim {
    Claim { key, uid: uid.to_owned(), base: None, declared }
}

/// The clock of the tests; desks measure times with tokio's, which the tests control.
fn clock() -> Clock {
    Clock::from_fn(|| Timestamp::UNIX_EPOCH)
}

struct Replica {
    capacity: Capacity,
    escalated: mpsc::UnboundedReceiver<Escalation>,
}

fn replica(store: &Memory, cluster: &Cluster, lag: Duration) -> Replica {
    replica_at(store, cluster, lag, clock())
}

fn replica_at(store: &Memory, cluster: &Cluster, lag: Duration, clock: Clock) -> Replica {
    seeded_replica(store, cluster, lag, clock, lag.as_millis().try_into().unwrap())
}

/// A replica whose every pause follows from the seed.
fn seeded_replica(store: &Memory, cluster: &Cluster, lag: Duration, clock: Clock, seed: u64) -> Replica {
    let (sender, escalated) = mpsc::unbounded_channel();
    let metrics = Metrics::new().capacity().clone();
    let capacity = Capacity::new(store.handle(), cluster.seen_after(lag), clock, metrics, sender, seed);
    Replica { capacity, escalated }
}

/// Orchestrator 10 agents > Domain d 10 > Supervisor s 10.
fn department(cluster: &Cluster) {
    cluster.store(orchestrator(10), "o", 1);
    cluster.store(domain("d", gives(10)), "d", 1);
    cluster.store(supervisor("d", "s", gives(10)), "s", 1);
}

fn refused(booked: &Booked) -> bool {
    matches!(booked, Booked::Refused(_))
}

fn granted(booked: &Booked) -> bool {
    matches!(booked, Booked::Granted { .. })
}

#[tokio::test(start_paused = true)]
async fn the_first_claim_takes_up_what_exists_already() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    cluster.store(pool("d", "s", "old", 8), "old", 1);
    let replica = replica(&store, &cluster, Duration::from_hours(1));
    assert!(refused(&replica.capacity.claim(ACME, create(pool("d", "s", "new", 3), "new")).await));
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "new", 2), "new")).await));
}

#[tokio::test(start_paused = true)]
async fn what_exists_and_does_not_fit_is_taken_up_and_reported_but_never_refused() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    cluster.store(pool("d", "s", "old", 80), "old", 1);
    let replica = replica(&store, &cluster, Duration::ZERO);
    let ledger = replica.capacity.survey(ACME).await.unwrap();
    let usage = tetrarch_core::capacity::usage(&ledger, &Key::supervisor("d", "s"));
    assert_eq!((usage[0].booked, usage[0].bound, usage[0].free), (80, Some(10), Some(0)));
    assert!(refused(&replica.capacity.claim(ACME, create(pool("d", "s", "new", 1), "new")).await));
}

#[tokio::test(start_paused = true)]
async fn claims_that_arrive_while_a_write_is_under_way_share_the_next_one() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    store.takes(Duration::from_millis(20));
    let replica = replica(&store, &cluster, Duration::ZERO);
    let claims = (0..10).map(|i| {
        let claim = create(pool("d", "s", &format!("p{i}"), 1), &format!("p{i}"));
        let capacity = replica.capacity.clone();
        async move {
            sleep(Duration::from_millis(i)).await;
            capacity.claim(ACME, claim).await
        }
    });
    let bookings = futures::future::join_all(claims).await;
    assert!(bookings.iter().all(granted), "{bookings:?}");
    assert_eq!(store.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lost_is_computed_again_from_what_the_other_wrote() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let (a, b) = (replica(&store, &cluster, Duration::ZERO), replica(&store, &cluster, Duration::ZERO));
    // Both know the same ledger, then one writes behind the other's back.
    assert!(granted(&a.capacity.claim(ACME, create(pool("d", "s", "a1", 1), "a1")).await));
    assert!(granted(&b.capacity.claim(ACME, create(pool("d", "s", "b1", 1), "b1")).await));
    assert!(granted(&a.capacity.claim(ACME, create(pool("d", "s", "a2", 8), "a2")).await));
    assert!(refused(&b.capacity.claim(ACME, create(pool("d", "s", "b2", 1), "b2")).await));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_never_based_on_an_old_ledger() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let (a, b) = (replica(&store, &cluster, Duration::ZERO), replica(&store, &cluster, Duration::ZERO));
    cluster.store(pool("d", "s", "big", 10), "big", 1);
    assert!(refused(&a.capacity.claim(ACME, create(pool("d", "s", "p", 1), "p")).await));
    assert!(granted(&a.capacity.claim(ACME, create(domain("e", Quota::default()), "e")).await));
    cluster.delete(&Key::pool("d", "big"));
    b.capacity.survey(ACME).await.unwrap();
    assert!(granted(&a.capacity.claim(ACME, create(pool("d", "s", "p", 1), "p")).await));
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_is_free_before_the_leader_has_noticed() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    cluster.store(pool("d", "s", "big", 10), "big", 1);
    let replica = replica(&store, &cluster, Duration::ZERO);
    assert!(refused(&replica.capacity.claim(ACME, create(pool("d", "s", "p", 10), "p")).await));
    cluster.delete(&Key::pool("d", "big"));
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "p", 10), "p")).await));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_because_of_a_request_that_then_fails_is_held_back_until_that_is_known() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let replica = replica(&store, &cluster, Duration::ZERO);
    // The first is stored and deleted again at once, while the second waits for it.
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "first", 10), "first")).await));
    let second = tokio::spawn({
        let capacity = replica.capacity.clone();
        async move { capacity.claim(ACME, create(pool("d", "s", "second", 10), "second")).await }
    });
    sleep(Duration::from_millis(500)).await;
    cluster.store(pool("d", "s", "first", 10), "first", 1);
    cluster.delete(&Key::pool("d", "first"));
    assert!(granted(&second.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_confirmation_was_lost_is_booked_once() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let replica = replica(&store, &cluster, Duration::ZERO);
    store.next(&[Fault::LostAnswer, Fault::LostAnswer]);
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "p", 6), "p")).await));
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "q", 4), "q")).await));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_written_lets_nothing_through_and_says_so() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let replica = replica(&store, &cluster, Duration::ZERO);
    store.is_down(true);
    let booked = replica.capacity.claim(ACME, create(pool("d", "s", "p", 1), "p")).await;
    let Booked::Unavailable(unavailable) = booked else { panic!("{booked:?}") };
    let said = unavailable.to_string();
    assert!(said.contains(r#"the capacity of Orchestrator "acme" cannot be booked right now"#), "{said}");
    assert!(said.contains("did not answer within") && said.ends_with("try again in a moment"), "{said}");

    store.is_down(false);
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "p", 1), "p")).await));
}

#[tokio::test(start_paused = true)]
async fn a_second_survey_of_an_unchanged_cluster_writes_nothing() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    cluster.store(pool("d", "s", "p", 3), "p", 1);
    let (a, b) = (replica(&store, &cluster, Duration::ZERO), replica(&store, &cluster, Duration::ZERO));
    a.capacity.survey(ACME).await.unwrap();
    assert_eq!(store.writes(), 1);
    a.capacity.survey(ACME).await.unwrap();
    b.capacity.survey(ACME).await.unwrap();
    assert_eq!(store.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_whose_view_is_old_frees_nothing_that_exists() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let (old, new) = (replica(&store, &cluster, Duration::ZERO), replica(&store, &cluster, Duration::from_mins(10)));
    cluster.store(pool("d", "s", "p", 10), "p", 1);
    old.capacity.survey(ACME).await.unwrap();
    new.capacity.survey(ACME).await.unwrap();
    assert!(refused(&new.capacity.claim(ACME, create(pool("d", "s", "q", 1), "q")).await));
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_nobody_looked_is_free_after_a_survey() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    cluster.store(pool("d", "s", "p", 10), "p", 1);
    replica(&store, &cluster, Duration::ZERO).capacity.survey(ACME).await.unwrap();
    cluster.delete(&Key::pool("d", "p"));
    cluster.forget_history();
    let replica = replica(&store, &cluster, Duration::ZERO);
    replica.capacity.survey(ACME).await.unwrap();
    assert!(granted(&replica.capacity.claim(ACME, create(pool("d", "s", "q", 10), "q")).await));
}

#[tokio::test(start_paused = true)]
async fn a_stored_object_counts_after_its_claim_expired_although_no_leader_saw_it() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let late = Clock::from_fn(|| Timestamp::UNIX_EPOCH + Duration::from_secs(70));
    let first = replica(&store, &cluster, Duration::ZERO);
    let second = replica_at(&store, &cluster, Duration::from_hours(1), late);
    assert!(granted(&first.capacity.claim(ACME, create(pool("d", "s", "p", 10), "p")).await));
    cluster.store(pool("d", "s", "p", 10), "p", 1);
    assert!(refused(&second.capacity.claim(ACME, create(pool("d", "s", "q", 1), "q")).await));
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_request_that_failed_is_free_after_it_expired() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let late = Clock::from_fn(|| Timestamp::UNIX_EPOCH + Duration::from_secs(70));
    let first = replica(&store, &cluster, Duration::ZERO);
    let second = replica_at(&store, &cluster, Duration::ZERO, late);
    assert!(granted(&first.capacity.claim(ACME, create(pool("d", "s", "p", 10), "p")).await));
    assert!(refused(&first.capacity.claim(ACME, create(pool("d", "s", "q", 1), "q")).await));
    assert!(granted(&second.capacity.claim(ACME, create(pool("d", "s", "q", 1), "q")).await));
}

#[tokio::test(start_paused = true)]
async fn an_escalation_is_told_once_when_it_has_come_true() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let escalates = Quota { when_exceeded: WhenExceeded::Escalate, ..gives(2) };
    cluster.store(supervisor("d", "t", escalates), "t", 1);
    cluster.store(supervisor("d", "s", gives(1)), "s", 2);
    let mut replicas = [(); 2].map(|()| replica(&store, &cluster, Duration::ZERO));
    let booked = replicas[0].capacity.claim(ACME, create(pool("d", "t", "p", 5), "p")).await;
    let Booked::Granted { escalations } = booked else { panic!("{booked:?}") };
    assert_eq!((escalations[0].amount, &escalations[0].granted_by), (3, &Key::domain("d")));
    replicas[1].capacity.survey(ACME).await.unwrap();
    assert!(replicas.iter_mut().all(|replica| replica.escalated.try_recv().is_err()), "told before it came true");

    cluster.store(pool("d", "t", "p", 5), "p", 1);
    for replica in &replicas {
        replica.capacity.survey(ACME).await.unwrap();
    }
    let told: Vec<_> = replicas.iter_mut().filter_map(|replica| replica.escalated.try_recv().ok()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].object, Key::pool("d", "p"));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_goes_with_its_orchestrator() {
    let (store, cluster) = (Memory::default(), Cluster::default());
    department(&cluster);
    let replica = replica(&store, &cluster, Duration::ZERO);
    replica.capacity.survey(ACME).await.unwrap();
    replica.capacity.retire(ACME).await.unwrap();
    assert!(!store.is_empty(), "it exists");
    cluster.delete(&Key::orchestrator(ACME));
    replica.capacity.retire(ACME).await.unwrap();
    assert!(store.is_empty());
    replica.capacity.retire(ACME).await.unwrap();
}
