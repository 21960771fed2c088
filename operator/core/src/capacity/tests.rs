//! Tests of the ledger: tables of refusals and grants, settling, the stored form. Properties are in `histories`.

mod histories;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use super::*;
use crate::policy::Level;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) fn agents(count: u64) -> Amounts {
    Amounts::NONE.with(Resource::Agents, count)
}

fn gives(count: u64, when_exceeded: WhenExceeded) -> Quota {
    Quota { bounds: BTreeMap::from([(Resource::Agents, count)]), when_exceeded }
}

fn orchestrator(quota: Quota) -> (Key, Declared) {
    (Key::orchestrator("acme"), Declared { quota, ..Declared::default() })
}

fn domain(name: &str, quota: Quota) -> (Key, Declared) {
    (Key::domain(name), Declared { parents: vec![Key::orchestrator("acme")], quota, ..Declared::default() })
}

fn supervisor(domain: &str, name: &str, quota: Quota) -> (Key, Declared) {
    let own = Amounts::NONE.with(Resource::Cpu, 100);
    (Key::supervisor(domain, name), Declared { parents: vec![Key::domain(domain)], own, quota })
}

fn pool(domain: &str, supervisor: &str, name: &str, count: u64) -> (Key, Declared) {
    let parents = vec![Key::supervisor(domain, supervisor), Key::domain(domain)];
    (Key::pool(domain, name), Declared { parents, own: agents(count), quota: Quota::default() })
}

fn create((key, declared): (Key, Declared)) -> Claim {
    Claim { uid: format!("uid of {}", key.to_text()), key, base: None, declared }
}

fn update((key, declared): (Key, Declared), base: i64) -> Claim {
    Claim { base: Some(base), ..create((key, declared)) }
}

fn seen((key, declared): (Key, Declared), generation: i64) -> Observed {
    Observed { uid: format!("uid of {}", key.to_text()), key, generation, declared }
}

/// Orchestrator 100 agents > Domain d 50 > Supervisor s 20 > pool p 15, all settled.
fn settled() -> Ledger {
    let mut ledger = Ledger::default();
    let objects = [
        orchestrator(gives(100, WhenExceeded::Refuse)),
        domain("d", gives(50, WhenExceeded::Refuse)),
        supervisor("d", "s", gives(20, WhenExceeded::Refuse)),
        pool("d", "s", "p", 15),
    ];
    assert!(settle(&mut ledger, objects.map(|object| seen(object, 1)), at(0)));
    ledger
}

#[rstest]
#[case::fits(pool("d", "s", "q", 5), None)]
#[case::supervisor(
    pool("d", "s", "q", 6),
    Some(
        "AgentPool \"q\" needs 6 more agents, but Supervisor \"s\" has 5 of 20 left: ask for no more than that, or ask its admins to raise spec.quota.agents"
    )
)]
#[case::domain(
    supervisor("d", "t", gives(31, WhenExceeded::Refuse)),
    Some(
        "Supervisor \"t\" needs 31 more agents, but Domain \"d\" has 30 of 50 left: ask for no more than that, or ask its admins to raise spec.quota.agents"
    )
)]
#[case::orchestrator(
    domain("e", gives(51, WhenExceeded::Refuse)),
    Some(
        "Domain \"e\" needs 51 more agents, but Orchestrator \"acme\" has 50 of 100 left: ask for no more than that, or ask its admins to raise spec.capacity.agents"
    )
)]
#[case::without_a_supervisor_the_domain_decides(
    pool("d", "missing", "q", 31),
    Some(
        "AgentPool \"q\" needs 31 more agents, but Domain \"d\" has 30 of 50 left: ask for no more than that, or ask its admins to raise spec.quota.agents"
    )
)]
#[case::a_domain_without_a_quota_reserves_nothing(domain("e", Quota::default()), None)]
fn a_creation_is_granted_or_the_first_level_without_room_is_named(
    #[case] object: (Key, Declared),
    #[case] expected: Option<&str>,
) {
    let mut ledger = settled();
    let before = ledger.clone();
    match (book(&mut ledger, create(object), at(1)), expected) {
        (Ok(grant), None) => assert!(grant.is_written && ledger.claims() == 1),
        (Err(refusal), Some(expected)) => {
            assert_eq!(refusal.to_string(), expected);
            assert_eq!(ledger, before);
            assert!(!refusal.may_pass_soon());
        }
        (result, _) => panic!("{result:?}"),
    }
}

