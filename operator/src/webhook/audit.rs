//! Brings records to where people look for them: Events, and the audit stream on the bus. It never delays a decision: what
//! does not fit into its buffers is counted and lost.

pub mod events;
pub mod stream;

use std::sync::Arc;

use tokio::sync::mpsc;

use super::record::{Decision, Record, Sink};
use crate::telemetry::metrics::admission::AdmissionMetrics;

/// Records that may wait for each sink.
const BUFFERED: usize = 1024;

/// Takes records. Clones share it.
#[derive(Clone)]
pub struct Audit {
    sinks: [(Sink, mpsc::Sender<Arc<Record>>); 2],
    metrics: AdmissionMetrics,
}

/// Where a sink reads.
pub type Records = mpsc::Receiver<Arc<Record>>;

impl Audit {
    /// Buffers for Events and for the bus, in this order.
    pub fn new(metrics: AdmissionMetrics) -> (Self, Records, Records) {
        let (events, to_events) = mpsc::channel(BUFFERED);
        let (bus, to_bus) = mpsc::channel(BUFFERED);
        (Self { sinks: [(Sink::Event, events), (Sink::Bus, bus)], metrics }, to_events, to_bus)
    }

    /// Remembers a decision, without waiting.
    pub fn remember(&self, record: Record) {
        let record = Arc::new(record);
        for (sink, sender) in &self.sinks {
            // An Event for each write that a policy merely wants recorded would be noise.
            let wanted = *sink == Sink::Bus || record.decision != Decision::Admitted;
            if wanted && sender.try_send(record.clone()).is_err() {
                self.metrics.lost(*sink);
            }
        }
    }
}
