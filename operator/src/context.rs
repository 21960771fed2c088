//! Everything that a reconcile uses beside its object.

use std::sync::Arc;

use kube::{Client, runtime::events::Recorder};
use tetrarch_core::id::Name;
use tetrarch_crds::Domain;
use tetrarch_plan::settings::Settings;

use crate::{
    bus::{Account, BusPort},
    capacity::lead::Ledgers,
    clock::Clock,
    controllers::backoff::Backoff,
    enact::applied::Applied,
    observe::Reports,
    queue::Queue,
    telemetry::metrics::Metrics,
    world::World,
};

/// Everything that a reconcile uses beside its object. It lives as long as this replica leads.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The bus.
    pub bus: Arc<dyn BusPort>,
    /// The view of the cluster.
    pub world: Arc<World>,
    /// What was applied and need not be applied again.
    pub applied: Applied,
    /// Reports of Supervisors that were read.
    pub reports: Reports,
    /// Retries by object.
    pub backoff: Backoff,
    /// Requests to reconcile.
    pub queue: Queue,
    /// Writes Events.
    pub recorder: Recorder,
    /// The time of day.
    pub clock: Clock,
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The capacity ledgers as this replica last surveyed them.
    pub ledgers: Ledgers,
    /// Metrics.
    pub metrics: Metrics,
}

impl Context {
    /// The bus account of a Domain that is known.
    pub fn account(&self, domain: &Name) -> Option<Account> {
        self.world.domain(domain.as_str()).and_then(|object| account_of(&object))
    }
}

/// The bus account of a stored Domain.
pub fn account_of(domain: &Domain) -> Option<Account> {
    let meta = &domain.metadata;
    Some(Account {
        domain: meta.name.as_deref()?.parse().ok()?,
        uid: meta.uid.clone()?,
        created_at: meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
    })
}
