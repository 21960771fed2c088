//! Properties of the ledger over random histories of requests, stores, failures, watches and time.
//!
//! The world beside it is a plain store with a plain definition of "overbooked" that shares nothing with the ledger.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use rstest::rstest;

use super::{super::*, at};
use crate::{capacity::index::Index, policy::Level};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    /// A request to write an object reaches a webhook.
    Request { object: usize, size: u64, quota: Option<u64>, escalates: bool, supervisor: usize },
    /// The same, but the write of the ledger loses against another replica and the request is given up.
    LostRequest { object: usize, size: u64 },
    /// An admitted request is stored, if the API server takes it.
    Store(usize),
    /// An admitted request fails behind the webhook.
    Fail(usize),
    /// An object is deleted.
    Delete(usize),
    /// The leader sees so many changes.
    Watch(usize),
    /// The leader lists everything.
    List,
    /// The leader looks at the objects whose claims are overdue.
    LookUp,
    /// Seconds go by.
    Wait(i64),
    /// The ledger is read from its stored form.
    Reload,
}

fn happening() -> impl Strategy<Value = Happening> {
    let quota = prop_oneof![2 => Just(None), 3 => (0_u64..14).prop_map(Some)];
    let object = 0..NODES;
    prop_oneof![
        8 => (object.clone(), 0_u64..8, quota, prop::bool::weighted(0.25), 0_usize..3).prop_map(
            |(object, size, quota, escalates, supervisor)| Happening::Request { object, size, quota, escalates, supervisor }
        ),
        1 => (object.clone(), 0_u64..8).prop_map(|(object, size)| Happening::LostRequest { object, size }),
        6 => any::<usize>().prop_map(Happening::Store),
        2 => any::<usize>().prop_map(Happening::Fail),
        1 => object.prop_map(Happening::Delete),
        4 => (1_usize..4).prop_map(Happening::Watch),
        1 => Just(Happening::List),
        2 => Just(Happening::LookUp),
        2 => (1_i64..40).prop_map(Happening::Wait),
        1 => Just(Happening::Reload),
    ]
}

/// An Orchestrator, two Domains, three Supervisors, five pools.
const NODES: usize = 11;

fn node(index: usize, size: u64, quota: Option<u64>, escalates: bool, supervisor: usize) -> (Key, Declared) {
    let name = |prefix: &str, number: usize| format!("{prefix}{number}");
    // Two Supervisors are in the first Domain, one is in the second.
    let domain_of = |supervisor: usize| name("d", supervisor / 2);
    let quota = Quota {
        bounds: quota.map(|bound| (Resource::Agents, bound)).into_iter().collect(),
        when_exceeded: if escalates { WhenExceeded::Escalate } else { WhenExceeded::Refuse },
    };
    match index {
        0 => {
            let bounds =
                BTreeMap::from([(Resource::Agents, quota.bounds.get(&Resource::Agents).map_or(25, |q| q + 12))]);
            let quota = Quota { bounds, ..quota };
            (Key::orchestrator("o"), Declared { quota, ..Declared::default() })
        }
        1 | 2 => {
            let parents = vec![Key::orchestrator("o")];
            (Key::domain(name("d", index - 1)), Declared { parents, quota, ..Declared::default() })
        }
        3..=5 => {
            let domain = domain_of(index - 3);
            let own = Amounts::NONE.with(Resource::Agents, size / 4);
            let parents = vec![Key::domain(&domain)];
            (Key::supervisor(domain, name("s", index - 3)), Declared { parents, own, quota })
        }
        _ => {
            // Pools one to four choose between the Supervisors of the first Domain, the last one is in the second.
            let supervisor = if index == NODES - 1 { 2 } else { supervisor % 2 };
            let domain = domain_of(supervisor);
            let parents = vec![Key::supervisor(&domain, name("s", supervisor)), Key::domain(&domain)];
            let own = Amounts::NONE.with(Resource::Agents, size);
            (Key::pool(domain, name("p", index)), Declared { parents, own, quota: Quota::default() })
        }
    }
}

