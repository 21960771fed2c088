//! The trace of a run, as the journal tells it: each span is handed over once, by the replica that acts on the run when the entry that ends it is
//! folded.

use std::sync::Arc;

use jiff::Timestamp;
use tetrarch_core::{
    id::{RunId, TaskId},
    trace::{SpanId, TraceId, step_of, traceparent},
    workflow::{
        journal::{FinalPhase, Outcome},
        run::{Run, RunPhase, StepPhase},
    },
};
use tetrarch_protocol::{
    otlp::{Ended, Service, Span},
    snapshot::TelemetrySnapshot,
};
use tokio::sync::mpsc;

use crate::{
    export::Export,
    journal::Call,
    metrics::{Metrics, SpanEnd},
};

/// Where the spans of this replica go.
pub struct Tracer {
    spans: mpsc::Sender<Export>,
    metrics: Metrics,
    settings: Option<(Arc<str>, u32)>,
}

impl Tracer {
    /// A tracer that traces nothing yet.
    pub fn new(spans: mpsc::Sender<Export>, metrics: Metrics) -> Self {
        Self { spans, metrics, settings: None }
    }

    /// What is configured from now on.
    pub fn configure(&mut self, telemetry: Option<&TelemetrySnapshot>) {
        self.settings =
            telemetry.map(|telemetry| (telemetry.otlp_endpoint.as_str().into(), telemetry.sampling_percent));
    }

    /// The trace context of an attempt; none when nothing is traced.
    pub fn context(&self, task: &TaskId) -> Option<String> {
        let (_, percent) = self.settings.as_ref()?;
        let is_sampled = TraceId::of_run(&task.run).is_sampled(*percent);
        Some(traceparent(&task.run, SpanId::of_attempt(task), is_sampled))
    }

    /// The address of the collector, when the run is sampled.
    fn endpoint(&self, run: &RunId) -> Option<Arc<str>> {
        let (endpoint, percent) = self.settings.as_ref()?;
        TraceId::of_run(run).is_sampled(*percent).then(|| endpoint.clone())
    }

    fn hand_over(&self, endpoint: &Arc<str>, service: Service, span: Span) {
        if self.spans.try_send(Export { endpoint: endpoint.clone(), service, span }).is_err() {
            self.metrics.spans_ended(SpanEnd::Dropped, 1);
        }
    }

    /// A run was accepted that the operator had handed over.
    pub fn observe_accepted(&self, run: &Run, handed_over: Option<Timestamp>) {
        let Some((endpoint, handed_over)) = self.endpoint(run.id()).zip(handed_over) else { return };
        let id = run.id();
        let time = (handed_over.min(run.accepted_at()), run.accepted_at());
        let span =
            Span::new(TraceId::of_run(id), SpanId::of_hand_over(id), Some(SpanId::of_run(id)), "hand-over", time)
                .with("tetrarch.run", id)
                .with("tetrarch.workflow", &run.definition().workflow);
        self.hand_over(&endpoint, Service::Operator, span);
    }

    /// An attempt ended.
    pub fn observe_attempt(
        &self,
        task: &TaskId,
        pool: &str,
        time: (Timestamp, Timestamp),
        outcome: &Outcome,
        call: Option<&Call>,
    ) {
        let Some(endpoint) = self.endpoint(&task.run) else { return };
        let (trace, attempt) = (TraceId::of_run(&task.run), SpanId::of_attempt(task));
        let (ended, reason) = match outcome {
            Outcome::Succeeded { .. } | Outcome::HandedOver { .. } => (Ended::Ok, None),
            Outcome::Failed { reason, .. } => (Ended::Error, Some(format!("{reason:?}"))),
            Outcome::Unknown { .. } => (Ended::Error, Some("OutcomeUnknown".to_owned())),
        };
        let parent = SpanId::of_step(&task.run, step_of(task));
        let mut span = Span::new(trace, attempt, Some(parent), "attempt", time)
            .with("tetrarch.task", &task.path)
            .with("tetrarch.pool", &pool)
            .with_number("tetrarch.attempt", task.attempt.into())
            .ended(ended);
        if let Some(reason) = &reason {
            span = span.with("error.type", reason);
        }
        if let Outcome::HandedOver { to, reason, .. } = outcome {
            span = span.with("tetrarch.handed_over_to", to);
            if let Some(reason) = reason {
                span = span.with("tetrarch.hand_over_reason", reason);
            }
        }
        self.hand_over(&endpoint, Service::Supervisor, span);
        let Some(call) = call else { return };
        let queue = Span::new(trace, SpanId::of_queue(task), Some(attempt), "queue", (time.0, call.started_at));
        self.hand_over(&endpoint, Service::Supervisor, queue.with("tetrarch.pool", &pool));
        let mut span =
            Span::new(trace, SpanId::of_call(task), Some(attempt), "agent", (call.started_at, call.finished_at))
                .with("tetrarch.agent", &call.agent)
                .with_number("tetrarch.deliveries", call.deliveries)
                .as_call()
                .ended(ended);
        if let Some(reason) = reason {
            span = span.with("error.type", &reason);
        }
        self.hand_over(&endpoint, Service::Sidecar, span);
    }

    /// A run ended.
    pub fn observe_end(&self, run: &Run) {
        let Some(endpoint) = self.endpoint(run.id()) else { return };
        let (RunPhase::Ended(phase), Some(end)) = (run.phase(), run.ended_at()) else { return };
        let (id, trace) = (run.id(), TraceId::of_run(run.id()));
        let root = SpanId::of_run(id);
        let place = (run.accepted_at(), run.started_at().unwrap_or(end));
        self.hand_over(
            &endpoint,
            Service::Supervisor,
            Span::new(trace, SpanId::of_place(id), Some(root), "place", place)
                .with("tetrarch.class", &run.definition().class),
        );
        for step in run.steps() {
            let Some(start) = step.started_at else { continue };
            let ended = match step.phase {
                StepPhase::Succeeded | StepPhase::Compensated => Ended::Ok,
                StepPhase::Failed | StepPhase::OutcomeUnknown => Ended::Error,
                _ => Ended::Unset,
            };
            let time = (start, step.ended_at.unwrap_or(end));
            let span = Span::new(
                trace,
                SpanId::of_step(id, step.name.as_str()),
                Some(root),
                format!("step {}", step.name),
                time,
            )
            .with("tetrarch.kind", &step.kind)
            .with("tetrarch.phase", &step.phase.as_str())
            .with_number("tetrarch.tasks", step.tasks)
            .with_number("tetrarch.retries", step.retries)
            .ended(ended);
            self.hand_over(&endpoint, Service::Supervisor, span);
        }
        let definition = run.definition();
        let ended = match phase {
            FinalPhase::Succeeded => Ended::Ok,
            FinalPhase::Cancelled => Ended::Unset,
            FinalPhase::Failed | FinalPhase::Compensated | FinalPhase::OutcomeUnknown => Ended::Error,
        };
        let name = format!("run {}", definition.workflow);
        let span = Span::new(trace, root, None, name, (run.accepted_at(), end))
            .with("tetrarch.run", id)
            .with("tetrarch.workflow", &definition.workflow)
            .with("tetrarch.class", &definition.class)
            .with("tetrarch.phase", &format!("{phase:?}"))
            .with_number("tetrarch.generation", u64::try_from(definition.generation).unwrap_or_default())
            .ended(ended);
        self.hand_over(&endpoint, Service::Supervisor, span);
    }
}
