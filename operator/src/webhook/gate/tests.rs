//! A request from the question to the answer, with permissions and capacity as a test sets them.

use std::sync::Mutex;

use futures::future::BoxFuture;
use serde_json::json;
use tetrarch_plan::admit::{Index, ancestor::Unknown, verdict::Booking};
use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::{
    telemetry::metrics::Metrics,
    webhook::{audit::Records, booking::Books},
};

/// Allows everybody everything, or answers nothing.
struct Everything(bool);

impl Access for Everything {
    fn allows<'a>(&'a self, _: &'a User, _: &'a Check) -> BoxFuture<'a, Result<bool, kube::Error>> {
        Box::pin(async move { if self.0 { Ok(true) } else { Err(kube::Error::LinesCodecMaxLineLengthExceeded) } })
    }
}

/// Nothing is there that was not seen.
struct Nothing;

impl Ancestors for Nothing {
    fn exists<'a>(&'a self, _: &'a Unknown) -> BoxFuture<'a, Result<bool, kube::Error>> {
        Box::pin(async { Ok(false) })
    }
}

/// Counts what is booked.
#[derive(Default)]
struct Counted(Mutex<usize>);

impl Books for Counted {
    fn book<'a>(&'a self, _: &'a Booking) -> BoxFuture<'a, Result<Vec<Finding>, Finding>> {
        Box::pin(async move {
            *self.0.lock().unwrap() += 1;
            Ok(Vec::new())
        })
    }
}

struct Bench {
    gate: Gate,
    metrics: Metrics,
    events: Records,
    bus: Records,
}

fn bench() -> Bench {
    let metrics = Metrics::new();
    let (audit, events, bus) = Audit::new(metrics.admission().clone());
    let gate = Gate {
        hierarchy: Hierarchy::new(Index::default()),
        ancestors: Arc::new(Nothing),
        access: Arc::new(Everything(true)),
        books: Some(Arc::new(Counted::default())),
        audit,
        metrics: metrics.admission().clone(),
        clock: Clock::from_fn(|| jiff::Timestamp::UNIX_EPOCH),
    };
    Bench { gate, metrics, events, bus }
}

/// A pool without an agent's image, which no policy is needed to refuse.
fn review(dry_run: bool) -> Incoming {
    let body = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": "CREATE", "dryRun": dry_run, "namespace": "compliance", "name": "classifier",
            "kind": {"group": "tetrarch.dev", "version": "v1alpha1", "kind": "AgentPool"},
            "resource": {"group": "tetrarch.dev", "version": "v1alpha1", "resource": "agentpools"},
            "userInfo": {"username": "ada", "groups": ["legal"]},
            "object": {"metadata": {"name": "classifier"}, "spec": {"agent": 3}},
        },
    });
    wire::read(body.to_string().as_bytes()).unwrap()
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render().unwrap()).unwrap()
}

#[tokio::test]
async fn a_refusal_is_counted_and_remembered_once_for_events_and_for_the_bus() {
    let mut bench = bench();
    let answer = bench.gate.answer(Phase::Validate, review(false)).await;
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    let record = bench.events.try_recv().unwrap();
    assert_eq!((record.decision, record.user.as_str(), record.name.as_str()), (Decision::Denied, "ada", "classifier"));
    assert_eq!(bench.bus.try_recv().unwrap(), record);
    assert_eq!(bench.bus.try_recv().unwrap_err(), TryRecvError::Empty);
    let series = r#"tetrarch_admission_decisions_total{decision="denied",kind="AgentPool",operation="CREATE"} 1"#;
    assert!(text(&bench.metrics).contains(series), "{}", text(&bench.metrics));
}

#[tokio::test]
async fn a_dry_run_is_answered_the_same_and_leaves_no_trace() {
    let mut bench = bench();
    let answer = bench.gate.answer(Phase::Validate, review(true)).await;
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    assert_eq!(bench.events.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(bench.bus.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test]
async fn records_that_nobody_takes_are_counted_and_never_delay_an_answer() {
    let bench = bench();
    for _ in 0..1100 {
        bench.gate.answer(Phase::Validate, review(false)).await;
    }
    assert!(text(&bench.metrics).contains(r#"tetrarch_audit_lost_total{sink="bus"} 76"#), "{}", text(&bench.metrics));
}

#[tokio::test]
async fn a_permission_that_cannot_be_looked_up_refuses() {
    let bench = bench();
    let gate = Gate { access: Arc::new(Everything(false)), ..bench.gate };
    let check = Check {
        verb: "approve",
        kind: tetrarch_core::policy::Kind::AgentPool,
        namespace: "compliance".to_owned(),
        name: "classifier".to_owned(),
        otherwise: Finding::denied(Code::Permission, "metadata.annotations", "is not yours to write", ""),
    };
    let user = User { name: "ada".to_owned(), ..User::default() };
    let denials = gate.check(&user, &[check]).await;
    let expected = "metadata.annotations: the API server did not say whether ada may approve it: try again in a moment";
    assert_eq!(denials.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}
