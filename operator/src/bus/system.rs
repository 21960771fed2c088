//! The servers' own account: pushing and deleting the accounts of Domains.

use serde::Deserialize;
use tetrarch_bus::{Bus, Identity, Options};

use super::Error;
use crate::trust::{AccountKey, Root};

const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    description: String,
}

/// A connection to the servers' own account.
pub struct System {
    bus: Bus,
}

impl System {
    /// Prepares the connection; it is established in the background.
    pub async fn connect(url: &str, root: &Root) -> Result<Self, Error> {
        let options = Options { url: url.to_owned(), name: "tetrarch-operator".to_owned(), ..Options::default() };
        let credentials = root.system_credentials()?;
        let identity = Identity { credentials: &credentials, ca: root.authority_certificate() };
        let bus = tetrarch_bus::connect_as(&options, identity).await.map_err(|e| Error::Unreachable(e.to_string()))?;
        Ok(Self { bus })
    }

    /// Whether the servers are reached now.
    pub fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    /// Tells the servers of an account, or of its new claims.
    pub async fn push(&self, claims: String) -> Result<(), Error> {
        self.request("accept the Domain's account", UPDATE, claims).await
    }

    /// Makes the servers forget an account.
    pub async fn delete(&self, root: &Root, account: &AccountKey, now: i64) -> Result<(), Error> {
        let claims = root.delete_claims(account, now)?;
        self.request("delete the Domain's account", DELETE, claims).await
    }

    async fn request(&self, what: &'static str, subject: &'static str, claims: String) -> Result<(), Error> {
        if !self.bus.is_connected() {
            return Err(Error::Unreachable("not connected".to_owned()));
        }
        let answer = self
            .bus
            .client()
            .request(subject, claims.into())
            .await
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        match serde_json::from_slice::<Answer>(&answer.payload) {
            Ok(Answer { error: None }) => Ok(()),
            Ok(Answer { error: Some(refusal) }) => Err(Error::Refused { what, reason: refusal.description }),
            Err(error) => Err(Error::Refused { what, reason: format!("unreadable answer: {error}") }),
        }
    }
}
