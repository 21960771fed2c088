//! The controller of the kind Supervisor.

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use tetrarch_crds::{Supervisor, SupervisorStatus};
use tetrarch_plan::{
    effect::Plan,
    names,
    outcome::Outcome,
    reconcile::supervisor::{self as decide, Observed},
    report,
};

use super::Reconciled;
use crate::{context::Context, observe, telemetry::metrics::Controller, world::World};

impl Reconciled for Supervisor {
    const CONTROLLER: Controller = Controller::Supervisor;
    const MANAGER: &'static str = names::MANAGER_SUPERVISOR;
    type Observed = Observed;
    type Status = SupervisorStatus;

    fn store(world: &World) -> Store<Self> {
        world.supervisors.store()
    }

    fn observe(&self, context: &Context) -> Observed {
        observe::supervisor::supervisor(context, self)
    }

    fn plan(&self, observed: &Observed, now: Timestamp) -> Plan {
        decide::supervisor(self, observed, now)
    }

    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> SupervisorStatus {
        report::supervisor::supervisor(self, plan, outcome, observed, now)
    }

    fn status(&self) -> Option<&SupervisorStatus> {
        self.status.as_ref()
    }
}
