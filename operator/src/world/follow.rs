//! Follows one watch into its store and tells what changed.

use std::{hash::Hash, pin::pin, sync::Arc};

use futures::{Stream, StreamExt};
use kube::{
    Resource,
    core::DynamicObject,
    runtime::{
        reflector::{Lookup, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;

/// Follows `stream` into `writer` until cancelled; `changed` gets the object before and after each change.
pub async fn follow<K>(
    kind: (&'static str, <K as Lookup>::DynamicType),
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    metrics: Metrics,
    cancel: CancellationToken,
    changed: impl Fn(Option<&K>, Option<&K>),
) where
    K: Lookup + Resource<DynamicType = <K as Lookup>::DynamicType> + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let (kind, dynamic_type) = kind;
    let mut stream = pin!(stream);
    loop {
        let next = tokio::select! {
            () = cancel.cancelled() => return,
            next = stream.next() => next,
        };
        match next {
            Some(Ok(event)) => apply(&mut writer, &dynamic_type, &event, &changed),
            Some(Err(error)) => {
                metrics.watch_failed(kind);
                tracing::warn!(kind, %error, "watch interrupted, will be tried again");
            }
            None => return,
        }
    }
}

/// Writes one event into the store and tells what it changed.
pub fn apply<K>(
    writer: &mut Writer<K>,
    dynamic_type: &<K as Lookup>::DynamicType,
    event: &Event<K>,
    changed: impl Fn(Option<&K>, Option<&K>),
) where
    K: Lookup + Resource<DynamicType = <K as Lookup>::DynamicType> + Clone + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let store = writer.as_reader();
    match event {
        Event::Apply(object) => {
            let before = store.get(&object.to_object_ref(dynamic_type.clone()));
            writer.apply_watcher_event(event);
            changed(before.as_deref(), Some(object));
        }
        Event::Delete(object) => {
            writer.apply_watcher_event(event);
            changed(Some(object), None);
        }
        Event::Init | Event::InitApply(_) => writer.apply_watcher_event(event),
        Event::InitDone => {
            let before = store.state();
            writer.apply_watcher_event(event);
            tell_differences(&before, &store.state(), changed);
        }
    }
}

fn tell_differences<K: Resource>(before: &[Arc<K>], after: &[Arc<K>], changed: impl Fn(Option<&K>, Option<&K>)) {
    let key = |object: &Arc<K>| (object.meta().namespace.clone(), object.meta().name.clone());
    let mut gone: std::collections::HashMap<_, _> = before.iter().map(|object| (key(object), object)).collect();
    for object in after {
        let old = gone.remove(&key(object));
        if old.is_none_or(|old| old.meta().resource_version != object.meta().resource_version) {
            changed(old.map(AsRef::as_ref), Some(object));
        }
    }
    for object in gone.into_values() {
        changed(Some(object), None);
    }
}

/// Reads events of a kind of our own one by one, so that an object that cannot be read never stops the watch: it is
/// passed over, and the state that was read before it stays.
pub fn readable<K>(kind: &'static str, metrics: &Metrics, event: Event<DynamicObject>) -> Option<Event<K>>
where
    K: Resource + DeserializeOwned,
{
    let read = |object: DynamicObject| {
        let name = object.metadata.name.clone().unwrap_or_default();
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        match object.try_parse::<K>() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                metrics.watch_failed(kind);
                tracing::error!(kind, namespace, name, %error, "object cannot be read and is passed over");
                None
            }
        }
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(object) => read(object).map(Event::InitApply),
        Event::Apply(object) => read(object).map(Event::Apply),
        Event::Delete(object) => read(object).map(Event::Delete),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use k8s_openapi::api::core::v1::Namespace;
    use kube::{ResourceExt, core::ObjectMeta};
    use serde_json::json;
    use tetrarch_crds::Domain;

    use super::*;

    fn namespace(name: &str, version: &str) -> Namespace {
        Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        }
    }

    #[test]
    fn a_watch_that_starts_again_tells_what_changed_in_between() {
        let mut writer = Writer::<Namespace>::default();
        let seen = RefCell::new(Vec::new());
        let note = |old: Option<&Namespace>, new: Option<&Namespace>| {
            let text = |object: Option<&Namespace>| object.map(ResourceExt::name_any).unwrap_or_default();
            seen.borrow_mut().push((text(old), text(new)));
        };
        for event in [
            Event::Apply(namespace("kept", "1")),
            Event::Apply(namespace("changed", "1")),
            Event::Apply(namespace("gone", "1")),
        ] {
            apply(&mut writer, &(), &event, &note);
        }
        seen.borrow_mut().clear();
        for event in [
            Event::Init,
            Event::InitApply(namespace("kept", "1")),
            Event::InitApply(namespace("changed", "2")),
            Event::InitApply(namespace("new", "3")),
            Event::InitDone,
        ] {
            apply(&mut writer, &(), &event, &note);
        }
        let mut seen = seen.into_inner();
        seen.sort();
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(seen, [pair("", "new"), pair("changed", "changed"), pair("gone", "")]);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_passed_over() {
        let object: DynamicObject =
            serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"orchestratorRef": 7}})).unwrap();
        assert!(readable::<Domain>("Domain", &Metrics::new(), Event::Apply(object)).is_none());
    }
}