type Stored = BTreeMap<Key, (String, i64, Declared)>;

/// Whether any node that refuses has children that ask for more than its quota.
fn is_overbooked(stored: &Stored) -> Option<Key> {
    let asks = |key: &Key| asked_below(stored, key);
    stored.iter().find_map(|(key, (.., declared))| {
        let bound = *declared.quota.bounds.get(&Resource::Agents)?;
        let refuses = declared.quota.when_exceeded == WhenExceeded::Refuse || key.level == Level::Orchestrator;
        (refuses && asks(key) > bound).then(|| key.clone())
    })
}

fn asked_below(stored: &Stored, key: &Key) -> u64 {
    let is_child = |declared: &Declared| declared.parents.iter().find(|p| stored.contains_key(p)) == Some(key);
    let children = stored.iter().filter(|(_, (.., declared))| is_child(declared));
    let asks = |(child, (.., declared)): (&Key, &(String, i64, Declared))| {
        let reserved = declared.quota.bounds.get(&Resource::Agents).copied().unwrap_or(0);
        declared.own.get(Resource::Agents) + reserved.max(asked_below(stored, child))
    };
    children.map(asks).sum()
}

fn observed(key: &Key, (uid, generation, declared): &(String, i64, Declared)) -> Observed {
    Observed { key: key.clone(), uid: uid.clone(), generation: *generation, declared: declared.clone() }
}

/// A change that the leader has not seen yet.
enum News {
    Written(Observed),
    Deleted(Key, String),
}

struct World {
    stored: Stored,
    admitted: Vec<(Claim, Timestamp)>,
    news: VecDeque<News>,
    ledger: Ledger,
    seconds: i64,
    created: usize,
    /// The defect of the negative controls: claims end by time alone, after so many seconds.
    patience: Option<i64>,
}

impl World {
    fn new(patience: Option<i64>) -> Self {
        let ledger = Ledger::default();
        Self {
            stored: Stored::new(),
            admitted: vec![],
            news: VecDeque::new(),
            ledger,
            seconds: 0,
            created: 0,
            patience,
        }
    }

