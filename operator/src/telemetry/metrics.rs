//! All metrics of the operator. Labels come from enums, or name Domains, of which there are few.

pub mod admission;
pub mod capacity;

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tetrarch_plan::{object::Kind, outcome::FailureClass};

use self::{admission::AdmissionMetrics, capacity::CapacityMetrics};

/// One of the five controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Of Orchestrators.
    Orchestrator,
    /// Of Domains.
    Domain,
    /// Of Supervisors.
    Supervisor,
    /// Of AgentPools.
    AgentPool,
    /// Of Workflows.
    Workflow,
}

impl Controller {
    /// All controllers.
    pub const ALL: [Self; 5] = [Self::Orchestrator, Self::Domain, Self::Supervisor, Self::AgentPool, Self::Workflow];

    /// The kind that it reconciles.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Orchestrator => "Orchestrator",
            Self::Domain => "Domain",
            Self::Supervisor => "Supervisor",
            Self::AgentPool => "AgentPool",
            Self::Workflow => "Workflow",
        }
    }

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Domain => "domain",
            Self::Supervisor => "supervisor",
            Self::AgentPool => "agentpool",
            Self::Workflow => "workflow",
        }
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Server-side apply.
    Apply,
    /// A patch of the object itself.
    Patch,
    /// A patch of the status.
    Status,
    /// A deletion.
    Delete,
    /// A value on the bus.
    Publish,
}

impl Verb {
    const fn label(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Patch => "patch",
            Self::Status => "status",
            Self::Delete => "delete",
            Self::Publish => "publish",
        }
    }
}

const fn class_label(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Invalid => "invalid",
        FailureClass::Conflict => "conflict",
        FailureClass::Transient => "transient",
        FailureClass::Forbidden => "forbidden",
        FailureClass::NotOwned => "not_owned",
        FailureClass::Bus => "bus",
    }
}

/// A cheap handle to all metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    reconcile_seconds: HistogramVec,
    reconciles: IntCounterVec,
    errors: IntCounterVec,
    queue_depth: IntGaugeVec,
    writes: IntCounterVec,
    objects: IntGaugeVec,
    work: IntGaugeVec,
    agents: IntGaugeVec,
    bus_connected: IntGaugeVec,
    is_leader: IntGauge,
    watch_errors: IntCounterVec,
    capacity: CapacityMetrics,
    admission: AdmissionMetrics,
}

