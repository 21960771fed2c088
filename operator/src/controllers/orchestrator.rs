//! The controller of the kind Orchestrator.

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use tetrarch_crds::{Orchestrator, OrchestratorStatus};
use tetrarch_plan::{
    effect::Plan,
    names,
    outcome::Outcome,
    reconcile::orchestrator::{self as decide, Observed},
    report,
};

use super::Reconciled;
use crate::{context::Context, observe, telemetry::metrics::Controller, world::World};

impl Reconciled for Orchestrator {
    const CONTROLLER: Controller = Controller::Orchestrator;
    const MANAGER: &'static str = names::MANAGER_ORCHESTRATOR;
    type Observed = Observed;
    type Status = OrchestratorStatus;

    fn store(world: &World) -> Store<Self> {
        world.orchestrators.store()
    }

    fn observe(&self, context: &Context) -> Observed {
        observe::orchestrator::orchestrator(context, self)
    }

    fn plan(&self, observed: &Observed, now: Timestamp) -> Plan {
        decide::orchestrator(self, observed, now)
    }

    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> OrchestratorStatus {
        report::orchestrator::orchestrator(self, plan, outcome, observed, now)
    }

    fn status(&self) -> Option<&OrchestratorStatus> {
        self.status.as_ref()
    }
}
