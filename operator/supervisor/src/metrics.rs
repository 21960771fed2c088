//! The Prometheus metrics of a Supervisor; the only place that names the library.

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tetrarch_core::{priority::Class, workflow::journal::Outcome};

/// Bounds of the latency histogram in seconds: from a quick tool to a long piece of work.
const LATENCY: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// Why the metrics could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library refused a name.
    #[error("cannot register the metrics: {0}")]
    Register(#[from] prometheus::Error),
}

/// All metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    dispatched: IntCounterVec,
    completed: IntCounterVec,
    latency: HistogramVec,
    runs_active: IntGaugeVec,
    runs_waiting: IntGaugeVec,
    runs_finished: IntCounterVec,
    in_flight: IntGauge,
    journal_lag: IntGauge,
    partitions: IntGauge,
    conflicts: IntCounterVec,
    spans: IntCounterVec,
    messages: IntCounterVec,
}

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanEnd {
    /// The collector took it.
    Exported,
    /// The collector was not reached or refused it.
    Refused,
    /// It found no room among those that wait for the collector.
    Dropped,
}

impl SpanEnd {
    const ALL: [Self; 3] = [Self::Exported, Self::Refused, Self::Dropped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// What became of a message that may begin a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEnd {
    /// It has begun a run.
    Begun,
    /// It had begun one when it came before.
    Repeated,
    /// The condition of the trigger is false.
    Declined,
    /// There was no trigger for it.
    Unheard,
}

impl MessageEnd {
    const ALL: [Self; 4] = [Self::Begun, Self::Repeated, Self::Declined, Self::Unheard];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Repeated => "repeated",
            Self::Declined => "declined",
            Self::Unheard => "unheard",
        }
    }
}

/// Why a write had to be repeated or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another replica was faster.
    Conflict,
    /// The stream is full.
    Full,
    /// Everything else.
    Error,
}

impl Metrics {
    /// New metrics, all zero.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, Error> {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, Error> {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let latency = HistogramVec::new(
            HistogramOpts::new("tetrarch_task_duration_seconds", "Time from a task's dispatch to its result")
                .buckets(LATENCY.to_vec()),
            &["class"],
        )?;
        registry.register(Box::new(latency.clone()))?;
        let metrics = Self {
            dispatched: counter("tetrarch_tasks_dispatched_total", "Attempts put into queues", &["class"])?,
            completed: counter("tetrarch_tasks_completed_total", "Attempts ended", &["class", "outcome"])?,
            runs_active: gauges("tetrarch_runs_active", "Runs that have started and not ended", &["class"])?,
            runs_waiting: gauges("tetrarch_runs_waiting", "Accepted runs that wait for a place", &["class"])?,
            runs_finished: counter("tetrarch_runs_finished_total", "Ended runs", &["class", "phase"])?,
            in_flight: gauge("tetrarch_tasks_in_flight", "Attempts without a result, in queues and with agents")?,
            journal_lag: gauge("tetrarch_journal_lag_entries", "Journal entries that are still to be folded")?,
            partitions: gauge("tetrarch_lease_partitions_held", "Partitions of runs that this replica acts on")?,
            conflicts: counter(
                "tetrarch_writes_refused_total",
                "Writes to the journal that were refused",
                &["reason"],
            )?,
            spans: counter("tetrarch_spans_total", "Spans of traces, by what became of them", &["result"])?,
            messages: counter(
                "tetrarch_messages_total",
                "Messages that may begin runs, by what became of them",
                &["result"],
            )?,
            latency,
            registry,
        };
        for end in SpanEnd::ALL.map(SpanEnd::as_str) {
            metrics.spans.with_label_values(&[end]);
        }
        for end in MessageEnd::ALL.map(MessageEnd::as_str) {
            metrics.messages.with_label_values(&[end]);
        }
        for class in Class::ALL.map(Class::as_str) {
            metrics.dispatched.with_label_values(&[class]);
            metrics.runs_active.with_label_values(&[class]);
            metrics.runs_waiting.with_label_values(&[class]);
        }
        Ok(metrics)
    }

    /// An attempt was put into a queue.
    pub fn task_dispatched(&self, class: Class) {
        self.dispatched.with_label_values(&[class.as_str()]).inc();
    }

    /// An attempt ended, so many seconds after its dispatch.
    pub fn task_completed(&self, class: Class, outcome: &Outcome, seconds: f64) {
        let outcome = match outcome {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::HandedOver { .. } => "handed_over",
            Outcome::Failed { .. } => "failed",
            Outcome::Unknown { .. } => "unknown",
        };
        self.completed.with_label_values(&[class.as_str(), outcome]).inc();
        self.latency.with_label_values(&[class.as_str()]).observe(seconds);
    }

    /// A run ended.
    pub fn run_finished(&self, class: Class, phase: tetrarch_core::workflow::journal::FinalPhase) {
        use tetrarch_core::workflow::journal::FinalPhase;
        let phase = match phase {
            FinalPhase::Succeeded => "succeeded",
            FinalPhase::Failed => "failed",
            FinalPhase::Compensated => "compensated",
            FinalPhase::Cancelled => "cancelled",
            FinalPhase::OutcomeUnknown => "unknown",
        };
        self.runs_finished.with_label_values(&[class.as_str(), phase]).inc();
    }

    /// Active and waiting runs of a class.
    pub fn set_runs(&self, class: Class, active: usize, waiting: usize) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.runs_active.with_label_values(&[class.as_str()]).set(number(active));
        self.runs_waiting.with_label_values(&[class.as_str()]).set(number(waiting));
    }

    /// Attempts without a result.
    pub fn set_in_flight(&self, tasks: u64) {
        self.in_flight.set(i64::try_from(tasks).unwrap_or(i64::MAX));
    }

    /// Entries that are still to be folded.
    pub fn set_journal_lag(&self, entries: u64) {
        self.journal_lag.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Partitions held.
    pub fn set_partitions(&self, held: usize) {
        self.partitions.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// A write was refused.
    pub fn write_refused(&self, refusal: Refusal) {
        let reason = match refusal {
            Refusal::Conflict => "conflict",
            Refusal::Full => "full",
            Refusal::Error => "error",
        };
        self.conflicts.with_label_values(&[reason]).inc();
    }

    /// Spans were sent, or dropped.
    pub fn spans_ended(&self, end: SpanEnd, count: usize) {
        self.spans.with_label_values(&[end.as_str()]).inc_by(count as u64);
    }

    /// A message was done with.
    pub fn message_ended(&self, end: MessageEnd) {
        self.messages.with_label_values(&[end.as_str()]).inc();
    }

    /// Everything in the text format.
    pub fn render(&self) -> Result<String, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
