//! The connection to the account of one Domain: its storage, and the reports of its supervisors.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use tetrarch_bus::{Bus, Identity, Options, State, domain::Settings, follow::Event, keyvalue::key_of};
use tetrarch_core::{id::Name, priority::Class};
use tetrarch_protocol::{
    permission,
    stream::{CONFIG_BUCKET, REPORT_BUCKET, WORK, WORK_SUBJECTS},
};
use tokio::{task::JoinSet, time::Instant};

use super::{Account, Error};
use crate::trust::{AccountKey, Root};

/// How long a reconcile waits for a new connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// How long a value that this process stored counts as stored, for as long as the connection lasts.
const TRUST: Duration = Duration::from_mins(1);

/// Digests of the values of the CONFIG bucket that this process stored or found, by key, so that an unchanged one is not
/// fetched to be compared.
type Published = Arc<Mutex<HashMap<String, (u64, Instant)>>>;

/// What a link tells: whether it is connected, and keys whose reports changed.
pub trait Listener: Send + Sync + 'static {
    /// The connection came or went.
    fn connected(&self, domain: &str, connected: bool);
    /// A report changed.
    fn reported(&self, domain: &str, key: &str, before: Option<&[u8]>, after: Option<&[u8]>);
}

/// The connection to one Domain's account; closed when dropped.
pub struct Link {
    bus: Bus,
    verified: Arc<AtomicBool>,
    reports: Arc<RwLock<BTreeMap<String, Bytes>>>,
    published: Published,
    _tasks: JoinSet<()>,
}

impl Link {
    /// Prepares the connection and follows its state and the reports.
    pub async fn open(
        url: &str,
        root: &Root,
        key: &AccountKey,
        account: &Account,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, Error> {
        let name = format!("tetrarch-operator {}", account.domain);
        let options = Options { url: url.to_owned(), name, ..Options::default() };
        let credentials = key.credentials("operator", &permission::operator(), account.created_at)?;
        let identity = Identity { credentials: &credentials, ca: root.authority_certificate() };
        let bus = tetrarch_bus::connect_as(&options, identity).await.map_err(|e| Error::Unreachable(e.to_string()))?;
        let link = Self {
            bus: bus.clone(),
            verified: Arc::default(),
            reports: Arc::default(),
            published: Arc::default(),
            _tasks: JoinSet::new(),
        };
        let mut tasks = JoinSet::new();
        let domain = account.domain.to_string();
        let lost = Lost { verified: link.verified.clone(), published: link.published.clone() };
        tasks.spawn(follow_state(bus.clone(), domain.clone(), lost, listener.clone()));
        tasks.spawn(follow_reports(bus, domain, link.reports.clone(), listener));
        Ok(Self { _tasks: tasks, ..link })
    }

    /// Whether stream and buckets were made or checked since the connection was last established.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire) && self.bus.is_connected()
    }

    /// Waits for the connection, then makes stream and buckets.
    pub async fn ensure(&self) -> Result<(), Error> {
        self.wait().await?;
        self.bus
            .ensure_domain(&Settings::default())
            .await
            .map_err(|e| Error::Refused { what: "make the Domain's stream and buckets", reason: e.to_string() })?;
        self.verified.store(true, Ordering::Release);
        Ok(())
    }

    async fn wait(&self) -> Result<(), Error> {
        tokio::time::timeout(CONNECT_WAIT, self.bus.connected())
            .await
            .map_err(|_| Error::Unreachable("the Domain's account cannot be connected".to_owned()))
    }

    fn need_connection(&self) -> Result<(), Error> {
        if self.bus.is_connected() { Ok(()) } else { Err(Error::Unreachable("not connected".to_owned())) }
    }

    /// Sets a value of the CONFIG bucket unless it is set already; says whether it wrote.
    pub async fn publish(&self, key: &str, value: Bytes) -> Result<bool, Error> {
        self.need_connection()?;
        let refused =
            |e: tetrarch_bus::write::Error| Error::Refused { what: "store configuration", reason: e.to_string() };
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let digest = hasher.finish();
        let is_there = |(known, at): &(u64, Instant)| *known == digest && at.elapsed() < TRUST;
        if locked(&self.published).get(key).is_some_and(is_there) {
            return Ok(false);
        }
        let current = self.bus.get(CONFIG_BUCKET, key).await.map_err(refused)?;
        let wrote = current.is_none_or(|entry| entry.value != value);
        if wrote {
            self.bus.put(CONFIG_BUCKET, key, value).await.map_err(refused)?;
        }
        locked(&self.published).insert(key.to_owned(), (digest, Instant::now()));
        Ok(wrote)
    }

