//! Decisions on the bus: the stream AUDIT in an account of the operator's own, which no tenant reaches.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tetrarch_bus::{Bus, Identity, Options};
use tetrarch_protocol::audit;
use tokio::time::{sleep, timeout};

use super::Records;
use crate::{
    bus::system::System,
    clock::Clock,
    telemetry::metrics::admission::AdmissionMetrics,
    trust::secrets::Secrets,
    webhook::record::{Record, Sink},
};

/// What stands for the uid of a Domain in the derivation of the account's key. No Domain has it: theirs are UUIDs.
const ACCOUNT: &str = "audit";

/// Pause between two attempts to open the account.
const RETRY: Duration = Duration::from_secs(10);

/// Longest wait for a connection before the account is announced again.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Attempts to store one record.
const ATTEMPTS: u32 = 3;

/// Why the stream cannot be written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the keys of the bus do not exist yet")]
    NoRoot,
    #[error(transparent)]
    Secrets(#[from] crate::trust::secrets::Error),
    #[error(transparent)]
    Root(#[from] crate::trust::root::Error),
    #[error(transparent)]
    Key(#[from] crate::trust::key::Error),
    #[error(transparent)]
    Bus(#[from] crate::bus::Error),
    #[error("the connection cannot be made: {0}")]
    Connect(#[from] tetrarch_bus::connection::Error),
    #[error("the bus does not answer")]
    Unreachable,
    #[error(transparent)]
    Stream(#[from] tetrarch_bus::domain::Error),
}

/// Writes the audit stream.
pub struct Writer {
    /// Where the keys of the bus are.
    pub secrets: Secrets,
    /// Where the operator reaches the bus.
    pub url: String,
    /// The time of day.
    pub clock: Clock,
    /// Counts what is lost.
    pub metrics: AdmissionMetrics,
}

impl Writer {
    /// Writes until there are no more records. While the bus is away, records wait in their buffer.
    pub async fn write(self, mut records: Records) {
        let mut bus = None;
        while let Some(record) = records.recv().await {
            let stored = async {
                if bus.is_none() {
                    bus = Some(self.open_at_last().await);
                }
                let Some(open) = &bus else { return false };
                self.store(open, &record).await
            };
            if !stored.await {
                self.metrics.lost(Sink::Bus);
                // Perhaps the server came back without its data.
                bus = None;
            }
        }
    }

    async fn open_at_last(&self) -> Bus {
        loop {
            match self.open().await {
                Ok(bus) => return bus,
                Err(error) => tracing::warn!(%error, "the audit stream cannot be written, will be tried again"),
            }
            sleep(RETRY).await;
        }
    }

    async fn open(&self) -> Result<Bus, Error> {
        let root = self.secrets.existing_root().await?.ok_or(Error::NoRoot)?;
        let key = root.account(ACCOUNT)?;
        let system = System::connect(&self.url, &root).await?;
        timeout(CONNECT_WAIT, system.connected()).await.map_err(|_| Error::Unreachable)?;
        let now = self.clock.now().as_second();
        system.push(root.account_claims(&key, "tetrarch-audit", now)?).await?;
        let credentials = key.credentials("operator", &audit::permissions(), 0)?;
        let options = Options { url: self.url.clone(), name: "tetrarch-audit".to_owned(), ..Options::default() };
        let identity = Identity { credentials: &credentials, ca: root.authority_certificate() };
        let bus = tetrarch_bus::connect_as(&options, identity).await?;
        timeout(CONNECT_WAIT, bus.connected()).await.map_err(|_| Error::Unreachable)?;
        bus.ensure_audit().await?;
        Ok(bus)
    }

    async fn store(&self, bus: &Bus, record: &Arc<Record>) -> bool {
        let entry = record.entry();
        let subject = audit::subject(&entry.decision, &entry.kind, &entry.namespace);
        let id = format!("{}.{}", entry.id, entry.decision);
        let Ok(json) = serde_json::to_vec(&entry) else { return false };
        let json = Bytes::from(json);
        for attempt in 1..=ATTEMPTS {
            match bus.record(subject.clone(), &id, json.clone()).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::warn!(attempt, request = entry.id, %error, "a decision is not in the audit stream yet");
                }
            }
        }
        false
    }
}
