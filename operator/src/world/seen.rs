//! The objects of one kind as last seen, found by name or by what they are usually asked for, without a look at all of them.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use kube::{
    Resource,
    runtime::{
        reflector::{
            Lookup, ObjectRef, Store,
            store::{Writer, WriterDropped},
        },
        watcher::Event,
    },
};
use tokio::sync::watch;

/// What several objects have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// They are in this namespace, or claim it.
    Namespace(String),
    /// They belong to this Orchestrator.
    Orchestrator(String),
    /// The object with this uid controls them.
    Controller(String),
    /// They belong to the Domain of this namespace itself.
    OfDomain(String),
    /// They are pods of one runtime.
    Runtime {
        /// Where they are.
        namespace: String,
        /// What they are.
        component: String,
        /// The value of their instance label.
        instance: String,
    },
}

/// The groups that an object is in.
pub type GroupsOf<K> = fn(&K) -> Vec<Group>;

/// The name and the namespace: objects of one group may have the same name in different namespaces.
type Place = (Option<String>, Option<String>);

struct Index<K> {
    groups_of: GroupsOf<K>,
    groups: RwLock<HashMap<Group, BTreeMap<Place, Arc<K>>>>,
    is_complete: watch::Sender<bool>,
}

impl<K: Resource> Index<K> {
    fn replace(&self, old: Option<&K>, new: Option<&Arc<K>>) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = old {
            for group in (self.groups_of)(old) {
                if let Some(members) = groups.get_mut(&group) {
                    members.remove(&place(old));
                    if members.is_empty() {
                        groups.remove(&group);
                    }
                }
            }
        }
        if let Some(new) = new {
            add(&mut groups, self.groups_of, new);
        }
    }

    fn replace_all(&self, objects: &[Arc<K>]) {
        let mut groups = HashMap::new();
        for object in objects {
            add(&mut groups, self.groups_of, object);
        }
        *self.groups.write().unwrap_or_else(PoisonError::into_inner) = groups;
    }
}

fn add<K: Resource>(groups: &mut HashMap<Group, BTreeMap<Place, Arc<K>>>, groups_of: GroupsOf<K>, object: &Arc<K>) {
    for group in groups_of(object) {
        groups.entry(group).or_default().insert(place(object.as_ref()), object.clone());
    }
}

fn place<K: Resource>(object: &K) -> Place {
    (object.meta().namespace.clone(), object.meta().name.clone())
}

/// The objects of one kind; cheap to clone.
pub struct Seen<K>
where
    K: Lookup + 'static,
    <K as Lookup>::DynamicType: Eq + Hash,
{
    store: Store<K>,
    index: Arc<Index<K>>,
}

/// Is told of each change, before those that are woken by it: the object before, and after.
pub type Listener<K> = Box<dyn Fn(Option<&K>, Option<&Arc<K>>) + Send + Sync>;

/// Where a watch writes what it sees.
pub struct Sight<K>
where
    K: Lookup + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    writer: Writer<K>,
    index: Arc<Index<K>>,
    listener: Option<Listener<K>>,
}

/// Nothing seen yet, with the groups that objects will be found by.
pub fn seen<K>(dynamic_type: <K as Lookup>::DynamicType, groups_of: GroupsOf<K>) -> (Seen<K>, Sight<K>)
where
    K: Lookup + Resource + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let writer = Writer::new(dynamic_type);
    let index = Arc::new(Index { groups_of, groups: RwLock::default(), is_complete: watch::Sender::new(false) });
    (Seen { store: writer.as_reader(), index: index.clone() }, Sight { writer, index, listener: None })
}

impl<K> Seen<K>
where
    K: Lookup + Resource + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    /// The object with this name.
    pub fn get(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        self.store.get(key)
    }

    /// All objects.
    pub fn state(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// The members of a group, sorted by namespace and name.
    pub fn of(&self, group: &Group) -> Vec<Arc<K>> {
        let groups = self.index.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.get(group).map(|members| members.values().cloned().collect()).unwrap_or_default()
    }

    /// What a controller takes objects from.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Waits until everything that the cluster has was seen once.
    pub async fn wait_until_complete(&self) -> Result<(), WriterDropped> {
        self.store.wait_until_ready().await?;
        // The index outlives the wait, so that this ends only when it is complete.
        self.index.is_complete.subscribe().wait_for(|complete| *complete).await.ok();
        Ok(())
    }
}