    /// Deletes a key of a bucket unless it is gone already; says whether it wrote.
    pub async fn retract(&self, bucket: &'static str, key: &str) -> Result<bool, Error> {
        self.need_connection()?;
        locked(&self.published).remove(key);
        let refused = |e: tetrarch_bus::write::Error| Error::Refused { what: "delete a value", reason: e.to_string() };
        if self.bus.get(bucket, key).await.map_err(refused)?.is_none() {
            return Ok(false);
        }
        self.bus.delete(bucket, key).await.map_err(refused)?;
        Ok(true)
    }

    /// Removes consumers and entries of a Supervisor from the stream.
    pub async fn remove_work(&self, supervisor: &Name) -> Result<(), Error> {
        self.need_connection()?;
        let refused = |reason: String| Error::Refused { what: "remove the Supervisor's work", reason };
        let stream = self.bus.jetstream().get_stream(WORK).await.map_err(|e| refused(e.to_string()))?;
        let consumers: Vec<String> = stream.consumer_names().try_collect().await.map_err(|e| refused(e.to_string()))?;
        for consumer in consumers.iter().filter(|name| is_consumer_of(name, supervisor)) {
            stream.delete_consumer(consumer).await.map_err(|e| refused(e.to_string()))?;
        }
        for subject in WORK_SUBJECTS {
            let kind = subject.split('.').next().unwrap_or_default();
            let own = format!("{kind}.{supervisor}.>");
            stream.purge().filter(own).await.map_err(|e| refused(e.to_string()))?;
        }
        Ok(())
    }

    /// Deletes every stream of the account.
    pub async fn remove_everything(&self) -> Result<(), Error> {
        self.wait().await?;
        let refused = |reason: String| Error::Refused { what: "delete the Domain's streams", reason };
        let names: Vec<String> =
            self.bus.jetstream().stream_names().try_collect().await.map_err(|e| refused(e.to_string()))?;
        for name in names {
            self.bus.jetstream().delete_stream(&name).await.map_err(|e| refused(e.to_string()))?;
        }
        Ok(())
    }

    /// The last report with this key.
    pub fn report(&self, key: &str) -> Option<Bytes> {
        self.reports.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

/// Whether a consumer serves a pool of the Supervisor: `<supervisor>_<pool>_<class>`. Names hold no underscore.
fn is_consumer_of(consumer: &str, supervisor: &Name) -> bool {
    let mut parts = consumer.split('_');
    let own = parts.next() == Some(supervisor.as_str()) && parts.next().is_some();
    own && parts.next().is_some_and(|class| class.parse::<Class>().is_ok()) && parts.next().is_none()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is not known any more when the connection is lost: the server may come back without its data.
struct Lost {
    verified: Arc<AtomicBool>,
    published: Published,
}

async fn follow_state(bus: Bus, domain: String, lost: Lost, listener: Arc<dyn Listener>) {
    let mut state = bus.state();
    loop {
        let connected = *state.borrow_and_update() == State::Connected;
        if !connected {
            lost.verified.store(false, Ordering::Release);
            locked(&lost.published).clear();
        }
        listener.connected(&domain, connected);
        if state.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_reports(
    bus: Bus,
    domain: String,
    reports: Arc<RwLock<BTreeMap<String, Bytes>>>,
    listener: Arc<dyn Listener>,
) {
    let mut follow = bus.watch(REPORT_BUCKET, &[">".to_owned()]);
    loop {
        let (key, before, after) = match follow.next().await {
            Event::Message(message) => {
                let Some(key) = key_of(REPORT_BUCKET, &message.subject).map(ToOwned::to_owned) else { continue };
                let after = (!message.deleted).then_some(message.payload);
                let mut reports = reports.write().unwrap_or_else(PoisonError::into_inner);
                let before = match &after {
                    Some(after) => reports.insert(key.clone(), after.clone()),
                    None => reports.remove(&key),
                };
                (key, before, after)
            }
            // What was reported stays until it is reported again: a short silence is no news.
            Event::CaughtUp | Event::Restarted => continue,
        };
        listener.reported(&domain, &key, before.as_deref(), after.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("licences_classifier_normal", true)]
    #[case("licences_classifier_other", false)]
    #[case("licences-2_classifier_normal", false)]
    #[case("follow-0123", false)]
    #[case("licences", false)]
    fn consumers_of_a_supervisor(#[case] consumer: &str, #[case] own: bool) {
        assert_eq!(is_consumer_of(consumer, &"licences".parse().unwrap()), own);
    }
}
