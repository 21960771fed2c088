//! What exists, with its history, so that it can be seen late; and whether it is overbooked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use tetrarch_core::capacity::{Amounts, Declared, Key, Observed, Resource, WhenExceeded};
use tokio::time::{Instant, sleep};

use super::super::view::{Error, View};

/// One change: what is there since then, or the uid of what is gone.
#[derive(Clone)]
struct Change {
    at: Instant,
    key: Key,
    now: Result<Observed, String>,
}

/// The objects that are stored; clones are the same cluster.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Observed>,
    history: Vec<Change>,
    /// Levels that were overbooked by some change.
    overbooked: Vec<Key>,
}

impl Cluster {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Stores an object as the API server does after its admission.
    pub fn store(&self, (key, declared): (Key, Declared), uid: &str, generation: i64) {
        let object = Observed { key: key.clone(), uid: uid.to_owned(), generation, declared };
        self.with(|state| {
            state.objects.insert(key.clone(), object.clone());
            state.history.push(Change { at: Instant::now(), key, now: Ok(object) });
            state.note_overbooked();
        });
    }

    pub fn delete(&self, key: &Key) {
        self.with(|state| {
            let Some(object) = state.objects.remove(key) else { return };
            state.history.push(Change { at: Instant::now(), key: key.clone(), now: Err(object.uid) });
        });
    }

    pub fn get(&self, key: &Key) -> Option<Observed> {
        self.with(|state| state.objects.get(key).cloned())
    }

    pub fn keys(&self) -> Vec<Key> {
        self.with(|state| state.objects.keys().cloned().collect())
    }

    /// What is there was there always, what is gone never was.
    pub fn forget_history(&self) {
        self.with(|state| {
            let at = Instant::now();
            let change = |(key, object): (&Key, &Observed)| Change { at, key: key.clone(), now: Ok(object.clone()) };
            state.history = state.objects.iter().map(change).collect();
        });
    }

    /// Levels that were overbooked at any time.
    pub fn overbooked(&self) -> Vec<Key> {
        self.with(|state| state.overbooked.clone())
    }

    /// Whether storing this object would overbook a level.
    pub fn would_overbook(&self, (key, declared): &(Key, Declared)) -> bool {
        let object = Observed { key: key.clone(), uid: "new".to_owned(), generation: 1, declared: declared.clone() };
        let mut trial = self.with(|state| State { objects: state.objects.clone(), ..State::default() });
        trial.objects.insert(key.clone(), object);
        trial.note_overbooked();
        !trial.overbooked.is_empty()
    }

    /// The view of a watch that is late.
    pub fn seen_after(&self, lag: Duration) -> Arc<dyn View> {
        Arc::new(Late { cluster: self.clone(), lag })
    }
}

impl State {
    fn children(&self, key: &Key) -> Amounts {
        let parent = |object: &Observed| object.declared.parents.iter().find(|p| self.objects.contains_key(p)).cloned();
        let children = self.objects.values().filter(|object| parent(object).as_ref() == Some(key));
        children.fold(Amounts::NONE, |sum, child| sum.plus(self.demand(child)))
    }

    fn demand(&self, object: &Observed) -> Amounts {
        let children = self.children(&object.key);
        let quota = &object.declared.quota.bounds;
        let asked = Resource::ALL.map(|r| (r, quota.get(&r).copied().unwrap_or_default().max(children.get(r))));
        asked.into_iter().collect::<Amounts>().plus(object.declared.own)
    }

    fn note_overbooked(&mut self) {
        let is_over = |object: &&Observed| {
            if object.declared.quota.when_exceeded == WhenExceeded::Escalate {
                return false;
            }
            let children = self.children(&object.key);
            object.declared.quota.bounds.iter().any(|(resource, bound)| children.get(*resource) > *bound)
        };
        let over: Vec<Key> = self.objects.values().filter(is_over).map(|object| object.key.clone()).collect();
        self.overbooked.extend(over);
    }
}

struct Late {
    cluster: Cluster,
    lag: Duration,
}

impl Late {
    fn changes(&self) -> Vec<Change> {
        let now = Instant::now();
        self.cluster.with(|state| state.history.iter().filter(|change| change.at + self.lag <= now).cloned().collect())
    }

    fn objects(&self) -> BTreeMap<Key, Observed> {
        let mut objects = BTreeMap::new();
        for change in self.changes() {
            match change.now {
                Ok(object) => objects.insert(change.key, object),
                Err(_) => objects.remove(&change.key),
            };
        }
        objects
    }
}

impl View for Late {
    fn everything(&self, _: &str) -> Vec<Observed> {
        self.objects().into_values().collect()
    }

    fn seen(&self, _: &str, key: &Key) -> Option<Observed> {
        self.objects().remove(key)
    }

    fn gone(&self) -> Vec<(Key, String)> {
        self.changes().into_iter().filter_map(|change| Some((change.key, change.now.err()?))).collect()
    }

    fn ask<'a>(&'a self, _: &'a str, key: &'a Key) -> BoxFuture<'a, Result<Option<Observed>, Error>> {
        Box::pin(async move {
            sleep(Duration::from_millis(2)).await;
            Ok(self.cluster.get(key))
        })
    }

    fn ask_everything<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Observed>, Error>> {
        Box::pin(async move {
            sleep(Duration::from_millis(5)).await;
            Ok(self.cluster.with(|state| state.objects.values().cloned().collect()))
        })
    }
}
