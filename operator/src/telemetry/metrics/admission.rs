//! Metrics of the webhook.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use tetrarch_core::policy::Kind;
use tetrarch_plan::admit::Operation;

use crate::webhook::record::{Decision, Sink};

/// Metrics of the webhook. Clones share them.
#[derive(Clone)]
pub struct AdmissionMetrics {
    decisions: IntCounterVec,
    seconds: HistogramVec,
    turned_away: IntCounterVec,
    lost: IntCounterVec,
    certificate_until: IntGauge,
}

impl AdmissionMetrics {
    /// New metrics in this registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let buckets = vec![
            0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
        ];
        let seconds = HistogramOpts::new("tetrarch_admission_duration_seconds", "Time of one decision of the webhook.");
        let seconds = HistogramVec::new(seconds.buckets(buckets), &["operation"])?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            seconds,
            decisions: counters(
                "tetrarch_admission_decisions_total",
                "Decisions of the webhook by kind, operation and outcome.",
                &["kind", "operation", "decision"],
            )?,
            turned_away: counters(
                "tetrarch_admission_turned_away_total",
                "Requests to the webhook that were not decided, by HTTP status.",
                &["code"],
            )?,
            lost: counters(
                "tetrarch_audit_lost_total",
                "Records of decisions that did not reach an Event or the audit stream.",
                &["sink"],
            )?,
            certificate_until: gauge(
                "tetrarch_webhook_certificate_expiry_timestamp_seconds",
                "When the certificate that the webhook serves with ends, in seconds since 1970.",
            )?,
        })
    }

    /// A decision was made.
    pub fn decided(&self, kind: Kind, operation: Operation, decision: Decision, took: Duration) {
        self.decisions.with_label_values(&[kind.as_str(), operation.as_str(), decision.label()]).inc();
        self.seconds.with_label_values(&[operation.as_str()]).observe(took.as_secs_f64());
    }

    /// A request was turned away with this HTTP status without a decision.
    pub fn turned_away(&self, code: u16) {
        let label = match code {
            400 => "400",
            408 => "408",
            413 => "413",
            503 => "503",
            _ => "other",
        };
        self.turned_away.with_label_values(&[label]).inc();
    }

    /// A record did not reach its sink.
    pub fn lost(&self, sink: Sink) {
        self.lost.with_label_values(&[sink.label()]).inc();
    }

    /// The webhook serves with a certificate that ends then.
    pub fn certificate_until(&self, until: Timestamp) {
        self.certificate_until.set(until.as_second());
    }
}
