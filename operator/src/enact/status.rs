//! The status of the reconciled object.

use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

use super::{
    Actor,
    failure::{Failed, is_missing, within},
    finalizer::own_api,
};
use crate::{context::Context, controllers::own_resource, telemetry::metrics::Verb};

/// Writes the status with its full content. An object that is gone needs none.
pub async fn write<S: Serialize>(context: &Context, actor: &Actor<'_>, status: &S) -> Result<(), Failed> {
    let resource = own_resource(actor.controller());
    let patch = Patch::Apply(json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        // With the uid, so that it is never written to another object of the same name.
        "metadata": {"name": actor.target.name(), "uid": actor.meta.uid},
        "status": status,
    }));
    let params = PatchParams::apply(actor.manager).force();
    let api = own_api(context, actor);
    let written = within(actor.target, None, async {
        match api.patch_status(actor.target.name(), &params, &patch).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    })
    .await?;
    if written {
        context.metrics.wrote_own(actor.controller(), Verb::Status);
    }
    Ok(())
}
