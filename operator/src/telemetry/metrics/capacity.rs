//! Metrics of capacity: how claims end, what the ledger costs, and what is booked of each object's quota.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingOutcome {
    /// It is booked.
    Granted,
    /// There is not enough left.
    Refused,
    /// Nobody could say in time.
    Unavailable,
}

impl BookingOutcome {
    const ALL: [Self; 3] = [Self::Granted, Self::Refused, Self::Unavailable];

    const fn label(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What is told about one resource of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gauge {
    /// The level, one of four, or `agent` for the share of one agent of a pool.
    pub level: &'static str,
    /// The object's name, with its namespace in front when it has one.
    pub object: String,
    /// The resource, one of a few.
    pub resource: &'static str,
    /// What everything below has booked, in the base unit.
    pub booked: u64,
    /// What the quota gives, when there is one.
    pub quota: Option<u64>,
}

/// A cheap handle to the metrics of capacity.
#[derive(Clone)]
pub struct CapacityMetrics {
    claims: IntCounterVec,
    conflicts: IntCounter,
    batch: Histogram,
    write_seconds: Histogram,
    booked: IntGaugeVec,
    quota: IntGaugeVec,
    shown: Arc<Mutex<BTreeSet<[String; 3]>>>,
}

impl CapacityMetrics {
    /// New metrics in this registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["level", "object", "resource"];
        let seconds = HistogramOpts::new("tetrarch_capacity_write_duration_seconds", "Time of one write of a ledger.")
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]);
        let batch = HistogramOpts::new("tetrarch_capacity_batch_claims", "Claims that were booked by one write.")
            .buckets(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        let made = Self {
            claims: IntCounterVec::new(
                Opts::new("tetrarch_capacity_claims_total", "Claims of capacity by how they ended."),
                &["outcome"],
            )?,
            conflicts: IntCounter::new(
                "tetrarch_capacity_conflicts_total",
                "Writes of a ledger that lost against another replica's.",
            )?,
            batch: Histogram::with_opts(batch)?,
            write_seconds: Histogram::with_opts(seconds)?,
            booked: IntGaugeVec::new(
                Opts::new("tetrarch_capacity_booked", "What everything below an object has booked, in the base unit."),
                &labels,
            )?,
            quota: IntGaugeVec::new(
                Opts::new("tetrarch_capacity_quota", "What the quota of an object gives, in the base unit."),
                &labels,
            )?,
            shown: Arc::default(),
        };
        registry.register(Box::new(made.claims.clone()))?;
        registry.register(Box::new(made.conflicts.clone()))?;
        registry.register(Box::new(made.batch.clone()))?;
        registry.register(Box::new(made.write_seconds.clone()))?;
        registry.register(Box::new(made.booked.clone()))?;
        registry.register(Box::new(made.quota.clone()))?;
        for outcome in BookingOutcome::ALL {
            made.claims.with_label_values(&[outcome.label()]);
        }
        Ok(made)
    }

    /// A claim ended.
    pub fn claimed(&self, outcome: BookingOutcome) {
        self.claims.with_label_values(&[outcome.label()]).inc();
    }

    /// Claims that ended so.
    pub fn claims(&self, outcome: BookingOutcome) -> u64 {
        self.claims.with_label_values(&[outcome.label()]).get()
    }

    /// A write lost against another replica's.
    pub fn lost(&self) {
        self.conflicts.inc();
    }

    /// A write with so many claims took so long.
    #[expect(clippy::cast_precision_loss, reason = "a batch holds a few thousand claims at most")]
    pub fn wrote(&self, claims: usize, took: Duration) {
        self.batch.observe(claims as f64);
        self.write_seconds.observe(took.as_secs_f64());
    }

    /// Shows these amounts and no others.
    pub fn show(&self, gauges: &[Gauge]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *shown);
        for gauge in gauges {
            let labels = [gauge.level, &gauge.object, gauge.resource];
            self.booked.with_label_values(&labels).set(signed(gauge.booked));
            match gauge.quota {
                Some(quota) => self.quota.with_label_values(&labels).set(signed(quota)),
                None => {
                    self.quota.remove_label_values(&labels).ok();
                }
            }
            let labels = labels.map(str::to_owned);
            gone.remove(&labels);
            shown.insert(labels);
        }
        for labels in gone {
            self.booked.remove_label_values(&labels).ok();
            self.quota.remove_label_values(&labels).ok();
        }
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(object: &str, quota: Option<u64>) -> Gauge {
        Gauge { level: "supervisor", object: object.to_owned(), resource: "agents", booked: 3, quota }
    }

    #[test]
    fn gauges_of_objects_that_are_gone_or_lost_their_quota_are_not_shown_any_more() {
        let registry = Registry::new();
        let metrics = CapacityMetrics::new(&registry).unwrap();
        metrics.show(&[gauge("a/x", Some(5)), gauge("a/y", Some(5))]);
        assert_eq!(metrics.booked.with_label_values(&["supervisor", "a/x", "agents"]).get(), 3);

        metrics.show(&[gauge("a/x", None)]);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(!text.contains("a/y"), "{text}");
        assert!(
            text.contains(r#"tetrarch_capacity_booked{level="supervisor",object="a/x",resource="agents"} 3"#),
            "{text}"
        );
        assert!(!text.contains("tetrarch_capacity_quota{"), "{text}");
    }
}
