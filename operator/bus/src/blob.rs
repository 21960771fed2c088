//! Large values: inline in a message when they fit, otherwise as an object of the Domain's store.

use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use base64::Engine as _;
use futures::StreamExt as _;
use rand::RngExt as _;
use serde_json::Value;
use tetrarch_protocol::{
    blob::{BlobRef, MAX_INLINE, Payload},
    stream::BLOB_STORE,
};
use tokio::io::AsyncReadExt as _;

use crate::{Bus, connection::REQUEST_TIMEOUT};

/// Why a large value could not be stored or loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The object is not there: it was purged with its run, or never written completely.
    #[error("the large value {0:?} is not in the store")]
    Missing(String),
    /// The object is no JSON.
    #[error("the large value {name:?} is not readable: {reason}")]
    Unreadable {
        /// Name of the object.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The bus did not answer, or refused. Repeating may help.
    #[error("the store of large values refused {name:?}: {reason}")]
    Refused {
        /// Name of the object.
        name: String,
        /// What it said.
        reason: String,
    },
}

impl Bus {
    /// Turns a value into what travels: inline when it is small, otherwise stored first. The object's name is the given one with a random
    /// ending, so that a second writer for the same place never replaces what an accepted message refers to.
    pub async fn store_payload(&self, name: &str, value: Value) -> Result<Payload, Error> {
        let bytes = serde_json::to_vec(&value)
            .map_err(|e| Error::Unreadable { name: name.to_owned(), reason: e.to_string() })?;
        if bytes.len() <= MAX_INLINE {
            return Ok(Payload::Inline(value));
        }
        let size = bytes.len() as u64;
        let name = format!("{name}-{:016x}", rand::rng().random::<u64>());
        let store = self.blob_store(&name).await?;
        store.put(name.as_str(), &mut bytes.as_slice()).await.map_err(|e| refused(&name, &e))?;
        Ok(Payload::Blob(BlobRef { name, size }))
    }

    /// The value behind a payload.
    pub async fn load_payload(&self, payload: Payload) -> Result<Value, Error> {
        let blob = match payload {
            Payload::Inline(value) => return Ok(value),
            Payload::Blob(blob) => blob,
        };
        let name = blob.name;
        let store = self.blob_store(&name).await?;
        let mut object = store.get(&name).await.map_err(|e| match e.kind() {
            GetErrorKind::NotFound => Error::Missing(name.clone()),
            _ => refused(&name, &e),
        })?;
        let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or_default());
        // The object's own reader waits for lost chunks without an end.
        match tokio::time::timeout(REQUEST_TIMEOUT * 4, object.read_to_end(&mut bytes)).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => return Err(refused(&name, &e)),
            Err(elapsed) => return Err(refused(&name, &elapsed)),
        }
        serde_json::from_slice(&bytes).map_err(|e| Error::Unreadable { name, reason: e.to_string() })
    }

    /// Deletes every object whose name the condition holds for; how many.
    pub async fn delete_payloads(&self, of: impl Fn(&str) -> bool + Send) -> Result<u64, Error> {
        let store = self.blob_store("").await?;
        let mut list = store.list().await.map_err(|e| refused("", &e))?;
        let mut objects = Vec::new();
        while let Some(object) = list.next().await {
            let object = object.map_err(|e| refused("", &e))?;
            if of(&object.name) {
                objects.push(object);
            }
        }
        // The store's own delete leaves a marker for every object behind; purging its subjects leaves nothing. The description goes
        // last, so that an interrupted deletion is found and finished the next time.
        let stream = self.jetstream().get_stream(format!("OBJ_{BLOB_STORE}")).await.map_err(|e| refused("", &e))?;
        for object in &objects {
            let description = base64::engine::general_purpose::URL_SAFE.encode(&object.name);
            for subject in [format!("$O.{BLOB_STORE}.C.{}", object.nuid), format!("$O.{BLOB_STORE}.M.{description}")] {
                stream.purge().filter(subject).await.map_err(|e| refused(&object.name, &e))?;
            }
        }
        Ok(objects.len() as u64)
    }

    async fn blob_store(&self, name: &str) -> Result<ObjectStore, Error> {
        self.jetstream().get_object_store(BLOB_STORE).await.map_err(|e| refused(name, &e))
    }
}

fn refused(name: &str, error: &dyn std::error::Error) -> Error {
    Error::Refused { name: name.to_owned(), reason: error.to_string() }
}
