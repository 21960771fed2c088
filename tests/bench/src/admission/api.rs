//! Many objects on an API server, quickly.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::Value;

/// Requests at once.
const AT_ONCE: usize = 16;

fn kind(object: &Value) -> Result<GroupVersionKind> {
    let text = |field: &str| object[field].as_str().with_context(|| format!("{field} is missing in {object}"));
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    Ok(GroupVersionKind::gvk(group, version, kind))
}

/// Access to objects of the kind of this one, in its namespace.
pub fn of(client: &Client, object: &Value) -> Result<Api<DynamicObject>> {
    let kind = kind(object)?;
    // Gatekeeper names the resource of a constraint after its kind, without a plural.
    let plural = match kind.group.as_str() {
        "constraints.gatekeeper.sh" => kind.kind.to_lowercase(),
        _ => ApiResource::from_gvk(&kind).plural,
    };
    of_plural(client, object, &plural)
}

/// As [`of`], for kinds whose plural is irregular.
pub fn of_plural(client: &Client, object: &Value, plural: &str) -> Result<Api<DynamicObject>> {
    let resource = ApiResource::from_gvk_with_plural(&kind(object)?, plural);
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

/// Creates objects; those that are there already stay as they are.
pub async fn create(client: &Client, objects: impl IntoIterator<Item = Value>) -> Result<()> {
    futures::stream::iter(objects)
        .map(|object| async move {
            let made =
                of(client, &object)?.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await;
            match made {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                made => made
                    .map(drop)
                    .with_context(|| format!("cannot create {} {}", object["kind"], object["metadata"]["name"])),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Deletes objects, if they are there.
pub async fn delete(client: &Client, objects: &[Value]) -> Result<()> {
    for object in objects {
        let name = object["metadata"]["name"].as_str().context("an object without a name")?;
        match of(client, object)?.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted?),
        }
    }
    Ok(())
}

/// Why a server-side dry run of a creation is refused; `None` when it is not.
pub async fn refusal(client: &Client, object: &Value) -> Result<Option<String>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match of(client, object)?.create(&dry_run, &serde_json::from_value(object.clone())?).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(error.into()),
    }
}
