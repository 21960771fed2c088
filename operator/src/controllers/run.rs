//! Runs the controllers while this replica leads.

use std::{future, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kube::runtime::{
    controller::{self, Action, Config, applier},
    reflector::{Lookup, ObjectRef},
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tokio::task::JoinSet;

use super::{
    Reconciled,
    reconcile::{Error, reconcile, target_of},
};
use crate::{context::Context, target::Target, telemetry::metrics::Controller};

/// Reconciles of one kind at a time.
const CONCURRENCY: u16 = 8;

/// How long running reconciles may take to end when the controllers are stopped.
const GRACE: Duration = Duration::from_secs(8);

/// The running controllers. Dropping them ends every reconcile where it stands.
pub struct Controllers {
    context: Arc<Context>,
    tasks: JoinSet<()>,
}

impl Controllers {
    /// Starts all controllers, and asks for a reconcile of every object.
    pub fn start(context: &Arc<Context>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(run::<Orchestrator>(context.clone()));
        tasks.spawn(run::<Domain>(context.clone()));
        tasks.spawn(run::<Supervisor>(context.clone()));
        tasks.spawn(run::<AgentPool>(context.clone()));
        tasks.spawn(run::<Workflow>(context.clone()));
        context.queue.wake_all(context.world.everything());
        Self { context: context.clone(), tasks }
    }

    /// Ends the controllers: no reconcile begins any more, running ones may end.
    pub async fn stop(mut self) {
        self.context.queue.close();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some reconciles did not end in time and are broken off");
        }
    }
}

fn run<K: Reconciled + Lookup<DynamicType = ()>>(context: Arc<Context>) -> impl Future<Output = ()> + Send {
    // Listening begins here and not when the future is first polled, so that no request is lost in between.
    let mut outlet = context.queue.listen(K::CONTROLLER);
    let requests = stream::poll_fn(move |task| outlet.poll_recv(task))
        .map(|target| Ok::<_, never::Never>(object_ref::<K>(&target)));
    let store = K::store(&context.world);
    async move {
        let ended = context.clone();
        let config = Config::default().concurrency(CONCURRENCY);
        applier(
            |object, context| Box::pin(reconcile::<K>(object, context)),
            |object, error, context| on_error(object.as_ref(), error, &context),
            context,
            store,
            requests,
            config,
        )
        .for_each(|result| {
            tell(K::CONTROLLER, &ended, result);
            future::ready(())
        })
        .await;
    }
}

/// An error that cannot happen.
mod never {
    #[derive(Debug, thiserror::Error)]
    /// Has no value.
    pub enum Never {}
}

fn object_ref<K>(target: &Target) -> ObjectRef<K>
where
    K: Lookup<DynamicType = ()>,
{
    let reference = ObjectRef::new(target.name());
    match target.namespace() {
        Some(namespace) => reference.within(namespace),
        None => reference,
    }
}

fn on_error<K: Reconciled>(object: &K, error: &Error, context: &Context) -> Action {
    context.backoff.failed(&target_of(object), error.class)
}

type Done<K> = Result<(ObjectRef<K>, Action), controller::Error<Error, never::Never>>;

fn tell<K: Lookup<DynamicType = ()>>(controller: Controller, context: &Context, result: Done<K>) {
    match result {
        Ok((object, _)) => {
            tracing::debug!(kind = controller.kind(), namespace = object.namespace, name = object.name, "reconciled");
        }
        Err(controller::Error::ObjectNotFound(object)) => {
            // It went while it waited.
            let target = Target::of(controller, object.namespace.clone(), object.name.clone());
            context.queue.begin(&target);
            context.backoff.succeeded(&target);
        }
        Err(controller::Error::ReconcilerFailed(error, object)) => {
            tracing::warn!(
                kind = controller.kind(),
                namespace = object.namespace,
                name = object.name,
                class = ?error.class,
                %error,
                "reconcile failed, will be tried again"
            );
        }
        Err(controller::Error::QueueError(never)) => match never {},
        Err(error @ controller::Error::RunnerError(_)) => {
            tracing::error!(kind = controller.kind(), %error, "controller cannot run");
        }
    }
}
