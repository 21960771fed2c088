//! The controller of the kind Domain.

use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::Store};
use tetrarch_crds::{Domain, DomainStatus};
use tetrarch_plan::{
    effect::Plan,
    names,
    outcome::Outcome,
    reconcile::domain::{self as decide, Observed},
    report,
};

use super::Reconciled;
use crate::{
    context::Context,
    observe,
    telemetry::metrics::{Controller, DomainLoad},
    world::World,
};

impl Reconciled for Domain {
    const CONTROLLER: Controller = Controller::Domain;
    const MANAGER: &'static str = names::MANAGER_DOMAIN;
    type Observed = Observed;
    type Status = DomainStatus;

    fn store(world: &World) -> Store<Self> {
        world.domains.store()
    }

    fn observe(&self, context: &Context) -> Observed {
        observe::domain::domain(context, self)
    }

    fn plan(&self, observed: &Observed, now: Timestamp) -> Plan {
        decide::domain(self, observed, now)
    }

    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> DomainStatus {
        report::domain::domain(self, plan, outcome, observed, now)
    }

    fn status(&self) -> Option<&DomainStatus> {
        self.status.as_ref()
    }

    fn measure(&self, context: &Context, status: &DomainStatus) {
        let load = DomainLoad {
            queued: status.work.queued,
            in_flight: status.work.in_flight,
            ready: status.agents.ready.into(),
            desired: status.agents.desired.into(),
        };
        context.metrics.domain(&self.name_any(), &load);
    }
}
