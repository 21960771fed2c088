//! The stream of decisions in the operator's own account.

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use bytes::Bytes;
use tetrarch_protocol::audit::{KEPT, MOST_BYTES, STREAM, SUBJECTS};

use crate::{Bus, domain::Error};

/// A record was not stored.
#[derive(Debug, thiserror::Error)]
#[error("the bus did not store a record: {0}")]
pub struct NotStored(#[from] async_nats::jetstream::context::PublishError);

impl Bus {
    /// Makes the stream of decisions. Doing it twice changes nothing.
    pub async fn ensure_audit(&self) -> Result<(), Error> {
        self.ensure_stream(
            STREAM,
            Config {
                name: STREAM.to_owned(),
                subjects: vec![SUBJECTS.to_owned()],
                description: Some("Decisions about writes to the Kubernetes API.".to_owned()),
                retention: RetentionPolicy::Limits,
                storage: StorageType::File,
                discard: DiscardPolicy::Old,
                max_age: KEPT,
                max_bytes: MOST_BYTES,
                num_replicas: 1,
                ..Config::default()
            },
        )
        .await
    }

    /// Stores a record; one with an id that was stored lately is stored only once.
    pub async fn record(&self, subject: String, id: &str, record: Bytes) -> Result<(), NotStored> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        self.jetstream().publish_with_headers(subject, headers, record).await?.await?;
        Ok(())
    }
}
