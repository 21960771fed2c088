//! The desks as the webhook asks them.

use futures::future::BoxFuture;
use tetrarch_core::{
    capacity::{Escalation, Key, Refusal, Resource},
    policy::{Action, Level},
};
use tetrarch_plan::admit::{Booking, Code, Finding};

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

fn refused(key: &Key, refusal: &Refusal) -> Finding {
    let field = refusal.resource().map_or("spec", |resource| field(key.level, resource));
    // The sentence of the refusal names the remedy.
    Finding::denied(Code::Capacity, field, refusal.to_string(), String::new())
}

/// The field of an object that asks for a resource.
const fn field(level: Level, resource: Resource) -> &'static str {
    match (level, resource) {
        (Level::AgentPool, Resource::Agents) => "spec.scaling.max or spec.replicas",
        (Level::AgentPool, Resource::Cpu | Resource::Memory | Resource::Gpus) => "spec.agent.resources",
        (Level::AgentPool, _) => "spec.budget",
        (Level::Orchestrator, _) => "spec.capacity",
        (Level::Supervisor, Resource::Cpu | Resource::Memory | Resource::Gpus) => "spec.quota or spec.resources",
        (_, _) => "spec.quota",
    }
}
