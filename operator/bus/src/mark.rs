//! Marks that vanish by themselves, and the removal of single messages.

use std::time::Duration;

use async_nats::jetstream::stream::DirectGetErrorKind;
use bytes::Bytes;

use crate::{
    Bus,
    write::{Error, Message, Written, condition},
};

impl Bus {
    /// Writes an empty message if its subject is empty; the server removes it after this time.
    pub async fn mark(&self, subject: impl Into<String>, duration: Duration) -> Result<Written, Error> {
        let message = Message::new(subject, Bytes::new());
        let mut headers = condition(message.expected);
        headers.insert("Nats-TTL", format!("{}s", duration.as_secs()));
        self.write_under(&message, headers).await
    }

    /// Whether the stream has a message of this subject.
    pub async fn has(&self, stream: &str, subject: &str) -> Result<bool, Error> {
        let refused = |reason: String| Error::Refused { subject: subject.to_owned(), reason };
        let stream = self.jetstream().get_stream_no_info(stream).await.map_err(|e| refused(e.to_string()))?;
        match stream.direct_get_last_for_subject(subject).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Removes a message; one that is gone already counts as removed.
    pub async fn remove(&self, stream: &str, sequence: u64) -> Result<(), Error> {
        let refused = |reason: String| Error::Refused { subject: format!("{stream} {sequence}"), reason };
        let stream = self.jetstream().get_stream_no_info(stream).await.map_err(|e| refused(e.to_string()))?;
        match stream.delete_message(sequence).await {
            Ok(_) => Ok(()),
            // Nobody knows whether an earlier try got through.
            Err(error) => match stream.direct_get(sequence).await {
                Err(missing) if missing.kind() == DirectGetErrorKind::NotFound => Ok(()),
                _ => Err(refused(error.to_string())),
            },
        }
    }
}
