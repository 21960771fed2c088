//! Tells API servers which authorities to trust: the `caBundle` of both webhook configurations.

use std::{collections::BTreeSet, fmt::Debug};

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::CONFIGURATION;

/// Field manager of the bundle, so that it stays when the chart is applied again.
const MANAGER: &str = "tetrarch-webhook-certificates";

/// Why a configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {CONFIGURATION}: {source}")]
pub struct Error {
    kind: &'static str,
    source: kube::Error,
}

/// The two configurations of one installation.
#[derive(Clone)]
pub struct Registration {
    validating: Api<ValidatingWebhookConfiguration>,
    mutating: Api<MutatingWebhookConfiguration>,
}

impl Registration {
    /// The configurations of this cluster.
    pub fn new(client: Client) -> Self {
        Self { validating: Api::all(client.clone()), mutating: Api::all(client) }
    }

    /// Everything that API servers are told to trust now, PEM.
    pub async fn bundle(&self) -> Result<String, Error> {
        let mut found = BTreeSet::new();
        found.extend(read(&self.validating).await?.into_iter().flatten().map(|webhook| webhook.1));
        found.extend(read(&self.mutating).await?.into_iter().flatten().map(|webhook| webhook.1));
        Ok(found.into_iter().filter_map(|bundle| String::from_utf8(bundle).ok()).collect())
    }

    /// Makes API servers trust these authorities; false while a configuration does not exist.
    pub async fn publish(&self, bundle: &str) -> Result<bool, Error> {
        let validating = publish(&self.validating, bundle).await?;
        let mutating = publish(&self.mutating, bundle).await?;
        Ok(validating && mutating)
    }
}

/// A kind of configuration: a list of webhooks with names.
trait Configuration: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
    const KIND: &'static str;

    fn webhooks(&self) -> Vec<(&str, &WebhookClientConfig)>;
}

impl Configuration for ValidatingWebhookConfiguration {
    const KIND: &'static str = "ValidatingWebhookConfiguration";

    fn webhooks(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks.iter().flatten().map(|webhook| (webhook.name.as_str(), &webhook.client_config)).collect()
    }
}

impl Configuration for MutatingWebhookConfiguration {
    const KIND: &'static str = "MutatingWebhookConfiguration";

    fn webhooks(&self) -> Vec<(&str, &WebhookClientConfig)> {
        self.webhooks.iter().flatten().map(|webhook| (webhook.name.as_str(), &webhook.client_config)).collect()
    }
}

/// Names and bundles of the webhooks; none if there is no such configuration.
async fn read<K: Configuration>(api: &Api<K>) -> Result<Option<Vec<(String, Vec<u8>)>>, Error> {
    let found = api.get_opt(CONFIGURATION).await.map_err(|source| Error { kind: K::KIND, source })?;
    Ok(found.map(|configuration| {
        let webhook = |(name, client): (&str, &WebhookClientConfig)| {
            (name.to_owned(), client.ca_bundle.as_ref().map(|bundle| bundle.0.clone()).unwrap_or_default())
        };
        configuration.webhooks().into_iter().map(webhook).collect()
    }))
}

async fn publish<K: Configuration>(api: &Api<K>, bundle: &str) -> Result<bool, Error> {
    let Some(webhooks) = read(api).await? else { return Ok(false) };
    if webhooks.iter().all(|(_, found)| found == bundle.as_bytes()) {
        return Ok(true);
    }
    let bundle = ByteString(bundle.as_bytes().to_vec());
    let webhooks: Vec<_> =
        webhooks.iter().map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": bundle}})).collect();
    let patch = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": K::KIND,
        "metadata": {"name": CONFIGURATION},
        "webhooks": webhooks,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(CONFIGURATION, &parameters, &Patch::Apply(patch))
        .await
        .map_err(|source| Error { kind: K::KIND, source })?;
    tracing::info!(kind = K::KIND, "told API servers which authorities of the webhook to trust");
    Ok(true)
}
