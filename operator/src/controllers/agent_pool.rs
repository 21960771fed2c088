//! The controller of the kind AgentPool.

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use tetrarch_crds::{AgentPool, AgentPoolStatus};
use tetrarch_plan::{
    effect::Plan,
    names,
    outcome::Outcome,
    reconcile::agent_pool::{self as decide, Observed},
    report,
};

use super::Reconciled;
use crate::{context::Context, observe, telemetry::metrics::Controller, world::World};

impl Reconciled for AgentPool {
    const CONTROLLER: Controller = Controller::AgentPool;
    const MANAGER: &'static str = names::MANAGER_AGENT_POOL;
    type Observed = Observed;
    type Status = AgentPoolStatus;

    fn store(world: &World) -> Store<Self> {
        world.pools.store()
    }

    fn observe(&self, context: &Context) -> Observed {
        observe::agent_pool::agent_pool(context, self)
    }

    fn plan(&self, observed: &Observed, now: Timestamp) -> Plan {
        decide::agent_pool(self, observed, now)
    }

    fn report(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> AgentPoolStatus {
        report::agent_pool::agent_pool(self, plan, outcome, observed, now)
    }

    fn status(&self) -> Option<&AgentPoolStatus> {
        self.status.as_ref()
    }
}
