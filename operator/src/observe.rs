//! Reads everything that one reconcile needs, from the view of the cluster and the reports on the bus.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tetrarch_crds::Domain;
use tetrarch_protocol::summary::SupervisorReport;

use crate::context::{Context, account_of};

/// By account and key: the bytes that were read, and what they say.
type Known = HashMap<(String, String), (Bytes, Arc<SupervisorReport>)>;

/// Reports of Supervisors that were read once for all of their pools, by account and key.
#[derive(Default)]
pub struct Reports(Mutex<Known>);

impl Reports {
    /// Forgets all; they are read again when they are asked for.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The last report of a Supervisor, read again only when it is another one.
fn supervisor_report(context: &Context, domain: Option<&Domain>, key: &str) -> Option<Arc<SupervisorReport>> {
    let account = account_of(domain?)?;
    let bytes = context.bus.report(&account, key)?;
    let mut known = context.reports.0.lock().unwrap_or_else(PoisonError::into_inner);
    let place = (account.uid, key.to_owned());
    if let Some((before, report)) = known.get(&place)
        && *before == bytes
    {
        return Some(report.clone());
    }
    let report: Arc<SupervisorReport> = Arc::new(report(context, domain, key)?);
    known.insert(place, (bytes, report.clone()));
    Some(report)
}

/// The last report with this key in a Domain's account. One that cannot be read counts as none.
fn report<T: DeserializeOwned>(context: &Context, domain: Option<&Domain>, key: &str) -> Option<T> {
    let account = account_of(domain?)?;
    let bytes = context.bus.report(&account, key)?;
    match serde_json::from_slice(&bytes) {
        Ok(report) => Some(report),
        Err(error) => {
            tracing::warn!(domain = %account.domain, key, %error, "report cannot be read and is ignored");
            None
        }
    }
}
