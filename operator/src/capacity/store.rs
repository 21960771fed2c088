//! Where the ledgers are kept: one ConfigMap per Orchestrator in the operator's namespace, or in a test.

mod pace;
mod text;

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions},
};
use tetrarch_core::capacity::Ledger;
use tetrarch_plan::names::{self, Component, Position};
use tokio::time::sleep;

use self::pace::Pace;

/// Longest time of one request to the API server; a longer one counts as unanswered.
const LONGEST: Duration = Duration::from_secs(5);

/// Why a ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else wrote it first: what was computed from the older one is void.
    #[error("somebody else wrote the ledger first")]
    Conflict,
    /// It holds something else. Nothing is admitted onto a ledger that cannot be read.
    #[error("ConfigMap {name:?} does not hold a ledger ({reason}): delete it, it is made again from what exists")]
    Unreadable {
        /// Name of the ConfigMap.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The API server refused or failed. A write may have happened all the same.
    #[error("the API server refused or failed: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The API server did not answer. A write may have happened all the same.
    #[error("the API server did not answer within {} s", LONGEST.as_secs())]
    Unanswered,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match &error {
            // 404: replaced while somebody deleted it. What is there now has to be read again in all cases.
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => Self::Conflict,
            _ => Self::Api(Box::new(error)),
        }
    }
}

/// A ledger as it was read, with the version that a write must name.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The ledger.
    pub ledger: Ledger,
    /// Its version in the store.
    pub version: String,
}

/// Keeps one ledger per Orchestrator.
pub trait LedgerStore: Send + Sync {
    /// The ledger, not older than the call.
    fn read<'a>(&'a self, orchestrator: &'a str) -> BoxFuture<'a, Result<Option<Stored>, Error>>;

    /// Writes the ledger if it still has this version, or makes it when `version` is none and there is none yet.
    /// Returns the new version.
    fn write<'a>(
        &'a self,
        orchestrator: &'a str,
        ledger: &'a Ledger,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Error>>;

    /// Removes the ledger if it still has this version.
    fn remove<'a>(&'a self, orchestrator: &'a str, version: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Names of the Orchestrators that have a ledger.
    fn orchestrators(&self) -> BoxFuture<'_, Result<Vec<String>, Error>>;
}

/// The [`ConfigMap`]s of one installation.
pub struct ApiStore {
    api: Api<ConfigMap>,
    pace: Pace,
}

impl ApiStore {
    /// The ledgers in the operator's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), pace: Pace::default() }
    }
}

async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(LONGEST, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::Unanswered),
    }
}

impl LedgerStore for ApiStore {
    fn read<'a>(&'a self, orchestrator: &'a str) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(async move {
            // Without a resource version, so that the answer is not older than the question.
            let found = answered(self.api.get_opt(&names::capacity_ledger(orchestrator))).await?;
            found.map(read).transpose()
        })
    }

    fn write<'a>(
        &'a self,
        orchestrator: &'a str,
        ledger: &'a Ledger,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            let name = names::capacity_ledger(orchestrator);
            let object = build(orchestrator, ledger, version)?;
            sleep(self.pace.take(text::size(&object))).await;
            let parameters =
                PostParams { field_manager: Some(names::MANAGER_CAPACITY.to_owned()), ..PostParams::default() };
            let written = match version {
                Some(_) => answered(self.api.replace(&name, &parameters, &object)).await?,
                None => answered(self.api.create(&parameters, &object)).await?,
            };
            written.metadata.resource_version.ok_or(Error::Conflict)
        })
    }

    fn remove<'a>(&'a self, orchestrator: &'a str, version: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let preconditions = Preconditions { resource_version: Some(version.to_owned()), uid: None };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            answered(self.api.delete(&names::capacity_ledger(orchestrator), &parameters)).await.map(drop)
        })
    }

    fn orchestrators(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let ledgers =
                ListParams::default().labels(&format!("{}={}", names::LABEL_COMPONENT, Component::Capacity.as_str()));
            let found = answered(self.api.list(&ledgers)).await?;
            let annotation = |map: ConfigMap| map.metadata.annotations?.remove(names::ANNOTATION_LEDGER_OF);
            Ok(found.items.into_iter().filter_map(annotation).collect())
        })
    }
}

fn build(orchestrator: &str, ledger: &Ledger, version: Option<&str>) -> Result<ConfigMap, Error> {
    let name = names::capacity_ledger(orchestrator);
    let position = Position { orchestrator: Some(orchestrator), ..Position::default() };
    let mut object = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            resource_version: version.map(str::to_owned),
            labels: Some(names::labels(Component::Capacity, orchestrator, position)),
            annotations: Some(BTreeMap::from([(names::ANNOTATION_LEDGER_OF.to_owned(), orchestrator.to_owned())])),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    text::write(ledger, &mut object).map_err(|error| Error::Unreadable { name, reason: error.to_string() })?;
    Ok(object)
}

fn read(object: ConfigMap) -> Result<Stored, Error> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let unreadable = |reason: String| Error::Unreadable { name: name.clone(), reason };
    let ledger = text::read(&object).map_err(|error| unreadable(error.to_string()))?;
    let version = object.metadata.resource_version.ok_or_else(|| unreadable("it has no version".to_owned()))?;
    Ok(Stored { ledger, version })
}
