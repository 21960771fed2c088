//! The sidecar's metrics, in the text format of Prometheus.

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use tetrarch_core::priority::Class;

use crate::session::event::Outcome;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// All metrics of one sidecar. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    tasks: IntCounterVec,
    seconds: HistogramVec,
    pulls: IntCounterVec,
    /// Tasks given back to their queue.
    pub handed_back: IntCounter,
    /// Times the connection to the bus was established again.
    pub reconnects: IntCounter,
    /// Tasks that occupy a slot.
    pub in_flight: IntGauge,
    /// Tasks the agent works on at once.
    pub slots: IntGauge,
    /// 1 when the agent is fit for work.
    pub agent_healthy: IntGauge,
    /// 1 when the bus is reached.
    pub bus_connected: IntGauge,
    /// 1 once no new tasks are taken.
    pub draining: IntGauge,
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("tetrarch_sidecar_{name}"), help);
        let metrics = Self {
            registry: Registry::new(),
            tasks: IntCounterVec::new(opts("tasks_total", "Attempts that ended, by outcome"), &["outcome", "class"])?,
            seconds: HistogramVec::new(
                HistogramOpts::new("tetrarch_sidecar_call_duration_seconds", "Time from the call to its end")
                    .buckets(BUCKETS.to_vec()),
                &["class"],
            )?,
            pulls: IntCounterVec::new(opts("pulls_total", "Requests for tasks"), &["class"])?,
            handed_back: IntCounter::with_opts(opts("handed_back_total", "Tasks given back to their queue"))?,
            reconnects: IntCounter::with_opts(opts("reconnects_total", "Connections to the bus after the first"))?,
            in_flight: IntGauge::with_opts(opts("in_flight", "Tasks that occupy a slot"))?,
            slots: IntGauge::with_opts(opts("slots", "Tasks the agent works on at once"))?,
            agent_healthy: IntGauge::with_opts(opts("agent_healthy", "1 when the agent is fit for work"))?,
            bus_connected: IntGauge::with_opts(opts("bus_connected", "1 when the bus is reached"))?,
            draining: IntGauge::with_opts(opts("draining", "1 once no new tasks are taken"))?,
        };
        let Self { registry, tasks, seconds, pulls, handed_back, reconnects, in_flight, .. } = &metrics;
        registry.register(Box::new(tasks.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(pulls.clone()))?;
        registry.register(Box::new(handed_back.clone()))?;
        registry.register(Box::new(reconnects.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        for gauge in [&metrics.slots, &metrics.agent_healthy, &metrics.bus_connected, &metrics.draining] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(metrics)
    }

    /// An attempt ended.
    pub fn ended(&self, outcome: &Outcome, class: Class, seconds: f64) {
        let name = match outcome {
            Outcome::Succeeded(_) => "succeeded".to_owned(),
            Outcome::HandedOver(_) => "handed_over".to_owned(),
            Outcome::Failed(reason, _) => format!("{reason:?}"),
            Outcome::Unknown(_) => "unknown".to_owned(),
        };
        self.tasks.with_label_values(&[name.as_str(), class.as_str()]).inc();
        self.seconds.with_label_values(&[class.as_str()]).observe(seconds);
    }

    /// A request for tasks was sent.
    pub fn pulled(&self, class: Class) {
        self.pulls.with_label_values(&[class.as_str()]).inc();
    }

    /// Everything as text.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
