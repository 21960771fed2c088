//! Decisions as Events in the namespace of the object, so many in a time that API servers do not feel them.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    api::ApiResource,
    runtime::events::{Event, EventType, Recorder},
};
use tetrarch_core::policy::Kind;
use tokio::time::Instant;

use super::Records;
use crate::{
    controllers::own_resource,
    telemetry::metrics::{Controller, admission::AdmissionMetrics},
    webhook::record::{Decision, Record, Sink},
};

/// Events that may come at once.
const BURST: u32 = 50;

/// Time until one more may come.
const EACH: Duration = Duration::from_millis(200);

/// Lets so many pass in a time.
struct Bucket {
    left: u32,
    since: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let gained = u32::try_from((now - self.since).as_millis() / EACH.as_millis()).unwrap_or(BURST);
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(BURST);
            self.since = if self.left == BURST { now } else { self.since + EACH * gained };
        }
        let passes = self.left > 0;
        self.left = self.left.saturating_sub(1);
        passes
    }
}

/// Writes Events until there are no more records.
pub async fn write(mut records: Records, recorder: Recorder, metrics: AdmissionMetrics) {
    let mut bucket = Bucket::new(Instant::now());
    while let Some(record) = records.recv().await {
        if !bucket.take(Instant::now()) {
            metrics.lost(Sink::Event);
            continue;
        }
        if let Err(error) = recorder.publish(&event(&record), &reference(&record)).await {
            metrics.lost(Sink::Event);
            tracing::debug!(kind = record.kind.as_str(), name = record.name, %error, "event not written");
        }
    }
}

fn event(record: &Record) -> Event {
    let quiet = matches!(
        record.decision,
        Decision::Admitted | Decision::Approved | Decision::StepApproved | Decision::StepRejected | Decision::Requested
    );
    Event {
        type_: if quiet { EventType::Normal } else { EventType::Warning },
        reason: record.decision.reason().to_owned(),
        note: Some(record.note()),
        action: "Admit".to_owned(),
        secondary: None,
    }
}

fn reference(record: &Record) -> ObjectReference {
    let resource = match record.kind {
        Kind::Orchestrator => own_resource(Controller::Orchestrator),
        Kind::Domain => own_resource(Controller::Domain),
        Kind::Supervisor => own_resource(Controller::Supervisor),
        Kind::AgentPool => own_resource(Controller::AgentPool),
        Kind::Workflow => own_resource(Controller::Workflow),
        Kind::Pod => ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()),
    };
    ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        name: Some(record.name.clone()),
        namespace: Some(record.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        uid: record.uid.clone(),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_first_part_and_a_trickle() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let passed = |bucket: &mut Bucket, at: Instant| (0..1000).filter(|_| bucket.take(at)).count();
        assert_eq!(passed(&mut bucket, begin), 50);
        assert_eq!(passed(&mut bucket, begin + Duration::from_secs(1)), 5);
        assert_eq!(passed(&mut bucket, begin + Duration::from_hours(1)), 50);
    }
}
