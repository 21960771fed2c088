//! Deletion of a child.

use kube::{
    api::{DeleteParams, Preconditions},
    core::DynamicObject,
};
use tetrarch_plan::object::ObjectKey;

use super::{
    apply::api,
    failure::{Failed, is_missing, within},
};
use crate::{context::Context, telemetry::metrics::Verb};

/// Deletes an object in the background, and only the very object that was seen. One that is gone counts as deleted.
pub async fn delete(context: &Context, key: &ObjectKey) -> Result<(), Failed> {
    let seen = context.world.child(key);
    if seen.as_ref().is_some_and(|meta| meta.deletion_timestamp.is_some()) {
        return Ok(());
    }
    let preconditions =
        seen.and_then(|meta| meta.uid).map(|uid| Preconditions { uid: Some(uid), resource_version: None });
    let params = DeleteParams { preconditions, ..DeleteParams::background() };
    let call = api::<DynamicObject>(context, key);
    let deleted = within(key, Some(key.kind), async {
        match call.delete(&key.name, &params).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    })
    .await?;
    context.applied.forget(key);
    if deleted {
        context.metrics.wrote(key.kind, Verb::Delete);
        tracing::info!(kind = key.kind.as_str(), namespace = key.namespace, name = key.name, "deleted");
    }
    Ok(())
}
