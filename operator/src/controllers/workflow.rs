//! The controller of the kind Workflow.

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use tetrarch_crds::{Workflow, WorkflowStatus};
use tetrarch_plan::{
    effect::Plan,
    names,
    outcome::Outcome,
    reconcile::workflow::{self as decide, Observed},
    report,
};

use super::Reconciled;
use crate::{context::Context, observe, telemetry::metrics::Controller, world::World};

impl Reconciled for Workflow {
    const CONTROLLER: Controller = Controller::Workflow;
    const MANAGER: &'static str = names::MANAGER_WORKFLOW;
    type Observed = Observed;
    type Status = WorkflowStatus;

    fn store(world: &World) -> Store<Self> {
        world.workflows.store()
    }

    fn observe(&self, context: &Context) -> Observed {
        observe::workflow::workflow(context, self)
    }

    fn plan(&self, observed: &Observed, now: Timestamp) -> Plan {
        decide::workflow(self, observed, now)
    }

    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> WorkflowStatus {
        report::workflow::workflow(self, plan, outcome, observed, now)
    }

    fn status(&self) -> Option<&WorkflowStatus> {
        self.status.as_ref()
    }
}
