//! What is known to exist, for settling a ledger: seen by the watches, or asked of the API server.
//!
//! A view of a watch may be old. That an object was deleted, or that it exists with some generation, stays true however old
//! the view is; that an object does not exist is only believed of an answer to a question that was asked after the ledger
//! was read.

use futures::future::BoxFuture;
use tetrarch_core::capacity::{Key, Observed};

/// What exists could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or failed.
    #[error("the API server cannot be asked what exists: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The API server did not answer.
    #[error("the API server does not answer what exists")]
    Unanswered,
    /// The object exists and cannot be read.
    #[error("{key} cannot be read: {reason}")]
    Unreadable {
        /// The object.
        key: Key,
        /// Why.
        reason: String,
    },
}

/// What exists below an Orchestrator.
pub trait View: Send + Sync {
    /// Everything that was seen and not seen to be deleted, the highest levels first.
    fn everything(&self, orchestrator: &str) -> Vec<Observed>;

    /// The object with this key as it was last seen.
    fn seen(&self, orchestrator: &str, key: &Key) -> Option<Observed>;

    /// Objects that were seen to be deleted lately, with their uids.
    fn gone(&self) -> Vec<(Key, String)>;

    /// The object with this key, not older than the call.
    fn ask<'a>(&'a self, orchestrator: &'a str, key: &'a Key) -> BoxFuture<'a, Result<Option<Observed>, Error>>;

    /// Everything that exists, not older than the call.
    fn ask_everything<'a>(&'a self, orchestrator: &'a str) -> BoxFuture<'a, Result<Vec<Observed>, Error>>;
}