impl Metrics {
    /// New metrics in a registry of their own.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "names and labels are constants of this file; a test makes them all"
    )]
    pub fn new() -> Self {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let made = IntGaugeVec::new(Opts::new(format!("tetrarch_{name}"), help), labels).expect("valid metric");
            registry.register(Box::new(made.clone())).expect("registered once");
            made
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(format!("tetrarch_{name}"), help), labels).expect("valid metric");
            registry.register(Box::new(made.clone())).expect("registered once");
            made
        };
        let seconds = HistogramOpts::new("tetrarch_reconcile_duration_seconds", "Time of one reconcile.")
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let reconcile_seconds = HistogramVec::new(seconds, &["controller"]).expect("valid metric");
        registry.register(Box::new(reconcile_seconds.clone())).expect("registered once");
        let is_leader =
            IntGauge::new("tetrarch_is_leader", "1 while this replica leads, else 0.").expect("valid metric");
        registry.register(Box::new(is_leader.clone())).expect("registered once");
        Self {
            reconcile_seconds,
            is_leader,
            reconciles: counters("reconcile_total", "Reconciles by controller.", &["controller"]),
            errors: counters("reconcile_errors_total", "Failed reconciles.", &["controller", "class"]),
            queue_depth: gauges("queue_depth", "Objects that wait for their reconcile.", &["controller"]),
            writes: counters("writes_total", "Writes by kind and verb.", &["kind", "verb"]),
            objects: gauges("objects", "Objects by kind and whether they are Ready.", &["kind", "ready"]),
            work: gauges("tasks", "Tasks of a Domain that wait or are worked on.", &["domain", "state"]),
            agents: gauges("agents", "Agents of a Domain that are ready or wanted.", &["domain", "state"]),
            bus_connected: gauges("bus_connected", "1 while the Domain's account is connected.", &["domain"]),
            watch_errors: counters("watch_errors_total", "Interrupted watches by kind.", &["kind"]),
            capacity: CapacityMetrics::new(&registry).expect("valid metrics"),
            admission: AdmissionMetrics::register(&registry).expect("valid metrics, registered once"),
            registry,
        }
    }

    /// One reconcile took this long and ended so.
    pub fn reconciled(&self, controller: Controller, took: Duration, failure: Option<FailureClass>) {
        let label = [controller.label()];
        self.reconcile_seconds.with_label_values(&label).observe(took.as_secs_f64());
        self.reconciles.with_label_values(&label).inc();
        if let Some(class) = failure {
            self.errors.with_label_values(&[controller.label(), class_label(class)]).inc();
        }
    }

    /// Objects that wait for their reconcile.
    pub fn queue_depth(&self, controller: Controller, depth: usize) {
        self.queue_depth.with_label_values(&[controller.label()]).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// A child object was written.
    pub fn wrote(&self, kind: Kind, verb: Verb) {
        self.writes.with_label_values(&[kind.as_str(), verb.label()]).inc();
    }

    /// An object of a controller's own kind was written.
    pub fn wrote_own(&self, controller: Controller, verb: Verb) {
        self.writes.with_label_values(&[controller.kind(), verb.label()]).inc();
    }

    /// Something was written to the bus.
    pub fn wrote_bus(&self) {
        self.writes.with_label_values(&["Bus", Verb::Publish.label()]).inc();
    }

    /// How many objects of a kind are Ready, and how many are not.
    pub fn objects(&self, controller: Controller, ready: usize, not_ready: usize) {
        for (label, count) in [("true", ready), ("false", not_ready)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.objects.with_label_values(&[controller.kind(), label]).set(count);
        }
    }

    /// Work and agents of a Domain.
    pub fn domain(&self, domain: &str, load: &DomainLoad) {
        for (state, count) in [("queued", load.queued), ("in_flight", load.in_flight)] {
            self.work.with_label_values(&[domain, state]).set(count);
        }
        for (state, count) in [("ready", load.ready), ("desired", load.desired)] {
            self.agents.with_label_values(&[domain, state]).set(count);
        }
    }

    /// Whether a Domain's account is connected.
    pub fn bus_connected(&self, domain: &str, connected: bool) {
        self.bus_connected.with_label_values(&[domain]).set(i64::from(connected));
    }

    /// A Domain is gone.
    pub fn forget_domain(&self, domain: &str) {
        for state in ["queued", "in_flight"] {
            self.work.remove_label_values(&[domain, state]).ok();
        }
        for state in ["ready", "desired"] {
            self.agents.remove_label_values(&[domain, state]).ok();
        }
        self.bus_connected.remove_label_values(&[domain]).ok();
    }

    /// Whether this replica leads.
    pub fn leading(&self, leading: bool) {
        self.is_leader.set(i64::from(leading));
    }

    /// A watch was interrupted.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.with_label_values(&[kind]).inc();
    }

    /// Those of capacity.
    pub fn capacity(&self) -> &CapacityMetrics {
        &self.capacity
    }

    /// Those of the webhook.
    pub const fn admission(&self) -> &AdmissionMetrics {
        &self.admission
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Work and agents of a Domain, as in its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainLoad {
    /// Tasks that wait.
    pub queued: i64,
    /// Tasks that are worked on.
    pub in_flight: i64,
    /// Agents that are ready.
    pub ready: i64,
    /// Agents that are wanted.
    pub desired: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_made_and_is_rendered_with_its_labels() {
        let metrics = Metrics::new();
        metrics.reconciled(Controller::AgentPool, Duration::from_millis(3), Some(FailureClass::Conflict));
        metrics.bus_connected("compliance", true);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(
            text.contains(r#"tetrarch_reconcile_errors_total{class="conflict",controller="agentpool"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"tetrarch_bus_connected{domain="compliance"} 1"#), "{text}");

        metrics.forget_domain("compliance");
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(!text.contains("compliance"), "{text}");
    }
}
