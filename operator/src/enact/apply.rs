//! Server-side apply of a child with its full intent.

use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams},
    core::DynamicObject,
};
use tetrarch_plan::{
    object::{Kind, Object, ObjectKey},
    outcome::Applied,
};

use super::{
    failure::{Failed, is_missing, within},
    ownership,
};
use crate::{
    context::Context,
    telemetry::metrics::Verb,
    world::{Meta, children::Fingerprint},
};

/// A client for the kind and namespace of an object.
pub fn api<K>(context: &Context, key: &ObjectKey) -> Api<K>
where
    K: kube::Resource<DynamicType = kube::api::ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    let resource = key.kind.api_resource();
    match &key.namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    }
}

/// Applies an object as `manager`, unless it still is as this process applied it.
pub async fn apply(context: &Context, object: &Object, manager: &'static str) -> Result<Applied, Failed> {
    let key = &object.key;
    let done = |generation| Applied { key: key.clone(), generation };
    if let Some(generation) = context.applied.holds(&context.world, object, manager) {
        return Ok(done(generation));
    }
    if !ownership::is_decided_by_plan(key.kind)
        && let Some(existing) = existing(context, key).await?
    {
        ownership::check(object, &existing)?;
    }
    let mut params = PatchParams::apply(manager);
    // Credentials are never read, so a Secret of someone else shows itself by a conflict.
    params.force = key.kind != Kind::Secret;
    let call = api::<DynamicObject>(context, key);
    let patch = Patch::Apply(&object.manifest);
    let written = within(key, Some(key.kind), call.patch(&key.name, &params, &patch)).await?;
    context.metrics.wrote(key.kind, Verb::Apply);
    tracing::debug!(kind = key.kind.as_str(), namespace = key.namespace, name = key.name, "applied");
    let mut metadata = written.metadata;
    metadata.managed_fields = None;
    context.applied.note(object, manager, Fingerprint::of(&metadata));
    Ok(done(metadata.generation))
}

/// The metadata of an object that may exist without our label; Secrets are not looked at.
async fn existing(context: &Context, key: &ObjectKey) -> Result<Option<ObjectMeta>, Failed> {
    if key.kind == Kind::Secret {
        return Ok(None);
    }
    if let Some(meta) = context.world.child(key) {
        return Ok(Some(meta));
    }
    let call = api::<Meta>(context, key);
    within(key, Some(key.kind), async {
        match call.get_metadata(&key.name).await {
            Ok(found) => Ok(Some(found.metadata)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}
