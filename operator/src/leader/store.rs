//! Where the lease is kept: in the API server, or in a test.

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::lease::Record;

/// Why the lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else wrote it first.
    #[error("somebody else wrote the lease first")]
    Conflict,
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Keeps one lease.
pub trait LeaseStore: Send + Sync {
    /// The lease, if it exists.
    fn read(&self) -> impl Future<Output = Result<Option<Record>, Error>> + Send;

    /// Writes the lease if it still has the record's version.
    fn write(&self, record: &Record) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A Lease of the API server.
pub struct ApiLease {
    api: Api<Lease>,
    name: String,
}

impl ApiLease {
    /// The Lease with this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned() }
    }
}

impl LeaseStore for ApiLease {
    async fn read(&self) -> Result<Option<Record>, Error> {
        Ok(self.api.get_opt(&self.name).await?.map(from_lease))
    }

    async fn write(&self, record: &Record) -> Result<(), Error> {
        let lease = to_lease(&self.name, record);
        let written = match record.version {
            Some(_) => self.api.replace(&self.name, &PostParams::default(), &lease).await,
            None => self.api.create(&PostParams::default(), &lease).await,
        };
        match written {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

fn from_lease(lease: Lease) -> Record {
    let spec = lease.spec.unwrap_or_default();
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    Record {
        holder: spec.holder_identity,
        duration: Duration::from_secs(seconds),
        acquired: spec.acquire_time.map(|time| time.0),
        renewed: spec.renew_time.map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or(0),
        version: lease.metadata.resource_version,
    }
}

fn to_lease(name: &str, record: &Record) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: record.version.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: record.holder.clone(),
            lease_duration_seconds: Some(i32::try_from(record.duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: record.acquired.map(MicroTime),
            renew_time: record.renewed.map(MicroTime),
            lease_transitions: Some(record.transitions),
            ..LeaseSpec::default()
        }),
    }
}
