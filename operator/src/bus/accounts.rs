//! The real bus: one connection per Domain, opened and closed with the Domain.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use tetrarch_core::id::Name;
use tetrarch_plan::effect::BusUser;
use tetrarch_protocol::permission;

use super::{
    Account, BusPort, Credentials, Error,
    link::{Link, Listener},
    system::System,
};
use crate::{clock::Clock, queue::Queue, telemetry::metrics::Metrics, trust::Root, world::World};

/// The accounts of all Domains.
pub struct Accounts {
    url: String,
    clock: Clock,
    session: RwLock<Option<Arc<Session>>>,
    listener: Arc<Wakes>,
}

/// What exists while this process leads.
struct Session {
    root: Root,
    system: System,
    links: Mutex<HashMap<String, Arc<Link>>>,
}

/// Wakes what looks at the bus.
struct Wakes {
    queue: Queue,
    world: Arc<World>,
    metrics: Metrics,
}

impl Listener for Wakes {
    fn connected(&self, domain: &str, connected: bool) {
        self.metrics.bus_connected(domain, connected);
        self.queue.wake_all(self.world.route_bus(domain));
    }

    fn reported(&self, domain: &str, key: &str, before: Option<&[u8]>, after: Option<&[u8]>) {
        self.queue.wake_all(self.world.route_report(domain, key, before, after));
    }
}

impl Accounts {
    /// No accounts yet; [`Accounts::open`] gives the keys.
    pub fn new(url: String, clock: Clock, queue: Queue, world: Arc<World>, metrics: Metrics) -> Self {
        let listener = Arc::new(Wakes { queue, world, metrics });
        Self { url, clock, session: RwLock::default(), listener }
    }

    /// Starts to work with these root keys.
    pub async fn open(&self, root: Root) -> Result<(), Error> {
        let system = System::connect(&self.url, &root).await?;
        let session = Session { root, system, links: Mutex::default() };
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(session));
        Ok(())
    }

    /// Makes all servers read their configuration and certificates again.
    pub async fn reload_servers(&self) -> Result<(), Error> {
        self.session()?.system.reload().await
    }

    fn session(&self) -> Result<Arc<Session>, Error> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::NoRoot)
    }

    /// The link of an account with its storage. It is opened when it is not: what a Domain leaves behind may have to be
    /// removed by a process that never saw the Domain alive.
    async fn link(&self, account: &Account) -> Result<Arc<Link>, Error> {
        let session = self.session()?;
        if let Some(link) = session.existing(account).filter(|link| link.is_verified()) {
            return Ok(link);
        }
        let link = self.open_link(&session, account).await?;
        link.ensure().await?;
        Ok(link)
    }

    /// The link of an account whose claims the servers know.
    async fn open_link(&self, session: &Session, account: &Account) -> Result<Arc<Link>, Error> {
        let key = session.root.account(&account.uid)?;
        // Newer claims each time: the servers pass over claims that they have had already, even for a deleted account.
        let claims = session.root.account_claims(&key, account.domain.as_str(), self.clock.now().as_second())?;
        session.system.push(claims).await?;
        if let Some(link) = session.existing(account) {
            return Ok(link);
        }
        let listener: Arc<dyn Listener> = self.listener.clone();
        let link = Arc::new(Link::open(&self.url, &session.root, &key, account, listener).await?);
        session.links().insert(account.uid.clone(), link.clone());
        Ok(link)
    }
}

impl Session {
    fn existing(&self, account: &Account) -> Option<Arc<Link>> {
        self.links().get(&account.uid).cloned()
    }

    fn links(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BusPort for Accounts {
    fn ensure_account<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.link(account).await?;
            Ok(())
        })
    }

    fn remove_account<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let session = self.session()?;
            let key = session.root.account(&account.uid)?;
            if !session.system.knows(&key).await? {
                session.links().remove(&account.uid);
                return Ok(());
            }
            let link = self.open_link(&session, account).await?;
            link.remove_everything().await?;
            // Closed before the servers refuse it: a client that is refused tries again for ever.
            session.links().remove(&account.uid);
            drop(link);
            session.system.delete(&session.root, &key, self.clock.now().as_second()).await
        })
    }

    fn credentials(&self, account: &Account, user: &BusUser) -> Result<Credentials, Error> {
        let session = self.session()?;
        let (name, permissions) = match user {
            BusUser::Supervisor { supervisor } => {
                (format!("supervisor/{supervisor}"), permission::supervisor(supervisor))
            }
            BusUser::Publisher { supervisor } => (format!("publisher/{supervisor}"), permission::publisher(supervisor)),
            BusUser::Pool { supervisor, pool } => {
                (format!("agent/{supervisor}/{pool}"), permission::agent(supervisor, pool))
            }
        };
        let key = session.root.account(&account.uid)?;
        Ok(Credentials {
            user: key.credentials(&name, &permissions, account.created_at)?,
            authority: session.root.authority_certificate().to_owned(),
        })
    }

    fn publish<'a>(&'a self, account: &'a Account, key: &'a str, value: Bytes) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { self.link(account).await?.publish(key, value).await })
    }

    fn retract<'a>(
        &'a self,
        account: &'a Account,
        bucket: &'static str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { self.link(account).await?.retract(bucket, key).await })
    }

    fn remove_work<'a>(&'a self, account: &'a Account, supervisor: &'a Name) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.link(account).await?.remove_work(supervisor).await })
    }

    fn report(&self, account: &Account, key: &str) -> Option<Bytes> {
        self.session().ok()?.existing(account)?.report(key)
    }
}