#[rstest]
#[case::to_what_is_booked(supervisor("d", "s", gives(15, WhenExceeded::Refuse)), None)]
#[case::below_it(
    supervisor("d", "s", gives(14, WhenExceeded::Refuse)),
    Some(
        "spec.quota.agents of Supervisor \"s\" would be 14, but 15 agents are booked under it (most by AgentPool \"p\": 15): write 15 or more, or make them smaller first"
    )
)]
#[case::below_what_a_reserved_quota_books(
    domain("d", gives(19, WhenExceeded::Refuse)),
    Some(
        "spec.quota.agents of Domain \"d\" would be 19, but 20 agents are booked under it (most by Supervisor \"s\": 20): write 20 or more, or make them smaller first"
    )
)]
#[case::escalating_needs_no_room(supervisor("d", "s", gives(1, WhenExceeded::Escalate)), None)]
#[case::the_root_cannot_escalate(
    orchestrator(gives(49, WhenExceeded::Escalate)),
    Some(
        "spec.capacity.agents of Orchestrator \"acme\" would be 49, but 50 agents are booked under it (most by Domain \"d\": 50): write 50 or more, or make them smaller first"
    )
)]
fn lowering_a_quota_stops_at_what_is_booked(#[case] object: (Key, Declared), #[case] expected: Option<&str>) {
    let result = book(&mut settled(), update(object, 1), at(1));
    assert_eq!(result.err().map(|refusal| refusal.to_string()).as_deref(), expected);
}

#[test]
fn the_largest_children_are_named_with_what_is_pending() {
    let mut ledger = settled();
    book(&mut ledger, create(pool("d", "s", "q", 3)), at(1)).unwrap();
    book(&mut ledger, create(pool("d", "s", "r", 2)), at(1)).unwrap();
    let refusal =
        book(&mut ledger, update(supervisor("d", "s", gives(16, WhenExceeded::Refuse)), 1), at(2)).unwrap_err();
    let expected = "spec.quota.agents of Supervisor \"s\" would be 16, but 20 agents are booked under it (most by AgentPool \"p\": 15, AgentPool \"q\": 3, AgentPool \"r\": 2): write 20 or more, or make them smaller first; 5 are held by changes that are being stored right now: trying again in a minute may help";
    assert_eq!(refusal.to_string(), expected);
    let refusal = book(&mut ledger, create(pool("d", "s", "t", 1)), at(2)).unwrap_err();
    assert!(refusal.may_pass_soon(), "{refusal}");
    assert!(
        refusal
            .to_string()
            .ends_with("; 5 are held by changes that are being stored right now: trying again in a minute may help")
    );
}

#[test]
fn what_is_pending_far_below_is_told_at_the_top() {
    let mut ledger = settled();
    settle_one(&mut ledger, domain("e", Quota::default()));
    book(&mut ledger, create(pool("e", "none", "q", 40)), at(1)).unwrap();
    let refusal = book(&mut ledger, create(domain("f", gives(20, WhenExceeded::Refuse))), at(2)).unwrap_err();
    let expected = Shortage::NoRoom {
        object: Key::domain("f"),
        level: Key::orchestrator("acme"),
        resource: Resource::Agents,
        wanted: 20,
        free: 10,
        bound: 100,
        unsettled: 40,
    };
    assert_eq!(refusal.shortage(), &expected);
}

#[test]
fn while_an_update_is_open_demand_is_the_larger_and_supply_the_smaller() {
    let mut ledger = settled();
    // The pool shrinks and the Supervisor grows; neither counts before it is seen.
    book(&mut ledger, update(pool("d", "s", "p", 1), 1), at(1)).unwrap();
    book(&mut ledger, update(supervisor("d", "s", gives(30, WhenExceeded::Refuse)), 1), at(1)).unwrap();
    assert!(book(&mut ledger, create(pool("d", "s", "q", 6)), at(2)).is_err());
    // The quota to come is already booked at the Domain.
    assert!(book(&mut ledger, create(supervisor("d", "t", gives(21, WhenExceeded::Refuse))), at(2)).is_err());
    assert!(observe(&mut ledger, seen(pool("d", "s", "p", 1), 2), at(1)));
    assert!(observe(&mut ledger, seen(supervisor("d", "s", gives(30, WhenExceeded::Refuse)), 2), at(1)));
    assert_eq!(ledger.claims(), 0);
    assert!(book(&mut ledger, create(pool("d", "s", "q", 29)), at(3)).is_ok());
}

