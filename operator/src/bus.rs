//! The operator's side of the bus: accounts of Domains, configuration for supervisors, and what these report.

pub mod accounts;
pub mod link;
pub mod system;

use bytes::Bytes;
use futures::future::BoxFuture;
use tetrarch_core::id::Name;
use tetrarch_plan::effect::BusUser;

/// Why something could not be done on the bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus does not answer.
    #[error("the bus does not answer: {0}")]
    Unreachable(String),
    /// The bus answered with a refusal.
    #[error("the bus refused to {what}: {reason}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What the bus said.
        reason: String,
    },
    /// The root keys are not loaded yet.
    #[error("the keys of the bus are not loaded yet")]
    NoRoot,
    /// Keys or claims could not be made.
    #[error(transparent)]
    Trust(#[from] crate::trust::root::Error),
    /// A key could not be derived.
    #[error(transparent)]
    Key(#[from] crate::trust::key::Error),
}

/// A Domain as the bus knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Name of the Domain.
    pub domain: Name,
    /// Uid of the Domain, from which its keys are derived.
    pub uid: String,
    /// When the Domain was created, in seconds since 1970.
    pub created_at: i64,
}

/// Credentials of one bus user. Secret, so it has no `Debug`.
pub struct Credentials {
    /// Content of a `.creds` file.
    pub user: String,
    /// The authority that the servers' certificates are signed by, PEM.
    pub authority: String,
}

/// What the controllers ask of the bus. All calls are idempotent.
pub trait BusPort: Send + Sync {
    /// Makes sure that the account of a Domain exists with its stream and buckets, and that reports are followed.
    fn ensure_account<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes the account of a Domain with everything in it.
    fn remove_account<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<(), Error>>;

    /// Credentials of a user: the same for the same arguments.
    fn credentials(&self, account: &Account, user: &BusUser) -> Result<Credentials, Error>;

    /// Sets a value of the CONFIG bucket unless it is set already; says whether it wrote.
    fn publish<'a>(&'a self, account: &'a Account, key: &'a str, value: Bytes) -> BoxFuture<'a, Result<bool, Error>>;

    /// Deletes a key of a bucket unless it is gone already; says whether it wrote.
    fn retract<'a>(
        &'a self,
        account: &'a Account,
        bucket: &'static str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Removes consumers and entries of a Supervisor from the stream.
    fn remove_work<'a>(&'a self, account: &'a Account, supervisor: &'a Name) -> BoxFuture<'a, Result<(), Error>>;

    /// The last report with this key, if there is one.
    fn report(&self, account: &Account, key: &str) -> Option<Bytes>;
}
