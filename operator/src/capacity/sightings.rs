//! What the watches have seen to be deleted lately, and that something changed which matters for capacity.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{Resource, api::ObjectMeta};
use tetrarch_core::capacity::Key;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tokio::{sync::Notify, time::Instant};

/// How long a deletion is remembered: until every leader has written it down.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Most deletions that are remembered; the oldest are forgotten, and the leader asks for what it misses.
const MOST: usize = 20_000;

/// A cheap handle to what was seen.
#[derive(Clone, Default)]
pub struct Sightings {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    gone: Mutex<VecDeque<(Instant, Key, String)>>,
    changed: Notify,
}

/// A kind that takes part in capacity, or not.
pub trait Booked: Resource<DynamicType = ()> {
    /// The key in the ledger; none for kinds that take no part.
    fn key(meta: &ObjectMeta) -> Option<Key>;
}

macro_rules! booked {
    ($($kind:ident: |$namespace:ident, $name:ident| $key:expr;)*) => {$(
        impl Booked for $kind {
            fn key(meta: &ObjectMeta) -> Option<Key> {
                let ($namespace, $name) = (meta.namespace.clone().unwrap_or_default(), meta.name.clone()?);
                $key
            }
        }
    )*};
}

booked! {
    Orchestrator: |_namespace, name| Some(Key::orchestrator(name));
    Domain: |_namespace, name| Some(Key::domain(name));
    Supervisor: |namespace, name| Some(Key::supervisor(namespace, name));
    AgentPool: |namespace, name| Some(Key::pool(namespace, name));
    Workflow: |_namespace, _name| None;
}

impl Sightings {
    /// Takes up one change of an object.
    pub fn note<K: Booked>(&self, old: Option<&K>, new: Option<&K>) {
        let (old, new) = (old.map(Resource::meta), new.map(Resource::meta));
        let Some(key) = new.or(old).and_then(K::key) else { return };
        let uid = |meta: Option<&ObjectMeta>| meta.and_then(|meta| meta.uid.clone());
        if let Some(gone) = uid(old).filter(|gone| uid(new).as_ref() != Some(gone)) {
            self.remember(key, gone);
        } else if old.is_some_and(|old| new.is_some_and(|new| old.generation == new.generation)) {
            // Only its status or metadata.
            return;
        }
        self.shared.changed.notify_one();
    }

    fn remember(&self, key: Key, uid: String) {
        let now = Instant::now();
        let mut gone = self.shared.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.push_back((now, key, uid));
        while gone.len() > MOST || gone.front().is_some_and(|(at, ..)| *at + REMEMBERED < now) {
            gone.pop_front();
        }
    }

    /// Objects that were deleted lately, with their uids.
    pub fn gone(&self) -> Vec<(Key, String)> {
        let gone = self.shared.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.iter().map(|(_, key, uid)| (key.clone(), uid.clone())).collect()
    }

    /// Waits for a change that matters; one that happened since the last wait counts.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn pool(uid: &str, generation: i64) -> AgentPool {
        let manifest = serde_json::json!({
            "apiVersion": "tetrarch.dev/v1alpha1", "kind": "AgentPool",
            "metadata": { "name": "p", "namespace": "d", "uid": uid, "generation": generation },
            "spec": { "agent": { "image": "a:1" } },
        });
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn a_deletion_is_remembered_also_when_another_object_took_the_name_at_once() {
        let sightings = Sightings::default();
        sightings.note(Some(&pool("a", 1)), Some(&pool("b", 1)));
        sightings.note(Some(&pool("b", 1)), None);
        let key = || Key::pool("d", "p");
        assert_eq!(sightings.gone(), [(key(), "a".to_owned()), (key(), "b".to_owned())]);
    }

    #[test]
    fn a_change_of_the_status_wakes_nobody() {
        let sightings = Sightings::default();
        sightings.note(Some(&pool("a", 1)), Some(&pool("a", 1)));
        assert!(sightings.changed().now_or_never().is_none());
        sightings.note(Some(&pool("a", 1)), Some(&pool("a", 2)));
        assert!(sightings.changed().now_or_never().is_some());
    }
}
