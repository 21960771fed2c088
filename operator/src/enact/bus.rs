//! Effects on the bus, and Secrets with credentials for it.

use bytes::Bytes;
use serde_json::{Value, json};
use tetrarch_core::id::Name;
use tetrarch_plan::{
    effect::BusUserSecret,
    names,
    object::{Object, to_json},
    outcome::FailureClass,
};

use super::{apply::apply, failure::Failed};
use crate::{bus::Account, context::Context};

fn need(context: &Context, domain: &Name) -> Result<Account, Failed> {
    let missing = || Failed::new(FailureClass::Transient, format!("Domain {domain} is not known yet"));
    context.account(domain).ok_or_else(missing)
}

/// Makes sure that a Domain's account exists with its storage.
pub async fn ensure_account(context: &Context, domain: &Name) -> Result<(), Failed> {
    context.bus.ensure_account(&need(context, domain)?).await.map_err(|error| Failed::of_bus(&error))
}

/// Removes a Domain's account with everything in it.
pub async fn remove_account(context: &Context, domain: &Name) -> Result<(), Failed> {
    context.bus.remove_account(&need(context, domain)?).await.map_err(|error| Failed::of_bus(&error))?;
    context.metrics.forget_domain(domain.as_str());
    Ok(())
}

/// Applies the Secret with a user's credentials. The same user gets the same bytes, so this repairs and never rotates.
pub async fn ensure_user(context: &Context, user: &BusUserSecret, manager: &'static str) -> Result<(), Failed> {
    let account = need(context, &user.domain)?;
    let credentials = context.bus.credentials(&account, &user.user).map_err(|error| Failed::of_bus(&error))?;
    let mut body = json!({
        "metadata": {"labels": user.labels},
        "type": "Opaque",
        "data": {
            names::BUS_SECRET_CREDENTIALS: encode(&credentials.user),
            names::BUS_SECRET_CA: encode(&credentials.authority),
        },
    });
    if let Some(owner) = &user.owner {
        body["metadata"]["ownerReferences"] = json!([to_json(owner)]);
    }
    apply(context, &Object::new(user.secret.clone(), body), manager).await.map(drop)
}

fn encode(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

/// Sets a value of the CONFIG bucket.
pub async fn publish(context: &Context, domain: &Name, key: &str, value: &Value) -> Result<(), Failed> {
    let account = need(context, domain)?;
    let value = Bytes::from(value.to_string());
    if context.bus.publish(&account, key, value).await.map_err(|error| Failed::of_bus(&error))? {
        context.metrics.wrote_bus();
    }
    Ok(())
}

/// Deletes a key of a bucket.
pub async fn retract(context: &Context, domain: &Name, bucket: &'static str, key: &str) -> Result<(), Failed> {
    let account = need(context, domain)?;
    if context.bus.retract(&account, bucket, key).await.map_err(|error| Failed::of_bus(&error))? {
        context.metrics.wrote_bus();
    }
    Ok(())
}

/// Removes consumers and entries of a Supervisor.
pub async fn remove_work(context: &Context, domain: &Name, supervisor: &Name) -> Result<(), Failed> {
    let account = need(context, domain)?;
    context.bus.remove_work(&account, supervisor).await.map_err(|error| Failed::of_bus(&error))
}
