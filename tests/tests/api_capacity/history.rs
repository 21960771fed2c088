//! Every version of every object of the hierarchy as the API server has stored it, and which of them overbooked a level.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use futures::StreamExt;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tetrarch_core::capacity::{Amounts, Declared, Key, Resource as Counted, WhenExceeded};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor};
use tetrarch_plan::admit::booking::{of_domain, of_orchestrator, of_pool, of_supervisor};
use tokio::task::JoinSet;

/// One stored version, or a deletion; by its revision.
type Versions = BTreeMap<u64, (Key, Option<Declared>)>;

/// Watches from its start on. All kinds share the revisions of one etcd.
pub struct History {
    versions: Arc<Mutex<Versions>>,
    _watches: JoinSet<()>,
}

/// A level that had given more than it had.
#[derive(Debug)]
pub struct Overbooked {
    /// The revision that did it.
    #[expect(dead_code, reason = "shown when a test fails")]
    pub revision: u64,
    /// The level.
    #[expect(dead_code, reason = "shown when a test fails")]
    pub level: Key,
}

impl History {
    /// Begins with what exists now.
    pub async fn begin(client: &Client) -> Result<Self> {
        let (versions, mut watches) = (Arc::<Mutex<Versions>>::default(), JoinSet::new());
        follow::<Orchestrator>(client, &versions, &mut watches, of_orchestrator).await?;
        follow::<Domain>(client, &versions, &mut watches, of_domain).await?;
        // Each Domain of these tests is called as its namespace.
        follow::<Supervisor>(client, &versions, &mut watches, |object| {
            let (key, mut declared) = of_supervisor(object, None);
            declared.parents.push(Key::domain(&key.namespace));
            (key, declared)
        })
        .await?;
        follow::<AgentPool>(client, &versions, &mut watches, |object| {
            let (key, mut declared) = of_pool(object, None);
            declared.parents.push(Key::domain(&key.namespace));
            (key, declared)
        })
        .await?;
        Ok(Self { versions, _watches: watches })
    }

    /// The newest revision that was seen.
    pub fn newest(&self) -> u64 {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).keys().next_back().copied().unwrap_or_default()
    }

    /// Stored versions that were seen.
    pub fn len(&self) -> usize {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Replays all versions in the order in which they were stored. Levels whose names begin otherwise belong to other tests.
    pub fn overbooked(&self, beginning: &str) -> Vec<Overbooked> {
        let mut objects: BTreeMap<Key, Declared> = BTreeMap::new();
        let mut found = Vec::new();
        for (revision, (key, declared)) in self.versions.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            match declared {
                Some(declared) => objects.insert(key.clone(), declared.clone()),
                None => objects.remove(key),
            };
            let is_ours = |level: &Key| level.name.starts_with(beginning) || level.namespace.starts_with(beginning);
            let levels = overbooked(&objects).into_iter().filter(is_ours);
            found.extend(levels.map(|level| Overbooked { revision: *revision, level }));
        }
        found
    }
}

/// Written apart from the ledger, so that both would have to be wrong in the same way.
fn overbooked(objects: &BTreeMap<Key, Declared>) -> Vec<Key> {
    let parent = |declared: &Declared| declared.parents.iter().find(|parent| objects.contains_key(parent)).cloned();
    // Sums from the lowest level up; keys are sorted by level.
    let mut sums: BTreeMap<Key, Amounts> = BTreeMap::new();
    for (key, declared) in objects.iter().rev() {
        let children = sums.get(key).copied().unwrap_or_default();
        let Some(parent) = parent(declared) else { continue };
        let reserved = |resource| declared.quota.bounds.get(&resource).copied().unwrap_or_default();
        let asked = Counted::ALL.map(|r| (r, reserved(r).max(children.get(r)).saturating_add(declared.own.get(r))));
        let sum = sums.entry(parent).or_default();
        *sum = sum.plus(asked.into_iter().collect());
    }
    let is_over = |(key, declared): &(&Key, &Declared)| {
        let children = sums.get(*key).copied().unwrap_or_default();
        declared.quota.when_exceeded == WhenExceeded::Refuse
            && declared.quota.bounds.iter().any(|(resource, bound)| children.get(*resource) > *bound)
    };
    objects.iter().filter(is_over).map(|(key, _)| key.clone()).collect()
}

fn revision(object: &DynamicObject) -> Option<u64> {
    object.metadata.resource_version.as_ref()?.parse().ok()
}

async fn follow<K>(
    client: &Client,
    versions: &Arc<Mutex<Versions>>,
    watches: &mut JoinSet<()>,
    declared: impl Fn(&K) -> (Key, Declared) + Send + Sync + 'static,
) -> Result<()>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send,
{
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    let list = api.list(&ListParams::default()).await?;
    let take = {
        let versions = versions.clone();
        move |object: DynamicObject, is_gone: bool| -> Option<()> {
            let revision = revision(&object)?;
            let (key, declared) = declared(&object.try_parse::<K>().ok()?);
            versions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(revision, (key, (!is_gone).then_some(declared)));
            Some(())
        }
    };
    for object in list.items {
        take(object, false);
    }
    let from = list.metadata.resource_version.context("a list without a revision")?;
    watches.spawn(async move {
        let Ok(stream) = api.watch(&WatchParams::default().timeout(290), &from).await else { return };
        let mut stream = std::pin::pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => take(object, false),
                WatchEvent::Deleted(object) => take(object, true),
                WatchEvent::Bookmark(_) | WatchEvent::Error(_) => None,
            };
        }
    });
    Ok(())
}