#[test]
fn a_claim_ends_when_its_outcome_is_seen_or_when_no_request_lives_that_long() {
    let mut ledger = settled();
    book(&mut ledger, create(pool("d", "s", "q", 5)), at(1)).unwrap();
    assert_eq!(ledger.next_expiry(), Some(at(1) + SignedDuration::from_secs(CLAIM_SECONDS)));
    let q = Key::pool("d", "q");
    assert_eq!(overdue(&ledger, at(CLAIM_SECONDS)), []);
    assert_eq!(overdue(&ledger, at(1 + CLAIM_SECONDS)), std::slice::from_ref(&q));
    // It could still come, and time alone does not tell that it did not.
    assert!(!look_up(&mut ledger, &q, None, at(CLAIM_SECONDS)));
    assert!(book(&mut ledger, create(pool("d", "s", "r", 5)), at(1000)).is_err());
    assert!(look_up(&mut ledger, &q, None, at(1 + CLAIM_SECONDS)));
    assert!(book(&mut ledger, create(pool("d", "s", "r", 5)), at(1 + CLAIM_SECONDS)).is_ok());

    assert!(observe(&mut ledger, seen(pool("d", "s", "r", 5), 1), at(1)));
    assert_eq!(ledger.claims(), 0);
    assert!(forget(&mut ledger, &Key::pool("d", "r"), "uid of p/d/r"));
    assert!(!forget(&mut ledger, &Key::pool("d", "r"), "uid of p/d/r"));
    assert_eq!(ledger, settled());
}

#[test]
fn two_objects_of_one_name_both_count_until_one_is_known_to_be_gone() {
    let mut ledger = settled();
    let again = Observed { uid: "another".to_owned(), ..seen(pool("d", "s", "p", 3), 1) };
    assert!(observe(&mut ledger, again.clone(), at(1)));
    assert!(book(&mut ledger, create(pool("d", "s", "q", 6)), at(1)).is_err());
    // Late news of the first one does not free the second one either.
    observe(&mut ledger, seen(pool("d", "s", "p", 1), 2), at(2));
    assert_eq!(ledger.children(&Key::supervisor("d", "s")), agents(3));
    assert!(forget(&mut ledger, &Key::pool("d", "p"), "uid of p/d/p"));
    assert_eq!(ledger.children(&Key::supervisor("d", "s")), agents(3));
    assert!(look_up(&mut ledger, &Key::pool("d", "p"), Some(again), at(3)));
    assert_eq!(ledger.claims(), 0);
}

#[test]
fn news_that_is_older_than_the_ledger_changes_nothing() {
    let mut ledger = settled();
    assert!(observe(&mut ledger, seen(pool("d", "s", "p", 20), 3), at(1)));
    assert!(!observe(&mut ledger, seen(pool("d", "s", "p", 15), 2), at(1)));
    // An update from generation 3 is still open when 3 is seen again.
    book(&mut ledger, update(pool("d", "s", "p", 1), 3), at(1)).unwrap();
    observe(&mut ledger, seen(pool("d", "s", "p", 20), 3), at(1));
    assert_eq!(ledger.claims(), 1);
    observe(&mut ledger, seen(pool("d", "s", "p", 20), 4), at(1));
    assert_eq!(ledger.claims(), 0);
}

#[test]
fn the_same_claim_again_is_one_claim_and_no_change_is_none() {
    let mut ledger = settled();
    assert_eq!(book(&mut ledger, update(pool("d", "s", "p", 15), 1), at(1)), Ok(Grant::default()));
    for seconds in 1..100 {
        book(&mut ledger, create(pool("d", "s", "q", 5)), at(seconds / 10)).unwrap();
    }
    assert_eq!(ledger.claims(), 1);
}

