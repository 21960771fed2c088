//! The desks as the webhook asks them.

use futures::future::BoxFuture;
use tetrarch_core::{
    capacity::{Escalation, Key},
    policy::Action,
};
use tetrarch_plan::admit::{
    Booking, Code, Finding,
    booking::{field, refused},
};

use super::{Booked, Capacity, escalation};
use crate::webhook::booking::Books;

impl Books for Capacity {
    fn book<'a>(&'a self, booking: &'a Booking) -> BoxFuture<'a, Result<Vec<Finding>, Finding>> {
        Box::pin(async move {
            let key = &booking.claim.key;
            match self.claim(&booking.orchestrator, booking.claim.clone()).await {
                Booked::Granted { escalations } => Ok(escalations.iter().map(|e| escalated(key, e)).collect()),
                Booked::Refused(refusal) => Err(refused(key, &refusal)),
                Booked::Unavailable(unavailable) => {
                    Err(Finding::denied(Code::Capacity, "spec", unavailable.to_string(), String::new()))
                }
            }
        })
    }
}

fn escalated(key: &Key, escalation: &Escalation) -> Finding {
    let field = field(key.level, escalation.resource);
    let note = escalation::note(escalation);
    Finding { action: Action::Audit, ..Finding::denied(Code::Capacity, field, note, String::new()) }
}
