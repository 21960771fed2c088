//! Puts the parts together, and takes them apart in order: controllers, then the lease, then the watches.

use std::{sync::Arc, time::Duration};

use kube::{
    Client, Config,
    runtime::{
        events::{Recorder, Reporter},
        reflector::Lookup,
    },
};
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::{
    admit::Index,
    conditions::{READY, is_true},
    rotation::{self, Lifetimes},
};
use tetrarch_serving::stop::stop_signal;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Certificates, Serve, Webhook},
    bus::accounts::Accounts,
    capacity::{
        Capacity, escalation,
        lead::{Ledgers, Surveyor},
        store::ApiStore,
        world_view::WorldView,
    },
    clock::Clock,
    context::Context,
    controllers::{Reconciled, backoff::Backoff, run::Controllers},
    enact::applied::Applied,
    leader::{self, lease::Timing, store::ApiLease},
    observe::Reports,
    queue::Queue,
    telemetry::{
        admin::{self, Need, Readiness},
        metrics::Metrics,
    },
    trust::{secrets::Secrets, webhook::rotate::Rotation},
    webhook::{server, service::Service},
    world::{World, watch::Watching},
};

/// Name of the Lease.
pub const LEASE: &str = "tetrarch-operator";

/// Pause between two looks at the keys and certificates.
const TRUST_CHECK: Duration = Duration::from_mins(10);

/// Pause before keys are read again after a failure.
const TRUST_RETRY: Duration = Duration::from_secs(2);