#[test]
fn a_flood_of_changes_of_one_object_is_refused() {
    let mut ledger = settled();
    let refusal = (0..100)
        .find_map(|count| book(&mut ledger, update(pool("d", "s", "p", count % 15), count.cast_signed()), at(1)).err());
    assert_eq!(refusal.unwrap().to_string(), "64 changes of AgentPool \"p\" are being stored: try again in a minute");
}

#[test]
fn what_escalates_is_granted_by_the_level_above_and_recorded() {
    let mut ledger = settled();
    let escalating = supervisor("d", "s", gives(20, WhenExceeded::Escalate));
    book(&mut ledger, update(escalating.clone(), 1), at(1)).unwrap();
    observe(&mut ledger, seen(escalating, 2), at(1));
    let grant = book(&mut ledger, create(pool("d", "s", "q", 12)), at(2)).unwrap();
    let [escalation] = &grant.escalations[..] else { panic!("{grant:?}") };
    assert_eq!((&escalation.exhausted, &escalation.granted_by), (&Key::supervisor("d", "s"), &Key::domain("d")));
    assert_eq!((escalation.resource, escalation.amount, escalation.is_settled), (Resource::Agents, 7, false));

    assert!(observe(&mut ledger, seen(pool("d", "s", "q", 12), 1), at(1)));
    assert!(ledger.escalations()[0].is_settled);
    let [agents, ..] = usage(&ledger, &Key::supervisor("d", "s"))[..] else { panic!() };
    assert_eq!(agents, Usage { resource: Resource::Agents, bound: Some(20), booked: 27, free: Some(0), escalated: 7 });
    // The Domain has 23 left.
    let refusal = book(&mut ledger, create(pool("d", "s", "r", 24)), at(3)).unwrap_err();
    assert_eq!(refusal.level(), &Key::domain("d"));
    assert!(book(&mut ledger, create(pool("d", "s", "r", 23)), at(3)).is_ok());
    // A change that never comes leaves no record.
    look_up(&mut ledger, &Key::pool("d", "r"), None, at(1000));
    assert_eq!(ledger.escalations().len(), 1);
}

#[test]
fn where_more_is_booked_than_there_is_only_more_is_refused() {
    let mut ledger = settled();
    // Stored while nobody checked.
    observe(&mut ledger, seen(pool("d", "s", "q", 30), 1), at(1));
    assert!(book(&mut ledger, update(pool("d", "s", "q", 29), 1), at(1)).is_ok());
    assert!(book(&mut ledger, update(pool("d", "s", "q", 31), 1), at(1)).is_err());
    assert!(book(&mut ledger, update(supervisor("d", "s", gives(21, WhenExceeded::Refuse)), 1), at(1)).is_ok());
    assert!(book(&mut ledger, create(pool("d", "s", "r", 0)), at(1)).is_ok());
    assert!(book(&mut ledger, create(pool("d", "s", "t", 1)), at(1)).is_err());
}

#[test]
fn a_new_object_takes_no_room_from_one_of_its_name_that_may_be_gone() {
    let mut ledger = settled();
    observe(&mut ledger, seen(pool("d", "s", "q", 15), 1), at(0));
    // What is booked too much already may be what the deleted pool had, and somebody else has its room now.
    let again = Claim { uid: "another".to_owned(), ..create(pool("d", "s", "q", 15)) };
    assert!(book(&mut ledger, again, at(1)).is_err());
    // A change of the pool that is there replaces it for certain.
    let (key, declared) = pool("d", "s", "q", 15);
    let declared = Declared { own: declared.own.with(Resource::Cpu, 1), ..declared };
    assert!(book(&mut ledger, update((key, declared), 1), at(1)).is_ok());
}

#[test]
fn pools_that_were_there_first_count_for_a_new_supervisor() {
    let mut ledger = settled();
    book(&mut ledger, create(pool("d", "late", "q", 10)), at(1)).unwrap();
    let refusal =
        book(&mut ledger, create(supervisor("d", "late", gives(9, WhenExceeded::Refuse))), at(1)).unwrap_err();
    assert!(refusal.to_string().starts_with("spec.quota.agents of Supervisor \"late\" would be 9, but 10 agents"));
    // They move from the Domain to the Supervisor, and are not counted twice.
    book(&mut ledger, create(supervisor("d", "late", gives(30, WhenExceeded::Refuse))), at(1)).unwrap();
    assert_eq!(ledger.children(&Key::domain("d")).get(Resource::Agents), 50);
}

