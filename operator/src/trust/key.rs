//! Keys of accounts and users, derived from the root seed, and the credentials that users get.

use nkeys::{KeyPair, KeyPairType};
use sha2::{Digest, Sha512_256};
use tetrarch_protocol::permission::Permissions;

use super::claims::{self, UserClaims};

/// Why a key or a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key library refused a seed.
    #[error("bus key: {0}")]
    Key(#[from] nkeys::error::Error),
    /// Claims could not be signed.
    #[error(transparent)]
    Claims(#[from] claims::Error),
}

/// Derives 32 secret bytes for `label` from a secret `seed`. SHA-512/256 over a key of fixed length is not extendable.
fn derive(seed: &[u8; 32], label: &str) -> [u8; 32] {
    let mut hash = Sha512_256::new();
    hash.update(b"tetrarch bus key 1\0");
    hash.update(seed);
    hash.update(label.as_bytes());
    hash.finalize().into()
}

fn raw_seed(pair: &KeyPair) -> Result<[u8; 32], Error> {
    Ok(nkeys::decode_seed(&pair.seed()?)?.1)
}

/// The signing key of one account, which makes the credentials of its users.
pub struct AccountKey(KeyPair);

impl AccountKey {
    /// The key of the account of the Domain with this uid.
    pub fn of_domain(root: &KeyPair, domain_uid: &str) -> Result<Self, Error> {
        let seed = derive(&raw_seed(root)?, &format!("account/{domain_uid}"));
        Ok(Self(KeyPair::new_from_raw(KeyPairType::Account, seed)?))
    }

    /// The key that a seed stands for.
    pub fn from_seed(seed: &str) -> Result<Self, Error> {
        Ok(Self(KeyPair::from_seed(seed)?))
    }

    /// The public key, which is the account's id on the bus.
    pub fn id(&self) -> String {
        self.0.public_key()
    }

    /// Credentials of the user `name`: the same bytes for the same arguments.
    ///
    /// `issued_at` is in seconds since 1970. The result is the content of a `.creds` file and is secret.
    pub fn credentials(&self, name: &str, permissions: &Permissions, issued_at: i64) -> Result<String, Error> {
        let seed = derive(&raw_seed(&self.0)?, &format!("user/{name}"));
        let user = KeyPair::new_from_raw(KeyPairType::User, seed)?;
        let token = claims::sign(&self.0, &user.public_key(), name, issued_at, &UserClaims::new(permissions))?;
        Ok(credentials_file(&token, &user.seed()?))
    }
}

/// The credentials file format of NATS.
fn credentials_file(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\
         NKEYs are sensitive and should be treated as secrets.\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n\
         *************************************************************\n"
    )
}

#[cfg(test)]
mod tests {
    use tetrarch_protocol::permission;

    use super::*;

    #[test]
    fn the_same_domain_gets_the_same_account_and_another_uid_another_one() {
        let root = KeyPair::new_operator();
        let id = |uid: &str| AccountKey::of_domain(&root, uid).unwrap().id();
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        assert!(id("a").starts_with('A'));
        assert_ne!(id("a"), AccountKey::of_domain(&KeyPair::new_operator(), "a").unwrap().id());
    }

    #[test]
    fn credentials_are_the_same_bytes_every_time_and_differ_by_user() {
        let account = AccountKey::of_domain(&KeyPair::new_operator(), "a").unwrap();
        let make = |name: &str| account.credentials(name, &permission::operator(), 1_700_000_000).unwrap();
        assert_eq!(make("x"), make("x"));
        assert_ne!(make("x"), make("y"));
    }
}
