//! The only writers: they do a plan's effects in order, stop at the first that fails, and write the status.

pub mod applied;
pub mod apply;
pub mod bus;
pub mod delete;
pub mod event;
pub mod failure;
pub mod finalizer;
pub mod ownership;
pub mod status;

use kube::api::ObjectMeta;
use tetrarch_plan::{
    effect::{Effect, Note, Plan},
    names,
    outcome::{Applied, Failure, Outcome},
};

use crate::{context::Context, target::Target, telemetry::metrics::Controller};
use failure::Failed;

/// For whom effects are done.
pub struct Actor<'a> {
    /// The object.
    pub target: &'a Target,
    /// Its metadata as last seen.
    pub meta: &'a ObjectMeta,
    /// The field manager of its controller.
    pub manager: &'static str,
}

impl Actor<'_> {
    /// The controller.
    pub const fn controller(&self) -> Controller {
        self.target.controller()
    }
}

/// Does the effects of a plan. The notes are the Events that were reached; they are sent with the status that they explain.
pub async fn all<'p>(context: &Context, actor: &Actor<'_>, plan: &'p Plan) -> (Outcome, Vec<&'p Note>) {
    let mut notes = Vec::new();
    let mut applied = Vec::new();
    for (at, effect) in plan.effects.iter().enumerate() {
        if let Effect::Event(note) = effect {
            notes.push(note);
            continue;
        }
        match one(context, actor, effect).await {
            Ok(done) => applied.extend(done),
            Err(failed) => {
                let failure = Failure { at, class: failed.class, message: failed.message };
                return (Outcome::Stopped(failure), notes);
            }
        }
    }
    (Outcome::Done(applied), notes)
}

async fn one(context: &Context, actor: &Actor<'_>, effect: &Effect) -> Result<Option<Applied>, Failed> {
    match effect {
        Effect::Apply(object) => return apply::apply(context, object, actor.manager).await.map(Some),
        Effect::HandOver(object) => return apply::apply(context, object, names::MANAGER_HANDOVER).await.map(Some),
        Effect::AddFinalizer { finalizer } => finalizer::add(context, actor, finalizer).await,
        Effect::RemoveFinalizer { finalizer } => finalizer::remove(context, actor, finalizer).await,
        Effect::Delete(key) => delete::delete(context, key).await,
        Effect::EnsureBusAccount { domain } => bus::ensure_account(context, domain).await,
        Effect::RemoveBusAccount { domain } => bus::remove_account(context, domain).await,
        Effect::EnsureBusUser(user) => bus::ensure_user(context, user, actor.manager).await,
        Effect::PublishConfig { domain, key, value } => bus::publish(context, domain, key, value).await,
        Effect::RetractConfig { domain, key } => {
            bus::retract(context, domain, tetrarch_protocol::stream::CONFIG_BUCKET, key).await
        }
        Effect::RetractReport { domain, key } => {
            bus::retract(context, domain, tetrarch_protocol::stream::REPORT_BUCKET, key).await
        }
        Effect::RemoveSupervisorWork { domain, supervisor } => bus::remove_work(context, domain, supervisor).await,
        Effect::Event(_) => Ok(()),
    }?;
    Ok(None)
}