#[test]
fn a_pool_that_moves_counts_at_both_ends_until_it_is_seen() {
    let mut ledger = settled();
    let other = supervisor("d", "t", gives(20, WhenExceeded::Refuse));
    settle_one(&mut ledger, other);
    book(&mut ledger, update(pool("d", "t", "p", 15), 1), at(1)).unwrap();
    assert!(book(&mut ledger, create(pool("d", "s", "q", 6)), at(2)).is_err());
    assert!(book(&mut ledger, create(pool("d", "t", "q", 6)), at(2)).is_err());
    observe(&mut ledger, seen(pool("d", "t", "p", 15), 2), at(1));
    assert!(book(&mut ledger, create(pool("d", "s", "q", 20)), at(3)).is_ok());
}

#[test]
fn a_pool_that_moves_within_its_domain_counts_there_once() {
    let mut ledger = settled();
    // Supervisor s has 20 of the Domain's 50 for itself; what moves between the others takes all the rest.
    settle_one(&mut ledger, supervisor("d", "t", Quota::default()));
    settle_one(&mut ledger, supervisor("d", "u", Quota::default()));
    settle_one(&mut ledger, pool("d", "t", "q", 25));
    book(&mut ledger, update(pool("d", "u", "q", 30), 1), at(1)).unwrap();
    assert!(book(&mut ledger, create(pool("d", "u", "r", 1)), at(2)).is_err());
    assert!(book(&mut ledger, update(pool("d", "u", "q", 31), 1), at(2)).is_err());
}

fn settle_one(ledger: &mut Ledger, object: (Key, Declared)) {
    book(ledger, create(object.clone()), at(0)).unwrap();
    observe(ledger, seen(object, 1), at(1));
}

#[test]
fn a_supervisor_s_own_pods_are_its_domains() {
    let mut ledger = settled();
    let cpu = |ledger: &Ledger, key| usage(ledger, &key).iter().find(|u| u.resource == Resource::Cpu).map(|u| u.booked);
    assert_eq!(cpu(&ledger, Key::domain("d")), Some(100));
    assert_eq!(cpu(&ledger, Key::supervisor("d", "s")), None);
    // A complete list without an object frees what it had.
    settle(&mut ledger, [seen(orchestrator(Quota::default()), 2)], at(1));
    assert_eq!(usages(&ledger).flat_map(|(_, usage)| usage).count(), 0);
}

#[test]
fn the_stored_form_is_short_versioned_and_lossless() {
    let mut ledger = settled();
    book(&mut ledger, update(supervisor("d", "s", gives(20, WhenExceeded::Escalate)), 1), at(1)).unwrap();
    book(&mut ledger, create(domain("e", gives(7, WhenExceeded::Escalate))), at(1)).unwrap();
    let stored = serde_json::to_string(&ledger).unwrap();
    let read: Ledger = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, ledger);
    assert_eq!(read.children(&Key::domain("d")), ledger.children(&Key::domain("d")));
    let pool = r#""p/d/p":{"c":["uid of p/d/p",1,{"u":["s/d/s","d//d"],"o":[15]}]}"#;
    assert!(stored.contains(pool), "{stored}");
    assert!(
        stored.contains(r#""p":[["uid of d//e",null,1800000066000,{"u":["o//acme"],"q":[7],"x":true}]]"#),
        "{stored}"
    );

    for broken in
        [stored.replace(r#""version":1"#, r#""version":2"#), stored.replace("p/d/p", "z/d/p"), "{}".to_owned()]
    {
        assert!(serde_json::from_str::<Ledger>(&broken).is_err());
    }
}

#[test]
fn keys_are_text_and_people_read_kind_and_name() {
    for key in [Key::orchestrator("a"), Key::domain("b"), Key::supervisor("n", "c"), Key::pool("n", "d")] {
        assert_eq!(key.to_text().parse(), Ok(key));
    }
    assert_eq!(Key::pool("n", "d").to_string(), "AgentPool \"d\"");
    assert_eq!(Key::pool("n", "d").level, Level::AgentPool);
    assert!("p/n".parse::<Key>().is_err() && "p/n/".parse::<Key>().is_err() && "p/n/a/b".parse::<Key>().is_err());
}
