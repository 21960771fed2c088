//! The root keys and the server's certificate as Secrets in the operator's own namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tetrarch_plan::names;

use super::{bus_certificate, certificate, root, root::Root, server_config};

/// Secret with the root keys; only the operator reads it.
pub const TRUST: &str = "tetrarch-bus-trust";

/// Secret that the servers mount.
pub const SERVER: &str = "tetrarch-bus-server";

/// Annotation with the time at which the server's certificate is to be renewed.
const RENEW_AT: &str = "tetrarch.dev/renew-at";

/// Why the Secrets could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or did not answer.
    #[error("Secret {name}: {source}")]
    Api {
        /// The Secret.
        name: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// Keys could not be made or read.
    #[error("Secret tetrarch-bus-trust: {0}")]
    Root(#[from] root::Error),
    /// The time of the renewal is out of range.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
}

/// The Secrets of one installation.
pub struct Secrets {
    api: Api<Secret>,
    namespace: String,
}

impl Secrets {
    /// The Secrets in the operator's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// Reads the root keys, or makes them if there are none. Never overwrites: of two replicas that make keys, the
    /// second reads those of the first.
    pub async fn root(&self, now: Timestamp) -> Result<Root, Error> {
        if let Some(secret) = self.get(TRUST).await? {
            return read_root(&secret);
        }
        let root = Root::generate(now)?;
        let secret = build(TRUST, root.to_entries()?, BTreeMap::new());
        match self.create(TRUST, &secret).await? {
            Created::Yes => {
                tracing::info!(secret = TRUST, "made the root keys of the bus");
                Ok(root)
            }
            Created::ExistsAlready => match self.get(TRUST).await? {
                Some(secret) => read_root(&secret),
                None => Err(root::Error::Missing("operator.seed").into()),
            },
        }
    }

    /// Reads the root keys if there are any.
    pub async fn existing_root(&self) -> Result<Option<Root>, Error> {
        self.get(TRUST).await?.as_ref().map(read_root).transpose()
    }

    /// Makes sure that the servers' Secret exists, belongs to these keys, and has a certificate that is still good for
    /// some time. Says whether it replaced an older one, which servers that run must read again.
    pub async fn ensure_server(&self, root: &Root, now: Timestamp) -> Result<bool, Error> {
        let found = self.get(SERVER).await?;
        if found.as_ref().is_some_and(|secret| is_current(secret, root, now)) {
            return Ok(false);
        }
        let renew_at = BTreeMap::from([(RENEW_AT.to_owned(), bus_certificate::renew_at(now)?.to_string())]);
        let mut secret = build(SERVER, root.server_entries(&self.namespace, now)?, renew_at);
        let Some(found) = found else {
            self.create(SERVER, &secret).await?;
            return Ok(false);
        };
        // Against the version that was read, so that of two replicas one loses.
        secret.metadata.resource_version = found.metadata.resource_version;
        let api_error = |source| Error::Api { name: SERVER, source };
        self.api.replace(SERVER, &PostParams::default(), &secret).await.map_err(api_error)?;
        tracing::info!(secret = SERVER, "renewed the certificate of the bus servers");
        Ok(true)
    }

    async fn get(&self, name: &'static str) -> Result<Option<Secret>, Error> {
        self.api.get_opt(name).await.map_err(|source| Error::Api { name, source })
    }

    async fn create(&self, name: &'static str, secret: &Secret) -> Result<Created, Error> {
        match self.api.create(&PostParams::default(), secret).await {
            Ok(_) => Ok(Created::Yes),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Created::ExistsAlready),
            Err(source) => Err(Error::Api { name, source }),
        }
    }
}

enum Created {
    Yes,
    ExistsAlready,
}

fn build(name: &str, entries: BTreeMap<String, String>, annotations: BTreeMap<String, String>) -> Secret {
    let labels = [(names::LABEL_MANAGED_BY, names::MANAGED_BY), ("app.kubernetes.io/part-of", names::MANAGED_BY)];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            annotations: Some(annotations).filter(|map| !map.is_empty()),
            ..ObjectMeta::default()
        },
        data: Some(entries.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

fn entry(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

fn read_root(secret: &Secret) -> Result<Root, Error> {
    Ok(Root::from_entries(|key| entry(secret, key))?)
}

fn is_current(secret: &Secret, root: &Root, now: Timestamp) -> bool {
    let renew_at = secret.metadata.annotations.as_ref().and_then(|map| map.get(RENEW_AT)?.parse::<Timestamp>().ok());
    let config = root.server_config(server_config::DIRECTORY).ok();
    renew_at.is_some_and(|at| now < at) && config.is_some() && entry(secret, "auth.conf") == config
}