/// Pause between two counts of objects.
const MEASURE: Duration = Duration::from_secs(10);

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable configuration of the cluster.
    #[error("cannot find the cluster: run inside of one, or set KUBECONFIG: {0}")]
    Cluster(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] kube::Error),
    /// The admin endpoints cannot be served.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The webhook cannot be served.
    #[error(transparent)]
    Webhook(#[from] server::Error),
    /// The lives of the webhook's certificates cannot work.
    #[error(transparent)]
    Lifetimes(#[from] rotation::Error),
    /// The webhook cannot be encrypted.
    #[error("webhook: {0}")]
    Tls(#[from] rustls::Error),
    /// Signals cannot be received.
    #[error("signals: {0}")]
    Signal(#[source] std::io::Error),
}

/// Runs until the process is asked to stop.
pub async fn run(serve: Serve) -> Result<(), Error> {
    let client = Client::try_from(Config::infer().await?)?;
    Box::pin(serve_until(serve, client, Timing::DEFAULT, stop_signal().map_err(Error::Signal)?)).await
}

/// Runs against this API server until `stop` is cancelled.
pub async fn serve_until(serve: Serve, client: Client, timing: Timing, stop: CancellationToken) -> Result<(), Error> {
    let metrics = Metrics::new();
    let queue = Queue::new(metrics.clone());
    let (world, writers) = World::new(Index::new(Arc::new(serve.settings())));
    let world = Arc::new(world);
    let end = CancellationToken::new();
    let _end_everything = end.clone().drop_guard();

    let readiness = Readiness::default();
    let listener = admin::listen(serve.http_addr).await?;
    let webhook = server::listen(serve.webhook.addr).await?;
    let lifetimes = serve.webhook.lifetimes()?;
    let admin = admin::serve(listener, admin::router(metrics.clone(), readiness.clone()), end.clone());
    let admin = tokio::spawn(admin);
    let watching = Watching {
        client: client.clone(),
        metrics: metrics.clone(),
        queue: queue.clone(),
        world: world.clone(),
        cancel: end.clone(),
    };
    let watches = watching.start(writers);
    tokio::spawn(queue.clone().run(end.clone()));
    let reporter = Reporter { controller: LEASE.to_owned(), instance: Some(serve.identity.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let capacity = book(&serve, &client, &world, &metrics, recorder.clone());

    let (sender, leading) = watch::channel(false);
    let resign = CancellationToken::new();
    let operator = Operator { serve, client, metrics, queue, world, capacity, recorder, leading, lifetimes, stop };
    if operator.wait_for_view().await {
        readiness.set(Need::View);
        tracing::info!("the view of the cluster is complete");
        let webhook = operator.webhook(readiness.clone()).start(webhook, &operator.serve)?;
        let election = tokio::spawn(leader::run(
            ApiLease::new(operator.client.clone(), &operator.serve.namespace, LEASE),
            operator.serve.identity.clone(),
            timing,
            Clock::system(),
            sender,
            resign.clone(),
        ));
        Box::pin(operator.take_turns()).await;
        resign.cancel();
        // The next leader takes over while this webhook still answers.
        let was_ready = readiness.stop();
        tokio::join!(webhook.stop(was_ready), election).1.ok();
    }
    tracing::info!("stopping");
    end.cancel();
    drop(watches);
    match admin.await {
        Ok(result) => Ok(result?),
        Err(_) => Ok(()),
    }
}

/// The desks of this replica, and the telling of what they have granted beyond quotas.
fn book(serve: &Serve, client: &Client, world: &Arc<World>, metrics: &Metrics, recorder: Recorder) -> Capacity {
    let store = ApiStore::new(client.clone(), &serve.namespace);
    let view = WorldView::new(world.clone(), client.clone());
    let (sender, escalated) = mpsc::unbounded_channel();
    // Ends with the last desk.
    tokio::spawn(escalation::tell(escalated, recorder));
    Capacity::new(Arc::new(store), Arc::new(view), Clock::system(), metrics.capacity().clone(), sender, rand::random())
}

/// What lives as long as the process.
struct Operator {
    serve: Serve,
    client: Client,
    metrics: Metrics,
    queue: Queue,
    world: Arc<World>,
    capacity: Capacity,
    recorder: Recorder,
    leading: watch::Receiver<bool>,
    lifetimes: Lifetimes,
    stop: CancellationToken,
}

impl Operator {
    /// Waits until all objects are known; false when asked to stop before.
    async fn wait_for_view(&self) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            complete = self.world.wait_until_complete() => complete,
        }
    }

    /// What the webhook of this replica needs.
    fn webhook(&self, readiness: Readiness) -> Service {
        Service {
            client: self.client.clone(),
            hierarchy: self.world.hierarchy.clone(),
            books: Some(Arc::new(self.capacity.clone())),
            recorder: self.recorder.clone(),
            metrics: self.metrics.admission().clone(),
            readiness,
        }
    }

    /// Keeps the certificate of the webhook, unless somebody else does.
    async fn keep_certificate(&self) {
        let Webhook { certificates, registered, .. } = self.serve.webhook;
        match certificates {
            Certificates::Own => {
                let (client, namespace) = (self.client.clone(), &self.serve.namespace);
                Rotation::new(client, namespace, self.lifetimes, registered, Clock::system()).keep().await;
            }
            Certificates::Secret => std::future::pending().await,
        }
    }

    /// Leads whenever it is this replica's turn, until asked to stop.
    async fn take_turns(&self) {
        let mut leading = self.leading.clone();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                turn = leading.wait_for(|leads| *leads) => {
                    if turn.is_err() {
                        return;
                    }
                }
            }
            self.metrics.leading(true);
            Box::pin(self.lead(&mut leading)).await;
            self.metrics.leading(false);
        }
    }

    /// Runs the controllers for as long as this replica leads.
    async fn lead(&self, leading: &mut watch::Receiver<bool>) {
        let accounts = Arc::new(Accounts::new(
            self.serve.own_bus_url().to_owned(),
            Clock::system(),
            self.queue.clone(),
            self.world.clone(),
            self.metrics.clone(),
        ));
        let context = Arc::new(Context {
            client: self.client.clone(),
            bus: accounts.clone(),
            world: self.world.clone(),
            applied: Applied::default(),
            reports: Reports::default(),
            backoff: Backoff::default(),
            queue: self.queue.clone(),
            recorder: self.recorder.clone(),
            clock: Clock::system(),
            settings: Arc::new(self.serve.settings()),
            ledgers: Ledgers::default(),
            metrics: self.metrics.clone(),
        });
        let secrets = Secrets::new(self.client.clone(), &self.serve.namespace);
        let mut keys = Keys { secrets, accounts, opened: false, renewed: false };
        keys.check(&context).await;
        let surveyor =
            Surveyor { capacity: &self.capacity, world: &self.world, ledgers: &context.ledgers, queue: &self.queue };
        surveyor.begin().await;
        let controllers = Controllers::start(&context);
        let side_work =
            async { tokio::join!(keys.keep(&context), measure(&context), surveyor.run(), self.keep_certificate()) };
        tokio::select! {
            () = self.stop.cancelled() => controllers.stop().await,
            // Whoever leads now may write already: break off everything at once.
            _ = leading.wait_for(|leads| !*leads) => {
                drop(controllers);
                self.queue.close();
            }
            _ = side_work => {}
        }
    }
}

/// Why the keys are not in order.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(transparent)]
    Secrets(#[from] crate::trust::secrets::Error),
    #[error(transparent)]
    Bus(#[from] crate::bus::Error),
}

/// Keeps the keys of the bus and the certificate of its servers.
struct Keys {
    secrets: Secrets,
    accounts: Arc<Accounts>,
    opened: bool,
    /// Whether the servers run with an older certificate. They see the new one some time after it was written, so they are
    /// told to read it at the next check.
    renewed: bool,
}

impl Keys {
    async fn keep(&mut self, context: &Context) {
        loop {
            tokio::time::sleep(if self.opened { TRUST_CHECK } else { TRUST_RETRY }).await;
            self.check(context).await;
        }
    }

    async fn check(&mut self, context: &Context) {
        if let Err(error) = self.attempt(context).await {
            tracing::warn!(%error, "the keys of the bus are not in order, will be tried again");
        }
    }

    async fn attempt(&mut self, context: &Context) -> Result<(), KeysError> {
        let now = context.clock.now();
        let root = self.secrets.root(now).await?;
        if self.renewed {
            self.accounts.reload_servers().await?;
            self.renewed = false;
        }
        self.renewed |= self.secrets.ensure_server(&root, now).await?;
        if !self.opened {
            self.accounts.open(root).await?;
            self.opened = true;
            context.queue.wake_all(context.world.everything());
        }
        Ok(())
    }
}

/// Counts objects now and then.
async fn measure(context: &Context) {
    loop {
        count::<Orchestrator>(context);
        count::<Domain>(context);
        count::<Supervisor>(context);
        count::<AgentPool>(context);
        count::<Workflow>(context);
        context.applied.prune(&context.world);
        context.reports.clear();
        tokio::time::sleep(MEASURE).await;
    }
}

fn count<K: Reconciled + Lookup<DynamicType = ()>>(context: &Context) {
    let objects = K::store(&context.world).state();
    let ready = objects.iter().filter(|object| is_true(object.conditions(), READY)).count();
    context.metrics.objects(K::CONTROLLER, ready, objects.len() - ready);
}
