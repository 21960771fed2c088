//! The five controllers: watches decide what is looked at, and each look is observe, plan, enact, report.

pub mod agent_pool;
pub mod backoff;
pub mod domain;
pub mod orchestrator;
pub mod reconcile;
pub mod run;
pub mod supervisor;
pub mod workflow;

use jiff::Timestamp;
use kube::{Resource, api::ApiResource, runtime::reflector::Store};
use serde::{Serialize, de::DeserializeOwned};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{conditions::HasConditions, effect::Plan, outcome::Outcome};

use crate::{context::Context, telemetry::metrics::Controller, world::World};

/// A kind with a controller: what it reads, decides and reports.
pub trait Reconciled:
    Resource<DynamicType = ()> + HasConditions + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
    /// The controller.
    const CONTROLLER: Controller;
    /// The field manager of everything that the controller writes.
    const MANAGER: &'static str;
    /// Everything that one reconcile reads.
    type Observed: Send + Sync;
    /// The status.
    type Status: Clone + PartialEq + Serialize + Send + Sync;

    /// Where objects of the kind are known.
    fn store(world: &World) -> Store<Self>;
    /// Reads.
    fn observe(&self, context: &Context) -> Self::Observed;
    /// Decides.
    fn plan(&self, observed: &Self::Observed, now: Timestamp) -> Plan;
    /// The new status.
    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Self::Observed, now: Timestamp) -> Self::Status;
    /// The status as stored.
    fn status(&self) -> Option<&Self::Status>;
    /// Tells metrics what a new status says.
    fn measure(&self, _context: &Context, _status: &Self::Status) {}
}

/// What a dynamic client needs to know of the kind of a controller.
pub fn own_resource(controller: Controller) -> ApiResource {
    match controller {
        Controller::Orchestrator => ApiResource::erase::<Orchestrator>(&()),
        Controller::Domain => ApiResource::erase::<Domain>(&()),
        Controller::Supervisor => ApiResource::erase::<Supervisor>(&()),
        Controller::AgentPool => ApiResource::erase::<AgentPool>(&()),
        Controller::Workflow => ApiResource::erase::<Workflow>(&()),
    }
}