    fn claim(&mut self, (key, declared): (Key, Declared)) -> Claim {
        self.created += 1;
        match self.stored.get(&key) {
            Some((uid, generation, _)) => Claim { key, uid: uid.clone(), base: Some(*generation), declared },
            None => Claim { key, uid: format!("u{}", self.created), base: None, declared },
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let now = at(self.seconds);
        match *happening {
            Happening::Request { object, size, quota, escalates, supervisor } => {
                let claim = self.claim(node(object, size, quota, escalates, supervisor));
                if book(&mut self.ledger, claim.clone(), now).is_ok() {
                    self.admitted.push((claim, at(self.seconds + CLAIM_SECONDS)));
                }
            }
            Happening::LostRequest { object, size } => {
                let claim = self.claim(node(object, size, None, false, 0));
                let _ = book(&mut self.ledger.clone(), claim, now);
            }
            Happening::Store(index) if !self.admitted.is_empty() => {
                let (claim, until) = self.admitted.swap_remove(index % self.admitted.len());
                if now < until {
                    self.store(claim);
                }
            }
            Happening::Fail(index) if !self.admitted.is_empty() => {
                self.admitted.swap_remove(index % self.admitted.len());
            }
            Happening::Delete(object) => {
                let (key, _) = node(object, 0, None, false, 0);
                if let Some((uid, ..)) = self.stored.remove(&key) {
                    self.news.push_back(News::Deleted(key, uid));
                }
            }
            Happening::Watch(count) => {
                for _ in 0..count {
                    match self.news.pop_front() {
                        Some(News::Written(object)) => drop(observe(&mut self.ledger, object, now)),
                        Some(News::Deleted(key, uid)) => drop(forget(&mut self.ledger, &key, &uid)),
                        None => break,
                    }
                }
            }
            Happening::List => self.list(),
            Happening::LookUp => {
                for key in overdue(&self.ledger, now) {
                    let found = self.stored.get(&key).map(|stored| observed(&key, stored));
                    look_up(&mut self.ledger, &key, found, now);
                }
            }
            Happening::Wait(seconds) => self.seconds += seconds,
            Happening::Reload => {
                let stored = serde_json::to_string(&self.ledger).unwrap();
                self.ledger = serde_json::from_str(&stored).unwrap();
            }
            Happening::Store(_) | Happening::Fail(_) => {}
        }
        if let Some(patience) = self.patience {
            for key in overdue(&self.ledger, at(self.seconds + CLAIM_SECONDS - patience)) {
                self.ledger.change(&key, |entry| entry.claims.clear());
            }
        }
    }

    /// What the API server does: optimistic locking by generation, names are unique.
    fn store(&mut self, claim: Claim) {
        let generation = match (self.stored.get(&claim.key), claim.base) {
            (None, None) => 1,
            (Some((uid, generation, _)), Some(base)) if *uid == claim.uid && *generation == base => base + 1,
            _ => return,
        };
        let Claim { key, uid, declared, .. } = claim;
        self.stored.insert(key.clone(), (uid.clone(), generation, declared.clone()));
        self.news.push_back(News::Written(Observed { key, uid, generation, declared }));
    }

    fn list(&mut self) {
        self.news.clear();
        let objects = self.stored.iter().map(|(key, stored)| observed(key, stored));
        settle(&mut self.ledger, objects.collect::<Vec<_>>(), at(self.seconds));
    }

    /// Nothing is overbooked, and what is derived is what it would be if it were derived anew.
    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(is_overbooked(&self.stored), None, "{:#?}", self.stored);
        let fresh = Index::of(&self.ledger.entries);
        for key in self.ledger.entries.keys() {
            prop_assert_eq!(self.ledger.children(key), fresh.sum(key));
            prop_assert_eq!(self.ledger.index.asked(key), fresh.asked(key));
        }
        Ok(())
    }
}

fn never_overbooked(history: &[Happening], patience: Option<i64>) -> Result<World, TestCaseError> {
    let mut world = World::new(patience);
    for happening in history {
        world.happen(happening);
        world.check()?;
    }
    Ok(world)
}

fn histories() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(happening(), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_history_overbooks_and_no_settled_ledger_refuses_what_fits(
        history in histories(),
        last in prop::collection::vec((0..NODES, 0_u64..8, prop::option::of(0_u64..14), any::<bool>(), 0_usize..3), 4),
    ) {
        let mut world = never_overbooked(&history, None)?;
        world.admitted.clear();
        world.seconds += CLAIM_SECONDS;
        world.list();
        prop_assert_eq!(world.ledger.claims(), 0);
        for (object, size, quota, escalates, supervisor) in last {
            let claim = world.claim(node(object, size, quota, escalates, supervisor));
            let mut with = world.stored.clone();
            with.insert(claim.key.clone(), (claim.uid.clone(), 0, claim.declared.clone()));
            let fits = is_overbooked(&with).is_none();
            let before = world.ledger.clone();
            let mut after = before.clone();
            let booked = book(&mut after, claim, at(world.seconds));
            prop_assert_eq!(booked.is_ok(), fits, "{:?}", booked);
            prop_assert!(booked.is_ok() || after == before);
        }
    }
}

/// The negative controls: a ledger that gives up claims by time alone is caught by the same property, both when it does so
/// while their requests still live and when it does so as late as it should but without having looked.
#[rstest]
#[case::too_early(5)]
#[case::without_looking(CLAIM_SECONDS)]
fn claims_that_end_by_time_alone_are_caught(#[case] patience: i64) {
    let config =
        ProptestConfig { cases: 3000, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&histories(), |history| never_overbooked(&history, Some(patience)).map(drop));
    assert!(matches!(result, Err(TestError::Fail(..))), "{result:?}");
}
