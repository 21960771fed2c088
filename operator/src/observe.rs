//! Reads everything that one reconcile needs, from the view of the cluster and the reports on the bus.

pub mod agent_pool;
pub mod domain;
pub mod orchestrator;
pub mod supervisor;
pub mod workflow;

use serde::de::DeserializeOwned;
use tetrarch_crds::Domain;

use crate::context::{Context, account_of};

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
