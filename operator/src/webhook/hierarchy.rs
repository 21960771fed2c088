//! The hierarchy that decisions about policies are made against: kept up to date by the watches, read by reviews without
//! waiting for them, and by reconciles.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use kube::{Resource, ResourceExt};
use tetrarch_core::policy::Kind;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{
    admit::{
        Index,
        index::{Key, Member},
    },
    conditions::HasConditions,
};
use tokio::{sync::Notify, time::sleep};

use crate::world::{route::is_for_decisions, seen::Listener};

/// Pause in which changes gather, so that a list of thousands is not shown object by object.
const GATHER: Duration = Duration::from_millis(2);

/// A kind that decisions depend on.
pub trait Governed: Resource<DynamicType = ()> + HasConditions {
    /// The kind.
    const KIND: Kind;

    /// The object as the index takes it.
    fn member(object: Arc<Self>) -> Member;
}

macro_rules! governed {
    ($($kind:ident),+) => {
        $(impl Governed for $kind {
            const KIND: Kind = Kind::$kind;

            fn member(object: Arc<Self>) -> Member {
                Member::$kind(object)
            }
        })+
    };
}

governed!(Orchestrator, Domain, Supervisor, AgentPool, Workflow);

/// The hierarchy as last seen. Clones share it.
#[derive(Clone)]
pub struct Hierarchy(Arc<Inner>);

struct Inner {
    /// What the watches write.
    latest: Mutex<Index>,
    /// What reviews read: a little older, never half of a change.
    shown: RwLock<Arc<Index>>,
    changed: Notify,
}

impl Hierarchy {
    /// Begins with this index, usually an empty one.
    pub fn new(index: Index) -> Self {
        Self(Arc::new(Inner {
            shown: RwLock::new(Arc::new(index.clone())),
            latest: Mutex::new(index),
            changed: Notify::new(),
        }))
    }

    /// What the watches have seen: never behind what a reconcile was woken by. It does not change any more.
    pub fn latest(&self) -> Index {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is to be told of every change of a kind.
    pub fn listener<K: Governed>(&self) -> Listener<K> {
        let hierarchy = self.clone();
        Box::new(move |old: Option<&K>, new: Option<&Arc<K>>| match (old, new) {
            (old, Some(new)) if is_for_decisions(old, Some(new.as_ref())) => hierarchy.apply(new.clone()),
            (Some(old), None) => hierarchy.remove(old),
            _ => {}
        })
    }

    /// What reviews know now.
    pub fn snapshot(&self) -> Arc<Index> {
        self.0.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An object came or changed.
    pub fn apply<K: Governed>(&self, object: Arc<K>) {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).apply(K::member(object));
        self.0.changed.notify_one();
    }

    /// An object is gone.
    pub fn remove<K: Governed>(&self, object: &K) {
        let key = Key { kind: K::KIND, namespace: object.namespace().unwrap_or_default(), name: object.name_any() };
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.0.changed.notify_one();
    }

    /// Shows what has changed to the reviews that begin from now on.
    pub fn show(&self) {
        let latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let before = {
            let mut shown = self.0.shown.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shown, Arc::new(latest))
        };
        // Freeing a large index takes its time; nobody waits for it.
        drop(before);
    }

    /// Shows changes soon after they come; never ends.
    pub async fn keep(&self) {
        loop {
            self.0.changed.notified().await;
            sleep(GATHER).await;
            self.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::{api::ObjectMeta, runtime::watcher::Event};
    use serde_json::json;

    use super::*;
    use crate::world::World;

    fn domain(version: &str) -> Domain {
        serde_json::from_value(json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "Domain",
            "metadata": {"name": "compliance", "uid": "1", "resourceVersion": version},
            "spec": {"orchestratorRef": {"name": "main"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_review_goes_on_with_what_it_began_with() {
        let hierarchy = Hierarchy::new(Index::default());
        hierarchy.apply(Arc::new(domain("1")));
        let before = hierarchy.snapshot();
        hierarchy.show();
        let after = hierarchy.snapshot();
        hierarchy.remove(&domain("1"));
        hierarchy.show();
        let known = [before, after, hierarchy.snapshot()].map(|index| index.domain("compliance").is_some());
        assert_eq!(known, [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_shown_by_themselves_within_milliseconds() {
        let hierarchy = Hierarchy::new(Index::default());
        let keeper = hierarchy.clone();
        tokio::spawn(async move { keeper.keep().await });
        hierarchy.apply(Arc::new(domain("1")));
        sleep(GATHER * 2).await;
        assert!(hierarchy.snapshot().domain("compliance").is_some());
    }

    #[test]
    fn what_is_decided_upon_follows_the_watches_before_anybody_is_woken() {
        let (world, mut writers) = World::new(Index::default());
        let named = |name: &str| Domain {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..domain("1").metadata },
            ..domain("1")
        };
        let known = |name: &str| world.hierarchy.latest().domain(name).is_some();
        for (event, expected) in [
            (Event::Apply(named("a")), [true, false]),
            (Event::Init, [true, false]),
            (Event::InitApply(named("b")), [true, false]),
            (Event::InitDone, [false, true]),
            (Event::Delete(named("b")), [false, false]),
        ] {
            let woken =
                |_: Option<&Domain>, new: Option<&Domain>| assert!(new.is_none_or(|new| known(&new.name_any())));
            writers.domains.take(&(), &event, woken);
            assert_eq!([known("a"), known("b")], expected, "{event:?}");
        }
    }
}
