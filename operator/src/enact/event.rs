//! Events for people.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    core::ObjectMeta,
    runtime::events::{Event, EventType},
};
use tetrarch_plan::effect::Note;

use super::Actor;
use crate::{context::Context, controllers::own_resource};

/// What every Event of ours is about.
const ACTION: &str = "Reconcile";

/// Publishes Events about the reconciled object. One that cannot be written is only logged: conditions say the same.
pub async fn publish(context: &Context, actor: &Actor<'_>, notes: &[&Note]) {
    let reference = reference(actor, actor.meta);
    for note in notes {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.as_str(),
            note: Some(note.message.clone()),
            action: ACTION.to_owned(),
            secondary: None,
        };
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            tracing::debug!(object = %actor.target, %error, "event not written");
        }
    }
}

fn reference(actor: &Actor<'_>, meta: &ObjectMeta) -> ObjectReference {
    let resource = own_resource(actor.controller());
    ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}
