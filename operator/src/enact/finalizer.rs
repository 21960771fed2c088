//! Finalizers of the reconciled object itself, written against the version that was seen.

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;

use super::{
    Actor,
    failure::{Failed, is_missing, within},
};
use crate::{context::Context, controllers::own_resource, telemetry::metrics::Verb};

/// Adds a finalizer.
pub async fn add(context: &Context, actor: &Actor<'_>, finalizer: &str) -> Result<(), Failed> {
    let mut finalizers = actor.meta.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|other| other == finalizer) {
        return Ok(());
    }
    finalizers.push(finalizer.to_owned());
    write(context, actor, &finalizers).await
}

/// Removes a finalizer.
pub async fn remove(context: &Context, actor: &Actor<'_>, finalizer: &str) -> Result<(), Failed> {
    let mut finalizers = actor.meta.finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|other| other != finalizer);
    if finalizers.len() == before {
        return Ok(());
    }
    write(context, actor, &finalizers).await
}

async fn write(context: &Context, actor: &Actor<'_>, finalizers: &[String]) -> Result<(), Failed> {
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": actor.meta.resource_version, "finalizers": finalizers},
    }));
    let api = own_api(context, actor);
    let params = PatchParams { field_manager: Some(actor.manager.to_owned()), ..PatchParams::default() };
    within(actor.target, None, async {
        match api.patch(actor.target.name(), &params, &patch).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    })
    .await?;
    context.metrics.wrote_own(actor.controller(), Verb::Patch);
    Ok(())
}

/// A client for the kind and namespace of the reconciled object.
pub fn own_api(context: &Context, actor: &Actor<'_>) -> Api<DynamicObject> {
    let resource = own_resource(actor.controller());
    match actor.target.namespace() {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    }
}
