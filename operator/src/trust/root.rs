//! The root of trust: the keys that everything else on the bus is signed with, and its form as a Secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nkeys::KeyPair;
use tetrarch_protocol::permission::Permissions;

use super::{
    bus_certificate,
    certificate::{self, Pair},
    claims::{self, AccountClaims, DeleteClaims, OperatorClaims},
    key::{self, AccountKey},
    server_config,
};

const OPERATOR_SEED: &str = "operator.seed";
const SYSTEM_SEED: &str = "system.seed";
const AUTHORITY_CERTIFICATE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CREATED_AT: &str = "created-at";

/// Why the root could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// A seed in the Secret is not valid.
    #[error("bus key: {0}")]
    Seed(#[from] nkeys::error::Error),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// Claims could not be signed.
    #[error(transparent)]
    Claims(#[from] claims::Error),
    /// The Secret lacks an entry.
    #[error("the Secret has no valid entry {0:?}: restore it from a backup, or delete it and restart every bus client")]
    Missing(&'static str),
}

/// The keys at the root of a bus.
pub struct Root {
    operator: KeyPair,
    system: KeyPair,
    authority: Pair,
    created_at: i64,
}

impl Root {
    /// Makes new keys.
    pub fn generate(now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            authority: bus_certificate::authority(now)?,
            created_at: now.as_second(),
        })
    }

    /// Entries of the Secret that keeps the root.
    pub fn to_entries(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok([
            (OPERATOR_SEED, self.operator.seed()?),
            (SYSTEM_SEED, self.system.seed()?),
            (AUTHORITY_CERTIFICATE, self.authority.certificate.clone()),
            (AUTHORITY_KEY, self.authority.key.clone()),
            (CREATED_AT, self.created_at.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into())
    }

    /// Reads the root back; `entry` gives the value of a key of the Secret.
    pub fn from_entries(entry: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let need = |key: &'static str| entry(key).ok_or(Error::Missing(key));
        Ok(Self {
            operator: KeyPair::from_seed(&need(OPERATOR_SEED)?)?,
            system: KeyPair::from_seed(&need(SYSTEM_SEED)?)?,
            authority: Pair { certificate: need(AUTHORITY_CERTIFICATE)?, key: need(AUTHORITY_KEY)? },
            created_at: need(CREATED_AT)?.parse().map_err(|_| Error::Missing(CREATED_AT))?,
        })
    }

    /// The authority's certificate, PEM, which every client of the bus trusts.
    pub fn authority_certificate(&self) -> &str {
        &self.authority.certificate
    }

    /// The account key of a Domain.
    pub fn account(&self, domain_uid: &str) -> Result<AccountKey, Error> {
        Ok(AccountKey::of_domain(&self.operator, domain_uid)?)
    }

    /// The signed claims of a Domain's account, to be pushed to the servers. `issued_at` is in seconds since 1970.
    pub fn account_claims(&self, account: &AccountKey, domain: &str, issued_at: i64) -> Result<String, Error> {
        Ok(claims::sign(&self.operator, &account.id(), domain, issued_at, &AccountClaims::domain())?)
    }

    /// The signed request to delete an account.
    pub fn delete_claims(&self, account: &AccountKey, issued_at: i64) -> Result<String, Error> {
        let operator = self.operator.public_key();
        Ok(claims::sign(&self.operator, &operator, "delete", issued_at, &DeleteClaims::new(&account.id()))?)
    }

    /// Credentials of the user that administers accounts.
    pub fn system_credentials(&self) -> Result<String, Error> {
        let permissions = Permissions {
            publish: vec!["$SYS.REQ.>".to_owned()],
            subscribe: vec!["_INBOX.>".to_owned(), "$SYS.ACCOUNT.>".to_owned()],
        };
        let account = AccountKey::from_seed(&self.system.seed()?)?;
        Ok(account.credentials("tetrarch-operator", &permissions, self.created_at)?)
    }

    /// The part of the server's configuration that makes it trust this root.
    ///
    /// `directory` is where the server keeps the claims of accounts.
    pub fn server_config(&self, directory: &str) -> Result<String, Error> {
        let system = self.system.public_key();
        let operator = self.operator.public_key();
        let operator_claims =
            claims::sign(&self.operator, &operator, "tetrarch", self.created_at, &OperatorClaims::new(&system))?;
        let system_claims = claims::sign(&self.operator, &system, "SYS", self.created_at, &AccountClaims::system())?;
        Ok(server_config::render(&operator_claims, &system, &system_claims, directory))
    }

    /// Entries of the Secret that the servers mount, with a fresh server certificate.
    pub fn server_entries(&self, namespace: &str, now: Timestamp) -> Result<BTreeMap<String, String>, Error> {
        let server = bus_certificate::server(&self.authority, namespace, now)?;
        Ok([
            ("server.crt", server.certificate),
            ("server.key", server.key),
            ("ca.crt", self.authority.certificate.clone()),
            ("auth.conf", self.server_config(server_config::DIRECTORY)?),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_was_stored_signs_the_same_as_before() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let root = Root::generate(now).unwrap();
        let entries = root.to_entries().unwrap();
        let read = Root::from_entries(|key| entries.get(key).cloned()).unwrap();
        assert_eq!(root.system_credentials().unwrap(), read.system_credentials().unwrap());
        assert_eq!(root.server_config("/x").unwrap(), read.server_config("/x").unwrap());
        assert_eq!(root.account("uid").unwrap().id(), read.account("uid").unwrap().id());
    }

    #[test]
    fn a_root_without_its_seed_says_which_entry_is_missing() {
        let error = Root::from_entries(|_| None).err().unwrap();
        assert!(error.to_string().contains("operator.seed"), "{error}");
    }
}