impl<K> Sight<K>
where
    K: Lookup + Resource<DynamicType = <K as Lookup>::DynamicType> + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    /// Tells `listener` of each change too.
    #[must_use]
    pub fn told_to(mut self, listener: Listener<K>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Takes up one event; `changed` gets the object before and after each change.
    pub fn take(
        &mut self,
        dynamic_type: &<K as Lookup>::DynamicType,
        event: &Event<K>,
        changed: impl Fn(Option<&K>, Option<&K>),
    ) {
        let store = self.writer.as_reader();
        match event {
            Event::Apply(object) | Event::Delete(object) => {
                let key = object.to_object_ref(dynamic_type.clone());
                let before = store.get(&key);
                self.writer.apply_watcher_event(event);
                let after = store.get(&key);
                self.index.replace(before.as_deref(), after.as_ref());
                self.tell(before.as_deref(), after.as_ref());
                match event {
                    Event::Delete(_) => changed(Some(object), None),
                    _ => changed(before.as_deref(), Some(object)),
                }
            }
            Event::Init | Event::InitApply(_) => self.writer.apply_watcher_event(event),
            Event::InitDone => {
                let before = store.state();
                self.writer.apply_watcher_event(event);
                let after = store.state();
                let differences = differences(&before, &after);
                for (old, new) in &differences {
                    self.tell(old.map(AsRef::as_ref), *new);
                }
                self.index.replace_all(&after);
                for (old, new) in differences {
                    changed(old.map(AsRef::as_ref), new.map(AsRef::as_ref));
                }
                // Last of all, so that whoever waits finds that everybody was told.
                self.index.is_complete.send_replace(true);
            }
        }
    }

    fn tell(&self, old: Option<&K>, new: Option<&Arc<K>>) {
        if let Some(listener) = &self.listener {
            listener(old, new);
        }
    }
}

/// An object before and after.
type Difference<'a, K> = (Option<&'a Arc<K>>, Option<&'a Arc<K>>);

fn differences<'a, K: Resource>(before: &'a [Arc<K>], after: &'a [Arc<K>]) -> Vec<Difference<'a, K>> {
    let mut differences = Vec::new();
    let mut gone: HashMap<_, _> = before.iter().map(|object| (place(object.as_ref()), object)).collect();
    for object in after {
        let old = gone.remove(&place(object.as_ref()));
        if old.is_none_or(|old| old.meta().resource_version != object.meta().resource_version) {
            differences.push((old, Some(object)));
        }
    }
    differences.extend(gone.into_values().map(|object| (Some(object), None)));
    differences
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use k8s_openapi::api::core::v1::Namespace;
    use kube::{ResourceExt, core::ObjectMeta};

    use super::*;

    fn namespace(name: &str, version: &str, team: &str) -> Namespace {
        Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                resource_version: Some(version.to_owned()),
                labels: Some([("team".to_owned(), team.to_owned())].into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        }
    }

    fn by_team() -> (Seen<Namespace>, Sight<Namespace>) {
        seen((), |namespace| namespace.labels().get("team").cloned().map(Group::Namespace).into_iter().collect())
    }

    fn members(seen: &Seen<Namespace>, team: &str) -> Vec<String> {
        seen.of(&Group::Namespace(team.to_owned())).iter().map(|namespace| namespace.name_any()).collect()
    }

    fn silent(_: Option<&Namespace>, _: Option<&Namespace>) {}

    #[test]
    fn an_object_that_changes_its_group_is_found_in_the_new_one_only() {
        let (seen, mut sight) = by_team();
        sight.take(&(), &Event::Apply(namespace("a", "1", "red")), silent);
        sight.take(&(), &Event::Apply(namespace("b", "1", "red")), silent);
        sight.take(&(), &Event::Apply(namespace("a", "2", "blue")), silent);
        assert_eq!((members(&seen, "red"), members(&seen, "blue")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    }

    #[test]
    fn an_object_that_is_deleted_with_other_labels_than_it_was_seen_with_leaves_its_group() {
        let (seen, mut sight) = by_team();
        sight.take(&(), &Event::Apply(namespace("a", "1", "red")), silent);
        sight.take(&(), &Event::Delete(namespace("a", "2", "blue")), silent);
        assert!(members(&seen, "red").is_empty() && members(&seen, "blue").is_empty());
    }

    #[tokio::test]
    async fn a_view_is_complete_only_with_its_groups() {
        let (seen, mut sight) = by_team();
        for event in [Event::Init, Event::InitApply(namespace("a", "1", "red")), Event::InitDone] {
            sight.take(&(), &event, silent);
        }
        seen.wait_until_complete().await.unwrap();
        assert_eq!(members(&seen, "red"), ["a"]);
    }

    #[test]
    fn a_watch_that_starts_again_tells_what_changed_in_between() {
        let (seen, mut sight) = by_team();
        for name in ["kept", "changed", "gone"] {
            sight.take(&(), &Event::Apply(namespace(name, "1", "red")), silent);
        }
        let told = RefCell::new(Vec::new());
        let note = |old: Option<&Namespace>, new: Option<&Namespace>| {
            let text = |object: Option<&Namespace>| object.map(ResourceExt::name_any).unwrap_or_default();
            told.borrow_mut().push((text(old), text(new)));
        };
        for event in [
            Event::Init,
            Event::InitApply(namespace("kept", "1", "red")),
            Event::InitApply(namespace("changed", "2", "blue")),
            Event::InitApply(namespace("new", "3", "red")),
            Event::InitDone,
        ] {
            sight.take(&(), &event, &note);
        }
        let mut told = told.into_inner();
        told.sort();
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(told, [pair("", "new"), pair("changed", "changed"), pair("gone", "")]);
        assert_eq!(
            (members(&seen, "red"), members(&seen, "blue")),
            (vec!["kept".into(), "new".into()], vec!["changed".into()])
        );
    }
}
