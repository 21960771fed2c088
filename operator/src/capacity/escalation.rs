//! Tells people what was granted beyond a quota: an Event on the object, and a line in the log for the records.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tetrarch_core::capacity::{Escalation, Key};
use tetrarch_crds::{GROUP, VERSION};
use tokio::sync::mpsc;

/// Reason of the Events.
const REASON: &str = "CapacityEscalated";

/// Tells of each escalation that has come true.
pub async fn tell(mut escalated: mpsc::UnboundedReceiver<Escalation>, recorder: Recorder) {
    while let Some(escalation) = escalated.recv().await {
        let Escalation { object, uid, exhausted, granted_by, .. } = &escalation;
        tracing::info!(
            target: "audit",
            object = object.to_text(),
            uid,
            exhausted = exhausted.to_text(),
            granted_by = granted_by.to_text(),
            resource = escalation.resource.as_str(),
            amount = escalation.amount,
            at = %escalation.at,
            "capacity beyond a quota was granted"
        );
        let event = Event {
            type_: EventType::Normal,
            reason: REASON.to_owned(),
            note: Some(note(&escalation)),
            action: "Book".to_owned(),
            secondary: Some(reference(granted_by, None)),
        };
        if let Err(error) = recorder.publish(&event, &reference(object, Some(uid))).await {
            tracing::debug!(object = object.to_text(), %error, "event not written");
        }
    }
}

/// What was granted, as a sentence.
pub fn note(escalation: &Escalation) -> String {
    let Escalation { exhausted, granted_by, resource, amount, .. } = escalation;
    let (amount, noun) = (resource.quantity(*amount), resource.noun());
    format!("{amount} {noun} more than the quota of {exhausted} were taken from what {granted_by} has left")
}

fn reference(key: &Key, uid: Option<&str>) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some(key.level.as_str().to_owned()),
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        uid: uid.map(str::to_owned),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tetrarch_core::capacity::Resource;

    use super::*;

    #[test]
    fn the_event_says_who_took_what_from_whom() {
        let escalation = Escalation {
            object: Key::pool("d", "p"),
            uid: "u".to_owned(),
            base: None,
            exhausted: Key::supervisor("d", "s"),
            resource: Resource::Memory,
            amount: 3 << 30,
            granted_by: Key::domain("d"),
            at: Timestamp::UNIX_EPOCH,
            is_settled: true,
        };
        assert_eq!(
            note(&escalation),
            r#"3Gi memory more than the quota of Supervisor "s" were taken from what Domain "d" has left"#
        );
        assert_eq!(reference(&escalation.granted_by, None).namespace, None);
    }
}
