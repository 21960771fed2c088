//! The servers' own account: pushing and deleting the accounts of Domains.

use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use tetrarch_bus::{Bus, Identity, Options};

use super::Error;
use crate::trust::{AccountKey, Root};

const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";

const PING: &str = "$SYS.REQ.SERVER.PING";

/// How long to wait for one more server to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Pong {
    server: Server,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

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

    /// Waits until they are.
    pub async fn connected(&self) {
        self.bus.connected().await;
    }

    /// Tells the servers of an account, or of its new claims.
    pub async fn push(&self, claims: String) -> Result<(), Error> {
        self.request("accept the Domain's account", UPDATE, claims).await
    }

    /// Whether the servers know an account.
    pub async fn knows(&self, account: &AccountKey) -> Result<bool, Error> {
        if !self.bus.is_connected() {
            return Err(Error::Unreachable("not connected".to_owned()));
        }
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.id());
        let answer = self.bus.client().request(subject, "".into()).await;
        Ok(!answer.map_err(|error| Error::Unreachable(error.to_string()))?.payload.is_empty())
    }

    /// Makes the servers forget an account.
    pub async fn delete(&self, root: &Root, account: &AccountKey, now: i64) -> Result<(), Error> {
        let claims = root.delete_claims(account, now)?;
        self.request("delete the Domain's account", DELETE, claims).await
    }

    /// Makes all servers read their configuration and certificates again.
    pub async fn reload(&self) -> Result<(), Error> {
        let unreachable = |error: String| Error::Unreachable(error);
        let client = self.bus.client();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|e| unreachable(e.to_string()))?;
        client.publish_with_reply(PING, inbox, "".into()).await.map_err(|e| unreachable(e.to_string()))?;
        // Every server answers for itself; nobody knows how many there are.
        while let Ok(Some(answer)) = tokio::time::timeout(ANSWER_WAIT, answers.next()).await {
            let Ok(Pong { server }) = serde_json::from_slice(&answer.payload) else { continue };
            let subject = format!("$SYS.REQ.SERVER.{}.RELOAD", server.id);
            client.request(subject, "".into()).await.map_err(|e| unreachable(e.to_string()))?;
        }
        Ok(())
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
