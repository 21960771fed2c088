//! Values of the key-value buckets, by plain requests: no handle to keep, and a revision for every conditional write.

use async_nats::{HeaderMap, HeaderValue, Request, StatusCode};
use bytes::Bytes;

use crate::{
    Bus,
    connection::REQUEST_TIMEOUT,
    follow::{Follow, Start},
    write::{Error, Message, Written},
};

/// A value with its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Sequence of the write, for [`Bus::put_if`].
    pub revision: u64,
    /// Whether it is a mark of deletion, without a value.
    pub is_deleted: bool,
}

impl Bus {
    /// The value of a key, if it has one.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Entry>, Error> {
        Ok(self.get_any(bucket, key).await?.filter(|entry| !entry.is_deleted))
    }

    /// The last entry of a key, also when it says that the key is deleted: its revision is what [`Bus::put_if`] needs to set it again.
    pub async fn get_any(&self, bucket: &str, key: &str) -> Result<Option<Entry>, Error> {
        let subject = format!("$JS.API.DIRECT.GET.KV_{bucket}.{}", subject(bucket, key));
        let request = Request::new().payload(Bytes::new()).timeout(Some(REQUEST_TIMEOUT));
        let reply = self.client().send_request(subject, request).await.map_err(|e| match e.kind() {
            async_nats::client::RequestErrorKind::TimedOut => Error::Timeout(REQUEST_TIMEOUT),
            async_nats::client::RequestErrorKind::NoResponders => Error::NoStream(format!("bucket {bucket}")),
            _ => Error::Refused { subject: format!("{bucket}/{key}"), reason: e.to_string() },
        })?;
        if reply.status == Some(StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let header = |name: &str| reply.headers.as_ref().and_then(|headers| headers.get(name)).map(HeaderValue::as_str);
        let is_deleted = header("KV-Operation").is_some();
        let revision = header("Nats-Sequence").and_then(|text| text.parse().ok()).ok_or_else(|| Error::Refused {
            subject: format!("{bucket}/{key}"),
            reason: reply.description.clone().unwrap_or_else(|| "unreadable answer".to_owned()),
        })?;
        Ok(Some(Entry { value: reply.payload, revision, is_deleted }))
    }

    /// Sets a value whatever it was; its new revision.
    pub async fn put(&self, bucket: &str, key: &str, value: impl Into<Bytes>) -> Result<u64, Error> {
        self.write_unconditionally(&subject(bucket, key), HeaderMap::new(), value.into()).await
    }

    /// Sets a value if the key still has the revision; 0 means that the key was never set.
    pub async fn put_if(
        &self,
        bucket: &str,
        key: &str,
        revision: u64,
        value: impl Into<Bytes>,
    ) -> Result<Written, Error> {
        self.write(&Message { subject: subject(bucket, key), payload: value.into(), expected: revision }).await
    }

    /// Deletes a key with its history.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "PURGE");
        headers.insert("Nats-Rollup", "sub");
        self.write_unconditionally(&subject(bucket, key), headers, Bytes::new()).await.map(drop)
    }

    /// Follows the keys that match any of the filters: their present values first, then every change. The subjects of the messages are
    /// `$KV.<bucket>.<key>`, see [`key_of`].
    pub fn watch(&self, bucket: &str, filters: &[String]) -> Follow {
        let filters = filters.iter().map(|filter| subject(bucket, filter)).collect();
        self.follow(format!("KV_{bucket}"), filters, Start::Latest)
    }
}

/// The key of a subject of a bucket.
pub fn key_of<'a>(bucket: &str, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix("$KV.")?.strip_prefix(bucket)?.strip_prefix('.')
}

fn subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}
