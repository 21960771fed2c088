//! Follows one watch into its store and tells what changed.

use std::{hash::Hash, pin::pin};

use futures::{Stream, StreamExt};
use kube::{
    Resource,
    core::DynamicObject,
    runtime::{
        reflector::Lookup,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::seen::Sight;
use crate::telemetry::metrics::Metrics;

/// Follows `stream` into `sight` until cancelled; `changed` gets the object before and after each change.
pub async fn follow<K>(
    kind: (&'static str, <K as Lookup>::DynamicType),
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    mut sight: Sight<K>,
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
            Some(Ok(event)) => sight.take(&dynamic_type, &event, &changed),
            Some(Err(error)) => {
                metrics.watch_failed(kind);
                tracing::warn!(kind, %error, "watch interrupted, will be tried again");
            }
            None => return,
        }
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
    use serde_json::json;
    use tetrarch_crds::Domain;

    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_is_passed_over() {
        let object: DynamicObject =
            serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"orchestratorRef": 7}})).unwrap();
        assert!(readable::<Domain>("Domain", &Metrics::new(), Event::Apply(object)).is_none());
    }
}
