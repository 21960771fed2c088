//! The streams, buckets and the object store of one Domain, made and kept as they should be.

use async_nats::jetstream::{
    self,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    kv, object_store,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use tetrarch_protocol::stream::{BLOB_STORE, CONFIG_BUCKET, LEASE_BUCKET, REPORT_BUCKET, WORK, WORK_SUBJECTS};

use crate::Bus;

/// Why a Domain's storage is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus refused or did not answer.
    #[error("cannot {action} {name} on the bus: {reason}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// Stream, bucket or store.
        name: &'static str,
        /// What the bus said.
        reason: String,
    },
    /// An existing stream differs in what cannot be changed.
    #[error(
        "stream {name} exists with other fixed settings ({difference}): it was made by something else; give the Domain an account of its own"
    )]
    Foreign {
        /// The stream.
        name: String,
        /// What differs.
        difference: &'static str,
    },
}

/// What a Domain may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest size of the work stream in bytes; a full stream refuses new work. None means as much as the server gives.
    pub max_work_bytes: Option<u64>,
    /// Copies of everything, in a clustered bus; an odd number.
    pub replicas: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_work_bytes: None, replicas: 1 }
    }
}

impl Bus {
    /// Makes what a Domain needs, and corrects what drifted. Doing it twice changes nothing.
    pub async fn ensure_domain(&self, settings: &Settings) -> Result<(), Error> {
        self.ensure_stream(WORK, build_work(settings)).await?;
        for name in [CONFIG_BUCKET, REPORT_BUCKET, LEASE_BUCKET] {
            self.ensure_bucket(name, settings.replicas).await?;
        }
        self.ensure_store(settings.replicas).await
    }

    pub(crate) async fn ensure_stream(&self, name: &'static str, wanted: Config) -> Result<(), Error> {
        let refused = |action, reason: String| Error::Refused { action, name, reason };
        match self.jetstream().get_stream(name).await {
            Ok(stream) => {
                let current = stream.cached_info().config.clone();
                let merged = merge(&current, &wanted)?;
                if merged != current {
                    self.jetstream().update_stream(merged).await.map_err(|e| refused("update", e.to_string()))?;
                }
                Ok(())
            }
            Err(error) if is_missing(&error) => match self.jetstream().create_stream(wanted).await {
                Ok(_) => Ok(()),
                // Somebody else made it in the meantime, with the same settings.
                Err(error)
                    if matches!(&error.kind(), CreateStreamErrorKind::JetStream(e)
                        if e.error_code() == jetstream::ErrorCode::STREAM_NAME_EXIST) =>
                {
                    Ok(())
                }
                Err(error) => Err(refused("create", error.to_string())),
            },
            Err(error) => Err(refused("read", error.to_string())),
        }
    }

    async fn ensure_bucket(&self, name: &'static str, replicas: usize) -> Result<(), Error> {
        let config = kv::Config {
            bucket: name.to_owned(),
            history: 1,
            // Also the leases: a bucket in memory is gone, with its settings, when a single server restarts.
            storage: StorageType::File,
            num_replicas: replicas,
            ..kv::Config::default()
        };
        match self.jetstream().get_key_value(name).await {
            Ok(_) => return Ok(()),
            Err(error) => tracing::debug!(bucket = name, %error, "bucket is not there yet"),
        }
        self.jetstream().create_key_value(config).await.map(drop).map_err(|e| Error::Refused {
            action: "create",
            name,
            reason: e.to_string(),
        })
    }

    async fn ensure_store(&self, replicas: usize) -> Result<(), Error> {
        if self.jetstream().get_object_store(BLOB_STORE).await.is_ok() {
            return Ok(());
        }
        let config = object_store::Config {
            bucket: BLOB_STORE.to_owned(),
            storage: StorageType::File,
            num_replicas: replicas,
            ..object_store::Config::default()
        };
        self.jetstream().create_object_store(config).await.map(drop).map_err(|e| Error::Refused {
            action: "create",
            name: BLOB_STORE,
            reason: e.to_string(),
        })
    }
}

fn build_work(settings: &Settings) -> Config {
    Config {
        name: WORK.to_owned(),
        subjects: WORK_SUBJECTS.map(str::to_owned).to_vec(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: settings.max_work_bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1),
        max_messages: -1,
        max_messages_per_subject: -1,
        num_replicas: settings.replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        allow_message_ttl: true,
        ..Config::default()
    }
}

/// What is ours of the wanted settings over the current ones, so that what the server fills in by itself is no drift.
fn merge(current: &Config, wanted: &Config) -> Result<Config, Error> {
    let foreign = |difference| Err(Error::Foreign { name: wanted.name.clone(), difference });
    if current.retention != wanted.retention {
        return foreign("retention policy");
    }
    if current.storage != wanted.storage {
        return foreign("storage type");
    }
    Ok(Config {
        subjects: wanted.subjects.clone(),
        discard: wanted.discard,
        max_bytes: wanted.max_bytes,
        num_replicas: wanted.num_replicas,
        allow_direct: wanted.allow_direct,
        allow_atomic_publish: wanted.allow_atomic_publish,
        allow_message_ttl: wanted.allow_message_ttl,
        ..current.clone()
    })
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(e) if e.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND)
}
