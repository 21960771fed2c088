//! One reconcile: observe, plan, enact, report.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tetrarch_plan::{
    effect::{Plan, Wake},
    outcome::{Failure, FailureClass, Outcome},
};
use tokio::time::Instant;

use super::{Reconciled, backoff};
use crate::{
    context::Context,
    enact::{self, Actor},
    target::Target,
};

/// A reconcile that could not do all that was planned. Its status says so already.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure.
    pub class: FailureClass,
    /// What was said.
    pub message: String,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self { class: failure.class, message: failure.message }
    }
}

/// The target that an object is.
pub fn target_of<K: Reconciled>(object: &K) -> Target {
    Target::of(K::CONTROLLER, object.meta().namespace.clone(), object.name_any())
}

/// Reconciles an object once.
pub async fn reconcile<K: Reconciled>(object: Arc<K>, context: Arc<Context>) -> Result<Action, Error> {
    let target = target_of(object.as_ref());
    context.queue.begin(&target);
    let started = Instant::now();
    let result = attempt(object.as_ref(), &target, &context).await;
    let failure = result.as_ref().err().map(|error| error.class);
    context.metrics.reconciled(K::CONTROLLER, started.elapsed(), failure);
    if result.is_ok() {
        context.backoff.succeeded(&target);
    }
    result
}

async fn attempt<K: Reconciled>(object: &K, target: &Target, context: &Context) -> Result<Action, Error> {
    let now = context.clock.now();
    let actor = Actor { target, meta: object.meta(), manager: K::MANAGER };
    let observed = object.observe(context);
    let plan = object.plan(&observed, now);
    let (outcome, notes) = enact::all(context, &actor, &plan).await;
    let status = object.report(&plan, &outcome, &observed, now);
    object.measure(context, &status);
    if object.status() != Some(&status) {
        enact::status::write(context, &actor, &status)
            .await
            .map_err(|failed| Error { class: failed.class, message: failed.message })?;
        enact::event::publish(context, &actor, &notes).await;
    }
    match outcome {
        Outcome::Done(_) => Ok(next(&plan, now)),
        Outcome::Stopped(failure) => Err(failure.into()),
    }
}

/// When to look again although nothing changes.
fn next(plan: &Plan, now: Timestamp) -> Action {
    let resync = backoff::resync();
    match plan.wake {
        Wake::OnChange => Action::requeue(resync),
        Wake::At(time) => {
            let pause = std::time::Duration::try_from(time.duration_since(now)).unwrap_or_default();
            Action::requeue(pause.min(resync))
        }
    }
}
